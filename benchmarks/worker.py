"""A process of its own on one core for everything that is timed."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from echo_jax.exceptions import reason

ONE_THREAD = dict.fromkeys((
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
), "1")  # fmt: skip
"""Environment that keeps the libraries of a process on one core to one thread."""


class WorkerError(RuntimeError):
    """A worker that failed, ended, or gave no reply in time."""


@contextlib.contextmanager
def pinned(core: int, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Within it this process runs on one core.

    Processes that it starts inherit the core, one thread a library, and the environment, and run
    no file of the current folder.
    """
    allowed, before = os.sched_getaffinity(0), dict(os.environ)
    os.sched_setaffinity(0, {core})
    os.environ.update({**ONE_THREAD, "PYTHONSAFEPATH": "1", **(environment or {})})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        os.environ.clear()
        os.environ.update(before)


class Worker(contextlib.AbstractContextManager):
    """A process that calls functions for this one; it is killed at the end of the `with`."""

    def __init__(self) -> None:
        """The process starts at the first call, in the surroundings that this one has then."""
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _print_nothing)

    def __exit__(self, *_: object) -> None:
        """Kill the process, and others that this one started in the same way."""
        for process in multiprocessing.active_children():
            process.kill()
        self._pool.shutdown()

    def call(self, limit: float, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of a function of a module; WorkerError without one in `limit` seconds."""
        try:
            return self._pool.submit(function, *arguments).result(limit)
        except TimeoutError:
            raise WorkerError(f"no answer in {limit:g} s") from None
        except Exception as error:  # also of a process that ended
            raise WorkerError(reason(error)) from error


def measured_apart(core: int, limit: float, function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function in a fresh process on one core, or its `failure`."""
    with pinned(core), Worker() as worker:
        try:
            return worker.call(limit, function, *arguments)
        except WorkerError as error:
            return {"failure": str(error)}


def _print_nothing() -> None:
    """Drop what the libraries of this process print."""
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
