"""The programs of tasks: compiled in threads, those of the next task while one trains."""

import threading
from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from echo_jax.grid.task import Job, Task

COMPILERS = 2  # threads that compile
KEPT = 2  # programs that are kept: those asked for last

_POOL = ThreadPoolExecutor(COMPILERS)
_LOCK = threading.Lock()
_programs: dict[Hashable, Future[Any]] = {}


def compile_ahead(job: Job, tasks: Sequence[Task]) -> None:
    """Compile the programs of the first task, and of the next one with others."""
    first = tasks[0]
    following = (task for task in tasks if task.program != first.program)
    for task in (first, next(following, first), first):  # the one asked for last is kept
        compiled(job, task)


def compiled(job: Job, task: Task) -> Future[Any]:
    """The programs of a task, which a thread compiles."""
    key = job.compile, task.program
    with _LOCK:
        future = _programs.pop(key, None) or _POOL.submit(job.compile, task)
        _programs[key] = future  # now the newest
        for oldest in list(_programs)[:-KEPT]:
            del _programs[oldest]
    return future
