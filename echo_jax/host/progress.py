"""Progress of training and of grids: a bar in a terminal or notebook, plain lines elsewhere."""

import html
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from echo_jax.exceptions import printable

PLAIN_LINES = 10
"""Lines that a run prints where there is no terminal, about; at its start they come sooner."""


class _Bar:
    """A bar with a text, while it is open; without a terminal and a notebook some lines of text."""

    def __init__(
        self, total: float, done: int, say: Callable[[str], None], *columns: ProgressColumn
    ) -> None:
        """Take what there is to do, what of it is done, and what gets the plain lines."""
        self._total, self._next_line, self._say = total, float(done), say
        self._console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        hidden = not self._console.is_terminal
        columns = BarColumn(24), TextColumn("{task.fields[text]}", markup=False), *columns
        self._bar = Progress(*columns, console=self._console, disable=hidden)
        self._task = self._bar.add_task("", total=total, completed=done, text="")
        self._in_notebook: Any = None  # rich's own needs ipywidgets, and warns without

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _show(self, done: float, text: str) -> None:
        text = printable(text)
        if self._console.is_jupyter:
            self._show_in_notebook(done, text)
        elif self._console.is_terminal:
            self._bar.update(self._task, completed=done, text=text)
        elif done >= self._next_line or done == self._total:
            self._say(text)
            self._next_line = done + min(done, self._total / PLAIN_LINES)

    def _show_in_notebook(self, done: float, text: str) -> None:
        from IPython.display import HTML, display

        bar = f'<progress value="{done:.4f}" max="{self._total:.4f}"></progress>'
        shown = HTML(f"{bar} {html.escape(text)}")
        if self._in_notebook is None:
            self._in_notebook = display(shown, display_id=True)
        else:
            self._in_notebook.update(shown)


class GridProgress(_Bar):
    """Grid points done, the one that trains, and the time left."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        """Take the expected seconds of each grid point, by name."""
        self._expected, self._done = dict(seconds), dict.fromkeys(seconds, 0.0)
        super().__init__(sum(seconds.values()), 0, lambda _: None, TimeRemainingColumn())

    def at_work(self, point: str, share: float) -> None:
        """Show the share of a grid point that is done."""
        self._done[point] = share * self._expected[point]
        self._show(sum(self._done.values()), f"{self._count()}  {point}")

    def finished(self, point: str, result: str) -> None:
        """Print that a grid point is done, and its result."""
        self.at_work(point, 1.0)
        self._console.print(printable(f"{self._count()}  {point}: {result}"))

    def _count(self) -> str:
        done = sum(self._done[point] == all_of_it for point, all_of_it in self._expected.items())
        return f"{done}/{len(self._expected)}"


class TrainingProgress(_Bar):
    """Sequences done, sequences a second, loss, accuracy and time left of a run."""

    def __init__(self, sequences: int, done: int, say: Callable[[str], None]) -> None:
        """Take the sequences of the run, and those that an earlier process has trained on."""
        super().__init__(sequences, done, say)
        self._before = done

    def update(self, done: int, loss: float, accuracy: float) -> None:
        """Show the sequences done, with the mean loss and accuracy of the last chunk."""
        rate = (done - self._before) / (time.perf_counter() - self._started)
        status = f"{rate:,.0f}/s  loss {loss:.3f}  accuracy {accuracy:.1%}"
        left = f"{_duration((self._total - done) / rate)} left"
        self._show(done, f"{done:,}/{self._total:,} sequences  {status}  {left}")


class CardProgress(_Bar):
    """Updates done of all runs of a card, and the time left at the rate measured so far.

    The clock of the rate starts when the first updates have come, so it counts no compilation.
    Updates may come from several threads.
    """

    def __init__(self, name: str, updates: int, say: Callable[[str], None]) -> None:
        """Take the name of the card and the updates of its runs."""
        super().__init__(updates, 0, say)
        self._name, self._lock = name, threading.Lock()
        self._made: dict[object, int] = {}
        self._first: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        """Show that the programs are compiled."""
        super().__enter__()
        self._show(0, f"{self._name}  compiling; the time left follows from the first updates")
        return self

    def update(self, run: object, updates: int) -> None:
        """Count the updates that a run has made, which may be told late, or made anew."""
        with self._lock:
            if updates > self._made.get(run, 0):
                self._made[run] = updates
                done = sum(self._made.values())
                self._first = self._first or (time.perf_counter(), done)
                self._show(done, f"{self._name}  {self._text(done)}")

    def line(self, text: str) -> None:
        """Print a line, above the bar."""
        (self._console.print if self._console.is_terminal else self._say)(f"{self._name}  {text}")

    def _text(self, done: int) -> str:
        """Updates, their rate and the time left."""
        count = f"{done:,}/{self._total:,} updates"
        since, before = self._first or (0.0, 0)
        if done in (before, self._total):
            return f"{count}, then they are scored" if done == self._total else count
        rate = (done - before) / (time.perf_counter() - since)
        return f"{count}  {rate:,.0f}/s  {_duration((self._total - done) / rate)} left"


def _duration(seconds: float) -> str:
    """A time as it is read: 40 s, 12 min, 3.1 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
