"""Executors make the rows of tasks; `Here` is that of this process.

The programs of tasks are compiled in threads, those of the next task while one trains.
"""

import threading
from collections.abc import Callable, Generator, Hashable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple, Protocol

from echo_jax.exceptions import EchoError
from echo_jax.grid.task import Job, Outcome, Report, Task

KEPT = 2  # programs that are kept: those asked for last

# Two threads and two programs: `compile_ahead` asks for those of a task and of the next one.
_COMPILERS = ThreadPoolExecutor(2)
# Guards `_programs`: the threads of `Here` ask for the same programs, which are compiled once.
_LOCK = threading.Lock()
_programs: dict[Hashable, Future[Any]] = {}


class Executor(Protocol):
    """Runs tasks; outcomes come as tasks are done, in any order."""

    def map(
        self, job: Job, tasks: Sequence[Any], report: Callable[[Any, float], None]
    ) -> Generator[Outcome]:
        """The outcome of each task. `report` is told a task and the share of it that is done."""


class Here(NamedTuple):
    """The executor that is this process, which runs so many tasks at once, in threads.

    While a task runs, the programs of the next one with other programs are compiled.
    """

    at_once: int = 1

    def map(
        self,
        job: Job,
        tasks: Sequence[Task],
        report: Callable[[Any, float], None] = lambda *_: None,
    ) -> Generator[Outcome]:
        """The outcomes; what `report` or a task raises, but a ConfigError, ends all tasks."""
        # A thread cannot be ended from outside, so each task ends by itself at its next report.
        stopped = threading.Event()

        def outcome(place: int) -> Outcome:
            """The outcome of one task; what else than an EchoError it raises stops the others."""
            task = tasks[place]

            def unless_stopped(share: float) -> None:
                """Report a share, or end the task with CancelledError."""
                if stopped.is_set():
                    raise CancelledError
                report(task, share)

            compile_ahead(job, tasks[place:])
            try:
                return Outcome(task, run_task(job, task, unless_stopped), None)
            except EchoError as error:
                return Outcome(task, None, str(error))
            except BaseException:
                stopped.set()
                raise

        with ThreadPoolExecutor(self.at_once) as pool:
            futures = [pool.submit(outcome, place) for place in range(len(tasks))]
            try:
                yield from outcomes_of(futures)
            finally:
                # The pool waits for its threads when it closes: they are told to end before that.
                stopped.set()
                for future in futures:
                    future.cancel()


def outcomes_of(futures: Sequence[Future[Outcome]]) -> Generator[Outcome]:
    """The outcomes as they come; what a task raises comes after those that are there with it."""
    left = list(futures)
    while left:
        done = wait(left, return_when=FIRST_COMPLETED).done
        # `done` is a set, and rows that end together are stored in the order of their tasks.
        ended = [future for future in left if future in done]
        left = [future for future in left if future not in done]
        yield from (future.result() for future in ended if not future.exception())
        for future in ended:
            if not isinstance(future.exception(), CancelledError):  # what stopped it comes too
                future.result()


def run_task(job: Job, task: Task, report: Report) -> Any:
    """The row of a task; its programs are compiled, or are there from a task before."""
    return job.run(task, compiled(job, task).result(), report)


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
        future = _programs.pop(key, None) or _COMPILERS.submit(job.compile, task)
        _programs[key] = future  # now the newest
        for oldest in list(_programs)[:-KEPT]:
            del _programs[oldest]
    return future
