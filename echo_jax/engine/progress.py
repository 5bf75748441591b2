"""Show the progress of runs and grids: a bar in a terminal or notebook, plain lines elsewhere."""

import html
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from echo_jax.exceptions import printable

PLAIN_LINES = 10  # of a run where there is no terminal, about; at its start they come sooner


class _Bar:
    """A bar with a text in a terminal or a notebook; elsewhere, some lines of text.

    The bar is shown while the context is open, and ends at `total`; `done` is the part that is done
    at the start. `say` prints a line; if it is None, nothing is shown.
    """

    def __init__(self, total: float, done: int, say: Callable[[str], None] | None) -> None:
        self._total = total
        self._next_line = float(done)
        self._say = say or (lambda _: None)
        self._shown = say is not None
        self._console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        hidden = not (self._shown and self._console.is_terminal)
        columns = BarColumn(24), TextColumn("{task.fields[text]}", markup=False)
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
        if not self._shown:
            return
        if self._console.is_jupyter:
            from IPython.display import HTML, display

            bar = f'<progress value="{done:.4f}" max="{self._total:.4f}"></progress>'
            shown = HTML(f"{bar} {html.escape(text)}")
            if self._in_notebook is None:
                self._in_notebook = display(shown, display_id=True)
            else:
                self._in_notebook.update(shown)
        elif self._console.is_terminal:
            self._bar.update(self._task, completed=done, text=text)
        elif done >= self._next_line or done == self._total:
            self._say(text)
            self._next_line = done + min(done, self._total / PLAIN_LINES)


class GridProgress(_Bar):
    """The progress of a grid: finished tasks, all work done so far, and the time left.

    The time left follows from the rate of work since the first work was done, after the first
    program was compiled. Tasks may report from several threads, late or more than once.
    """

    def __init__(
        self,
        work: Mapping[str, float],
        say: Callable[[str], None] | None,
        name: str = "",
        unit: str = "",
    ) -> None:
        """Begin with no work done.

        Args:
          work: the work of each task, by the task's name.
          say: prints a line; None if nothing is to be shown.
          name: a text at the beginning of each line.
          unit: the unit of the work; "" if the amount of work is not shown.
        """
        super().__init__(sum(work.values()), 0, say)
        self._work = dict(work)
        self._done = dict.fromkeys(work, 0.0)
        self._name = f"{name}  " if name else ""
        self._unit = unit
        self._finished = 0
        # Guards the shares and the clock: tasks of `engine.grid.Here` report from threads.
        self._lock = threading.Lock()
        self._first: tuple[float, float] | None = None

    def __enter__(self) -> Self:
        """Show that the programs are being compiled."""
        super().__enter__()
        self._show(0, f"{self._name}compiling; the time left is shown after the first updates")
        return self

    def at_work(self, task: str, share: float) -> None:
        """Show that `share` of the task with the name `task` is done.

        A share that is not larger than the last one is ignored.
        """
        with self._lock:
            if share * self._work[task] <= self._done[task]:
                return
            self._done[task] = share * self._work[task]
            # Added in the order of the total, so at the end both are equal to the bit.
            done = sum(self._done.values())
            self._first = self._first or (time.perf_counter(), done)
            what = f"{task}, {self._done[task] / self._work[task]:.0%}"
            if self._unit:
                what = f"{done:,.0f}/{self._total:,.0f} {self._unit}"
            self._show(done, f"{self._name}{self._count()}  {what}{self._left(done)}")

    def finished(self, task: str, result: str) -> None:
        """Print that the task with the name `task` is done, and its result in a few words."""
        self.at_work(task, 1.0)
        self._finished += 1
        line = f"{self._name}{self._count()}  {task}: {result}"
        on_terminal = self._shown and self._console.is_terminal
        (self._console.print if on_terminal else self._say)(printable(line))

    def _count(self) -> str:
        return f"{self._finished}/{len(self._work)}"

    def _left(self, done: float) -> str:
        since, before = self._first or (0.0, 0.0)
        if done in (before, self._total):
            return ""
        rate = (done - before) / (time.perf_counter() - since)
        shown = f"  {rate:,.0f}/s" if self._unit else ""
        return f"{shown}  {_duration((self._total - done) / rate)} left"


class TrainingProgress(_Bar):
    """The progress of a run: sequences done and per second, loss, accuracy and time left."""

    def __init__(self, sequences: int, done: int, say: Callable[[str], None] | None) -> None:
        """Begin with `done` of the run's `sequences`, on which an earlier process has trained.

        `say` prints a line; None if nothing is to be shown.
        """
        super().__init__(sequences, done, say)
        self._before = done

    def update(self, done: int, loss: float, accuracy: float) -> None:
        """Show the number of sequences done, and the mean loss and accuracy of the last chunk."""
        rate = (done - self._before) / (time.perf_counter() - self._started)
        status = f"{rate:,.0f}/s  loss {loss:.3f}  accuracy {accuracy:.1%}"
        left = f"{_duration((self._total - done) / rate)} left"
        self._show(done, f"{done:,}/{self._total:,} sequences  {status}  {left}")


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
