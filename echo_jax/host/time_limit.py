"""Limits around a user's cell: of the time that it takes, and of what it does to the process."""

import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from echo_jax.cells import user_cell
from echo_jax.cells.check import cell_check
from echo_jax.cells.interface import Cell
from echo_jax.config import BLOCK, is_built_in
from echo_jax.exceptions import ConfigError, TooLongError

Result = TypeVar("Result")

_STARTING = threading.Lock()

CHECK_SECONDS = 120.0
"""The limit for the check of a cell, tracing and compiling included."""


def check_cell(
    cell: Cell, name: str, input_size: int, other_sizes: Collection[int] = ()
) -> list[str]:
    """`cell_check.check` within `CHECK_SECONDS`; TooLongError beyond them."""
    check = functools.partial(cell_check.check, cell, name, input_size, other_sizes)
    return compile_within(CHECK_SECONDS, check, cell, name)


def try_apart(name: str, build: Callable[..., Any], *arguments: Any) -> None:
    """Call a function that imports and traces a cell in a process of its own, if it is a user's.

    An error that it raises is left to the call in this process. ConfigError if the process ends, or
    is not done within `CHECK_SECONDS`: so would this one.
    """
    if is_built_in(name) or name.removeprefix(BLOCK).startswith("echo_jax."):
        return
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    work = (theirs, CHECK_SECONDS, build, arguments)
    process = context.Process(target=_attempt, args=work, daemon=True)
    with _without_main():
        process.start()
    theirs.close()
    try:
        line = ours.recv() if ours.poll(CHECK_SECONDS + 60) else ""
    except EOFError:
        process.join()
        raise ConfigError(
            f"cell {name!r} ends the process that imports and traces it, with status "
            f"{process.exitcode}: leave out os._exit and what else ends or crashes Python"
        ) from None
    finally:
        process.kill()
        process.join()
    if line is not None:
        raise ConfigError(
            f"{f'{line}: ' if line else ''}cell {name!r} is not imported and traced within "
            f"{CHECK_SECONDS:g} s: leave out what waits or never ends"
        )


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Within it a new process does not run the script of this one once more.

    `multiprocessing` would, for what the script defines: nothing that is sent here is its own.
    """
    with _STARTING:
        main: dict[str, Any] = vars(sys.modules["__main__"])
        hidden: dict[str, Any] = {
            name: main.pop(name) for name in ("__file__", "__spec__") if name in main
        }
        main["__spec__"] = None
        try:
            yield
        finally:
            main.update(hidden)


def _attempt(
    pipe: Connection, seconds: float, build: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """Send None when the function is done, or else the line of the user's file that runs.

    The process ends with the one that started it, whatever the user's code does.
    """
    main, parent = threading.get_ident(), multiprocessing.parent_process()

    def watch() -> None:
        """End this process with the one that started it, or at the time limit."""
        if parent:
            parent.join(seconds)
        with contextlib.suppress(OSError):
            pipe.send(user_cell.line_at(sys._current_frames()[main]) or "")
        os._exit(1)

    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    threading.Thread(target=watch, daemon=True).start()
    with contextlib.suppress(BaseException):
        build(*arguments)
    pipe.send(None)


def compile_within(
    seconds: float, compile_it: Callable[[], Result], cell: Cell, name: str
) -> Result:
    """The result of a function that traces and compiles something made of a cell.

    The function runs in a thread, because only the end of the process stops a compilation. Settings
    of jax that are local to a thread, such as `jax.enable_x64`, must be made in the function.

    At the limit TooLongError names the line of the user's file that runs, or else its `__call__`.
    The thread is left behind: end the process with `command_line.leave`, which waits for none.
    """
    future: concurrent.futures.Future[Result] = concurrent.futures.Future()

    def work() -> None:
        """Give the result, or the error, to the thread that waits."""
        try:
            future.set_result(compile_it())
        except BaseException as error:  # raised again in the caller
            future.set_exception(error)

    # A daemon thread: Python waits at exit for the threads of an executor.
    thread = threading.Thread(target=work, daemon=True, name="compile")
    thread.start()
    try:
        return future.result(seconds)
    except concurrent.futures.TimeoutError:
        if future.done():  # raised by the function itself
            raise
    frame = sys._current_frames().get(thread.ident or 0)
    where = user_cell.line_at(frame) or user_cell.location(
        cell.source, cell.names.get("step", "step")
    )
    raise TooLongError(
        f"{where}: cell {name!r} is not traced and compiled within {seconds:g} s: put a loop over "
        "many operations into jax.lax.scan, or make it one product of arrays"
    )
