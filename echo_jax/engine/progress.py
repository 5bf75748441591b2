"""Show the progress of runs and grids: a bar in a terminal or notebook, plain lines elsewhere."""

import heapq
import html
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple, Self

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


class Load(NamedTuple):
    """What is known of a task before it runs.

    work     the amount of work, in a unit that all tasks of a grid share
    program  what its compiled programs depend on, and so the time of a unit of work
    """

    work: float
    program: Hashable


class Report(NamedTuple):
    """A report of a task: the time in seconds, and the work done by then."""

    time: float
    done: float


class TimeLeft:
    """Estimate how long the tasks of a grid still take, from the times of their reports.

    It learns the seconds of a unit of work, and of the score that follows the last report, for each
    program; a program that has not run counts as the mean of the others. It also learns how many
    tasks run at once. Time before the first report of a task is not measured, as it may compile.
    """

    def __init__(self, tasks: Mapping[str, Load]) -> None:
        """Begin with no report of the `tasks`, which are given by their names."""
        self._tasks = tasks
        self._first: dict[str, Report] = {}
        self._last: dict[str, Report] = {}
        self._ends: dict[str, float] = {}
        self._at_once = 1

    def note(self, task: str, report: Report) -> None:
        """Note a `report` of `task`."""
        self._first.setdefault(task, report)
        self._last[task] = report
        self._at_once = max(self._at_once, len(self._first) - len(self._ends))

    def end(self, task: str, time: float) -> None:
        """Note that `task` is finished at `time`; a task without work has not reported before."""
        self._ends[task] = time
        self._last.setdefault(task, self._first.setdefault(task, Report(time, 0.0)))

    def seconds(self) -> float | None:
        """Return the seconds that all tasks still take, or None before any task reports again."""
        units = self._means({
            task: (last.time - self._first[task].time, last.done - self._first[task].done)
            for task, last in self._last.items()
        })  # fmt: skip
        if not units:
            return None
        scores = self._means({
            task: (end - self._last[task].time, 1.0) for task, end in self._ends.items()
        })  # fmt: skip
        left = {
            task: (load.work - self._last.get(task, Report(0, 0)).done) * units[task]
            + scores.get(task, 0.0)
            for task, load in self._tasks.items()
            if task not in self._ends
        }
        # The time until each place is free, as the next task takes the place that is free first.
        places = [seconds for task, seconds in left.items() if task in self._first]
        places += [0.0] * (self._at_once - len(places))
        heapq.heapify(places)
        for task, seconds in left.items():
            if task not in self._first:
                heapq.heapreplace(places, places[0] + seconds)
        return max(places)

    def _means(self, measured: Mapping[str, tuple[float, float]]) -> dict[str, float]:
        """Return the mean seconds of a unit for each task; empty if nothing is measured.

        `measured` has the seconds and the units of some tasks. The mean is that of the tasks with
        an equal program, or of all tasks if no task of the program is measured.
        """
        seconds = dict[Hashable, float]()
        units = dict[Hashable, float]()
        for task, (taken, count) in measured.items():
            program = self._tasks[task].program
            seconds[program] = seconds.get(program, 0.0) + taken
            units[program] = units.get(program, 0.0) + count
        if not any(units.values()):
            return {}
        usual = sum(seconds.values()) / sum(units.values())
        return {
            task: seconds[load.program] / units[load.program] if units.get(load.program) else usual
            for task, load in self._tasks.items()
        }


class GridProgress(_Bar):
    """The progress of a grid: finished tasks, all work done so far, and the time left.

    Tasks may report from several threads, late or more than once.
    """

    def __init__(
        self,
        tasks: Mapping[str, Load],
        say: Callable[[str], None] | None,
        name: str = "",
        unit: str = "",
    ) -> None:
        """Begin with no work done.

        Args:
          tasks: the tasks, by their names.
          say: prints a line; None if nothing is to be shown.
          name: a text at the beginning of each line.
          unit: the unit of the work; "" if the amount of work is not shown.
        """
        super().__init__(sum(load.work for load in tasks.values()), 0, say)
        self._work = {task: load.work for task, load in tasks.items()}
        self._done = dict.fromkeys(tasks, 0.0)
        self._name = f"{name}  " if name else ""
        self._unit = unit
        self._finished = 0
        # Guards the shares and the times: tasks of `engine.grid.Here` report from threads.
        self._lock = threading.Lock()
        self._first: Report | None = None
        self._time_left = TimeLeft(tasks)

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
            now = time.perf_counter()
            self._first = self._first or Report(now, done)
            self._time_left.note(task, Report(now, self._done[task]))
            what = f"{task}, {self._done[task] / self._work[task]:.0%}"
            if self._unit:
                what = f"{done:,.0f}/{self._total:,.0f} {self._unit}"
            self._show(done, f"{self._name}{self._count()}  {what}{self._left(now, done)}")

    def finished(self, task: str, result: str) -> None:
        """Print that the task with the name `task` is done, and its result in a few words."""
        self.at_work(task, 1.0)
        with self._lock:
            self._time_left.end(task, time.perf_counter())
        self._finished += 1
        line = f"{self._name}{self._count()}  {task}: {result}"
        on_terminal = self._shown and self._console.is_terminal
        (self._console.print if on_terminal else self._say)(printable(line))

    def _count(self) -> str:
        return f"{self._finished}/{len(self._work)}"

    def _left(self, now: float, done: float) -> str:
        """Return the rate of work and the time left at the time `now`, when so much is `done`."""
        since, before = self._first or Report(now, done)
        if done in (before, self._total):
            return ""
        rate = (done - before) / (now - since)
        shown = f"  {rate:,.0f}/s" if self._unit else ""
        seconds = self._time_left.seconds()
        if seconds is None:  # each task has reported once
            seconds = (self._total - done) / rate
        return f"{shown}  {_duration(seconds)} left"


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
