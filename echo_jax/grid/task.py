"""The words of a grid: task, job, outcome. No jax."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol

Report = Callable[[float], None]
"""Told the share of a task that is done; what it raises ends the task."""


class Task(Protocol):
    """A run that is to be made.

    key      digest of what is run; the row of the task has the same
    name     as progress and failures tell it
    program  tasks of a job that agree in it share compiled programs
    work     expected, in a unit that all tasks of a grid share
    """

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def program(self) -> Hashable: ...  # noqa: D102
    @property
    def work(self) -> float: ...  # noqa: D102


class Job(NamedTuple):
    """The two functions of a kind of task; workers import them by name."""

    compile: Callable[[Any], Any]  # a task to its programs; ConfigError if they cannot be made
    run: Callable[[Any, Any, Report], Any]  # a task, its programs and a report to its row; pure


class Outcome(NamedTuple):
    """The row of a task, or the sentence that says why it failed."""

    task: Any
    row: Any
    failure: str | None
