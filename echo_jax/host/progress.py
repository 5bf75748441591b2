"""A progress bar for a terminal, plain lines for everything else."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_LINES = 10
"""About how many lines a run prints where there is no terminal."""


class _Bar:
    """A bar and a clock that run while it is open."""

    _bar: Progress
    _started: float

    def __enter__(self) -> Self:
        """Start the clock and the bar."""
        self._started = time.perf_counter()
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop the bar, leaving it as it stands."""
        self._bar.stop()


class GridProgress(_Bar):
    """Cells done, the one at work, and the time left, while it is open."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        """Prepare for cells, by name the seconds that each is expected to take."""
        self._expected = dict(seconds)
        self._done: dict[str, float] = {}
        self._console = Console(highlight=False, soft_wrap=True)
        self._bar = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.fields[cells]} cells  {task.fields[status]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        total = sum(seconds.values())
        self._task = self._bar.add_task("", total=total, cells=self._count(), status="")
        self._started = time.perf_counter()

    def at_work(self, cell: str, share: float) -> None:
        """Show that so much of a cell is done."""
        self._done[cell] = share * self._expected[cell]
        status = f"{cell}  {self._left()}"
        self._bar.update(
            self._task, completed=sum(self._done.values()), cells=self._count(), status=status
        )

    def finished(self, cell: str, said: str) -> None:
        """Print that a cell is done, and what it found."""
        self.at_work(cell, 1.0)
        self._console.print(f"{self._count()}  {cell}: {said}  {self._left()}")

    def _count(self) -> str:
        done = sum(self._done.get(cell) == most for cell, most in self._expected.items())
        return f"{done}/{len(self._expected)}"

    def _left(self) -> str:
        """The time left, at the pace so far compared with what was expected."""
        done, total = sum(self._done.values()), sum(self._expected.values())
        if done == total:
            return ""
        left = (total - done) * (time.perf_counter() - self._started) / max(done, 1e-9)
        return f"{left / 60:.0f} min left" if left > 90 else f"{left:.0f} s left"


class TrainingProgress(_Bar):
    """Sequences done, sequences a second, loss, accuracy and time left, while it is open."""

    def __init__(self, sequences: int, done: int = 0) -> None:
        """Prepare for a run of so many sequences, some of them done already."""
        console = Console(highlight=False, soft_wrap=True)
        self._sequences = sequences
        self._console = console
        self._started = time.perf_counter()
        self._next_line = float(done)
        self._before = done
        self._bar = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} sequences  {task.fields[status]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=sequences, completed=done, status="")

    def update(self, done: int, loss: float, accuracy: float) -> None:
        """Show that so many sequences are done, with the mean loss and accuracy of the last."""
        rate = (done - self._before) / (time.perf_counter() - self._started)
        status = f"{rate:,.0f}/s  loss {loss:.3f}  accuracy {accuracy:.1%}"
        if self._console.is_terminal:
            self._bar.update(self._task, completed=done, status=status)
        elif done >= self._next_line or done == self._sequences:
            left = (self._sequences - done) / rate
            self._console.print(
                f"{done:,}/{self._sequences:,} sequences  {status}  {left:.0f} s left"
            )
            self._next_line = done + self._sequences / PLAIN_LINES
