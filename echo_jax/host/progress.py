"""Progress of training and of grids: a bar in a terminal or notebook, plain lines elsewhere."""

import html
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_LINES = 10
"""Lines that a run prints where there is no terminal, about."""


class _Bar:
    """A rich progress bar and a clock that run while it is open; no bar without a terminal."""

    def __init__(
        self, *columns: ProgressColumn, total: float | None, done: int = 0, **fields: Any
    ) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        hidden = not self._console.is_terminal
        self._bar = Progress(BarColumn(24), *columns, console=self._console, disable=hidden)
        self._task = self._bar.add_task("", total=total, completed=done, **fields)

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


class GridProgress(_Bar):
    """Grid points done, the one that trains, and the time left."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        """Take the expected seconds of each grid point, by name."""
        self._expected, self._done = dict(seconds), dict.fromkeys(seconds, 0.0)
        columns = (TextColumn("{task.fields[status]}"), TimeRemainingColumn())
        super().__init__(*columns, total=sum(seconds.values()), status=self._count())

    def at_work(self, point: str, share: float) -> None:
        """Show the share of a grid point that is done."""
        self._done[point] = share * self._expected[point]
        status = f"{self._count()}  {point}"
        self._bar.update(self._task, completed=sum(self._done.values()), status=status)

    def finished(self, point: str, result: str) -> None:
        """Print that a grid point is done, and its result."""
        self.at_work(point, 1.0)
        self._console.print(f"{self._count()}  {point}: {result}")

    def _count(self) -> str:
        done = sum(self._done[point] == all_of_it for point, all_of_it in self._expected.items())
        return f"{done}/{len(self._expected)}"


class NotebookBar:
    """A bar in the output of a notebook's cell; rich's own needs ipywidgets, and warns without."""

    def __init__(self) -> None:
        """Nothing is shown yet."""
        self._shown: Any = None

    def update(self, share: float | None, text: str) -> None:
        """Show the share that is done, 0 to 1, None for unknown, and a text beside it."""
        from IPython.display import HTML, display

        value = "" if share is None else f' value="{share:.4f}"'
        bar = HTML(f"<progress{value}></progress> {html.escape(text)}")
        if self._shown is None:
            self._shown = display(bar, display_id=True)
        else:
            self._shown.update(bar)


class TrainingProgress(_Bar):
    """Sequences done, sequences a second, loss, accuracy and time left of a run."""

    def __init__(self, sequences: int, done: int, say: Callable[[str], None]) -> None:
        """Take the sequences of the run, and those that an earlier process has trained on.

        `say` gets the plain lines, where there is neither a terminal nor a notebook.
        """
        text = "{task.completed:,.0f}/{task.total:,.0f} sequences  {task.fields[status]}"
        columns = (TextColumn(text), TimeRemainingColumn())
        super().__init__(*columns, total=sequences, done=done, status="")
        self._sequences, self._before, self._next_line = sequences, done, float(done)
        self._say, self._notebook = say, NotebookBar() if self._console.is_jupyter else None

    def update(self, done: int, loss: float, accuracy: float) -> None:
        """Show the sequences done, with the mean loss and accuracy of the last chunk."""
        rate = (done - self._before) / (time.perf_counter() - self._started)
        status = f"{rate:,.0f}/s  loss {loss:.3f}  accuracy {accuracy:.1%}"
        text = f"{done:,}/{self._sequences:,} sequences  {status}"
        if self._notebook:
            self._notebook.update(done / self._sequences, text)
        elif self._console.is_terminal:
            self._bar.update(self._task, completed=done, status=status)
        elif done >= self._next_line or done == self._sequences:
            left = f"{(self._sequences - done) / rate:.0f} s left"
            self._say(f"{text}  {left}")
            self._next_line = done + self._sequences / PLAIN_LINES


class CardProgress(_Bar):
    """Updates done of all runs of a card, and the time left at the rate measured so far.

    The clock of the rate starts when the first updates have come, so it counts no compilation.
    Updates may come from several threads.
    """

    def __init__(self, name: str, updates: int, say: Callable[[str], None]) -> None:
        """Take the name of the card and the updates of its runs; `say` as in TrainingProgress."""
        self._name, self._updates, self._done = name, updates, 0
        self._first: tuple[float, int] | None = None
        text = TextColumn("{task.fields[status]}", markup=False)
        super().__init__(text, TimeElapsedColumn(), total=updates, status=f"{name}  compiling")
        self._say, self._notebook = say, NotebookBar() if self._console.is_jupyter else None
        self._next_line, self._lock = updates / PLAIN_LINES, threading.Lock()

    def __enter__(self) -> Self:
        """Show that the programs are compiled."""
        super().__enter__()
        self._show(f"{self._name}  compiling")
        return self

    def advance(self, updates: int) -> None:
        """Count updates that were made."""
        with self._lock:
            self._done += updates
            self._first = self._first or (time.perf_counter(), self._done)
            self._show(f"{self._name}  {self._text()}")

    def _text(self) -> str:
        """Updates, their rate and the time left."""
        count = f"{self._done:,}/{self._updates:,} updates"
        since, before = self._first or (0.0, 0)
        if self._done in (before, self._updates):
            return f"{count}, then they are scored" if self._done == self._updates else count
        rate = (self._done - before) / (time.perf_counter() - since)
        return f"{count}  {rate:,.0f}/s  {_duration((self._updates - self._done) / rate)} left"

    def _show(self, text: str) -> None:
        if self._notebook:
            self._notebook.update(self._done / max(1, self._updates), text)
        elif self._console.is_terminal:
            self._bar.update(self._task, completed=self._done, status=text)
        elif self._done in (0, self._updates) or self._done >= self._next_line:
            self._say(text)
            self._next_line = self._done + self._updates / PLAIN_LINES


def _duration(seconds: float) -> str:
    """A time as it is read: 40 s, 12 min, 3.1 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
