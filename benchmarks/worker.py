"""A process of its own for everything that is timed, on one core or on all."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

from echo_jax.exceptions import reason

ONE_THREAD = dict.fromkeys((
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
), "1")  # fmt: skip
"""Environment that keeps the libraries of a process on one core to one thread."""

_SPAWN = multiprocessing.get_context("spawn")


class WorkerError(RuntimeError):
    """A worker that failed, ended, or gave no reply in time."""


@contextlib.contextmanager
def pinned(core: int | None, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Within it this process runs on one core (None: on all of its own).

    Processes that it starts inherit the core, one thread a library, and the environment, and run
    no file of the current folder.
    """
    allowed, before = os.sched_getaffinity(0), dict(os.environ)
    os.sched_setaffinity(0, allowed if core is None else {core})
    os.environ.update({} if core is None else ONE_THREAD)
    os.environ.update({"PYTHONSAFEPATH": "1", **(environment or {})})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        os.environ.clear()
        os.environ.update(before)


class Worker(contextlib.AbstractContextManager):
    """A process that runs `target(pipe, *arguments)`; it is killed at the end of the `with`."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        """Start the process, in the surroundings of this one; it is not awaited."""
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_run, args=(theirs, target, arguments), daemon=True)
        self._process.start()
        theirs.close()

    def __exit__(self, *_: object) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()

    def ask(self, limit: float, *question: Any) -> Any:
        """Send a question and return the reply."""
        with contextlib.suppress(OSError):  # it has ended: the reply says so
            self._pipe.send(question)
        return self.reply(limit)

    def reply(self, limit: float) -> Any:
        """The next message of the process; WorkerError if none comes within `limit` seconds."""
        if not self._pipe.poll(limit):
            raise WorkerError(f"no answer in {limit:g} s")
        try:
            message = self._pipe.recv()
        except EOFError:
            self._process.join(1)
            raise WorkerError(f"its process ended with {self._process.exitcode}") from None
        if isinstance(message, WorkerError):
            raise message
        return message


def measured_apart(core: int, limit: float, target: Callable[..., None], *arguments: Any) -> Any:
    """The message of `target(pipe, *arguments)`, from a process on one core, or its `failure`."""
    with pinned(core), Worker(target, *arguments) as worker:
        try:
            return worker.reply(limit)
        except WorkerError as error:
            return {"failure": str(error)}


def _run(pipe: Connection, target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Run the target and send the first line of an error; what libraries print is dropped."""
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    try:
        target(pipe, *arguments)
    except EOFError:  # the process that asks has ended
        pass
    except Exception as error:
        pipe.send(WorkerError(reason(error)))
