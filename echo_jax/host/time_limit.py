"""The time limit of a compilation, and of the check of a user's cell."""

import concurrent.futures
import functools
import sys
import threading
from collections.abc import Callable, Collection
from typing import TypeVar

from echo_jax.cells import user_cell
from echo_jax.cells.check import cell_check
from echo_jax.cells.interface import Cell
from echo_jax.exceptions import TooLongError

Result = TypeVar("Result")

CHECK_SECONDS = 120.0
"""The limit for the check of a cell, tracing and compiling included."""


def check_cell(
    cell: Cell, name: str, input_size: int, other_sizes: Collection[int] = ()
) -> list[str]:
    """`cell_check.check` within `CHECK_SECONDS`; TooLongError beyond them."""
    check = functools.partial(cell_check.check, cell, name, input_size, other_sizes)
    return compile_within(CHECK_SECONDS, check, cell, name)


def compile_within(
    seconds: float, compile_it: Callable[[], Result], cell: Cell, name: str
) -> Result:
    """The result of a function that traces and compiles something made of a cell.

    The function runs in a thread, because only the end of the process stops a compilation. Settings
    of jax that are local to a thread, such as `jax.enable_x64`, must be made in the function.

    At the limit TooLongError names the line of the user's file that runs, or else its `__call__`.
    The thread is left behind: end the process with `process_start.leave`, which waits for none.
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
