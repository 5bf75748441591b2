"""The one way to stop a program that trains: Ctrl-C or SIGTERM."""

import os
import signal
import sys
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
NO_READER = getattr(signal, "SIGPIPE", signal.SIGTERM)  # Windows has no signal of its own for it


class StoppedError(Exception):
    """A signal asked the program to end; its work so far is saved."""


class Interrupts:
    """Notes the first signal, for the loop to ask about; a second signal ends the process at once.

    The notice is printed to standard error when the first signal comes, whose number is then in
    `signal`.
    """

    def __init__(self, notice: str | None = None) -> None:
        """Signals are noted from `__enter__` on."""
        self.signal = 0
        self._notice = notice
        self._before: dict[int, Any] = {}

    @property
    def exit_status(self) -> int:
        """The exit status of a process that the signal ended; 0 without a signal."""
        return 128 + self.signal if self.signal else 0

    def check(self, sentence: str = "Stopped") -> None:
        """Raise StoppedError with this sentence once a signal has come."""
        if self.signal:
            raise StoppedError(sentence)

    def say(self, line: str) -> None:
        """Print a line; where nobody reads any more, as after `head`, that is noted as a signal."""
        try:
            print(line, flush=True)
        except BrokenPipeError:
            # What is left in the buffer would fail once more when Python flushes it at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.signal = self.signal or NO_READER

    def __enter__(self) -> Self:
        """Install the handlers."""
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Put the earlier handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: object) -> None:
        self.signal = number
        # The default handler ends also a computation that does not come back to Python.
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if self._notice:
            print(f"\n{self._notice}", file=sys.stderr)
