"""The start and the end of a process, and the one way to stop it: Ctrl-C, SIGTERM or SIGHUP."""

import contextlib
import ctypes
import gc
import os
import signal
import stat
import sys
import time
from typing import Any, NoReturn, Self

HANGUP = getattr(signal, "SIGHUP", None)  # the terminal was closed; Windows has no such signal
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([HANGUP] if HANGUP else []))
NO_READER = getattr(signal, "SIGPIPE", signal.SIGTERM)  # Windows has no signal of its own for it


class StoppedError(Exception):
    """A signal asked the program to end; its work so far is saved."""


class Interrupts:
    """A context that notes a first signal, and lets a second signal end the process at once.

    A loop asks for the signal by `check`. When the first signal comes, the notice is printed to
    standard error, and the attribute `signal`, at first 0, becomes the number of the signal. SIGHUP
    may come first but is never the second signal, because a closed terminal sends it twice. A
    signal that the process ignores, as SIGHUP after `nohup`, is not noted.
    """

    def __init__(self, notice: str | None = None) -> None:
        """Keep `notice`, the line to print; `__enter__` begins to note signals."""
        self.signal = 0
        self._notice = notice
        self._before: dict[int, Any] = {}

    @property
    def exit_status(self) -> int:
        """The exit status of a process that the signal ended, or 0 if no signal came."""
        return 128 + self.signal if self.signal else 0

    def check(self, sentence: str = "Stopped") -> None:
        """Raise StoppedError with the text `sentence` if a signal has come."""
        if self.signal:
            raise StoppedError(sentence)

    def say(self, line: str) -> None:
        """Print `line`. If nobody reads the output any more, as after `head`, note a signal.

        The signal is SIGPIPE, or SIGTERM on Windows, unless another signal came before.
        """
        try:
            print(line, flush=True)
        except BrokenPipeError:
            # What is left in the buffer would fail once more when Python flushes it at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.signal = self.signal or NO_READER

    def __enter__(self) -> Self:
        """Install the handlers of `SIGNALS`, which note a signal."""
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Put the earlier handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: object) -> None:
        self.signal = number
        # The default handler ends also a computation that does not come back to Python.
        for each in self._before:
            signal.signal(each, signal.SIG_IGN if each == HANGUP else signal.SIG_DFL)
        if number == HANGUP:
            _leave_closed_terminal()
        if self._notice:
            print(f"\n{self._notice}", file=sys.stderr)


def _leave_closed_terminal() -> None:
    """Let standard streams whose terminal was closed write to nowhere, and not fail."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a stream without a file
            number = stream.fileno()
            if stat.S_ISCHR(os.fstat(number).st_mode) and not os.isatty(number):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)


STARTED = time.perf_counter()


def put_in_order() -> None:
    """Set up the process of a command before other modules are imported.

    Ctrl-C ends the process at once; a command with work to save installs its own handler later. The
    user's settings of matplotlib are left out, as figures have their own settings and a broken one
    would end the import. Garbage collection and threads of OpenBLAS are set to take less time. A
    child process does not import from the current folder, and a closed standard stream is opened.
    """
    for name in ("MPLBACKEND", "MATPLOTLIBRC"):
        os.environ.pop(name, None)
    gc.set_threshold(500_000)  # by default it looks for garbage 400 times while modules load: 0.2 s
    # By default a thread of OpenBLAS spins for 25 ms after each product: 0.1 s of a run.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    os.environ["PYTHONSAFEPATH"] = "1"  # the current folder may be a stranger's: no child runs it
    for name in ("stdout", "stderr"):  # closed: a file that is opened later would get its number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    # Python's own handler would print a traceback of whatever module is being imported.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def give_back_memory() -> None:
    """Give freed memory back to the system if the C library is glibc; a compiler leaves 0.2 GB.

    Call this after a program was compiled, and before the part that needs most memory.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def leave(status: int = 0) -> NoReturn:
    """End the process at once with this exit status, after flushing the standard streams.

    The process does not wait for threads or free compiled programs, which would take 0.4 s.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it any more
            stream.flush()
    os._exit(status)
