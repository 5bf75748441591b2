"""The one loop over the tasks of a grid."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from echo_jax.exceptions import TasksFailedError
from echo_jax.grid.executors import Executor
from echo_jax.grid.task import Job, Task
from echo_jax.host.interrupts import Interrupts
from echo_jax.host.progress import GridProgress


def complete(
    job: Job,
    tasks: Sequence[Task],
    executor: Executor,
    store: Callable[[Any], str],
    progress: GridProgress,
    interrupts: Interrupts,
) -> None:
    """Store the row of each task as it comes: what ends the loop loses only tasks at work.

    Tasks begin in their order. `store` keeps a row, and says its result in a few words. Interrupts
    are asked whenever a task reports; StoppedError ends the loop. TasksFailedError at the end where
    some failed; all others are stored.
    """
    failures = []

    def report(task: Task, share: float) -> None:
        interrupts.check()
        progress.at_work(task.name, share)

    # A generator that an error leaves open ends its tasks only when Python collects it.
    with contextlib.closing(executor.map(job, tasks, report)) as outcomes:
        for task, row, failure in outcomes:
            if failure:
                failures.append(f"{task.name}: {failure}")
                progress.finished(task.name, "failed")
            else:
                progress.finished(task.name, store(row))
    if failures:
        raise TasksFailedError.of(failures)
