"""Tasks for workers: they run wherever this file is importable, or is sent."""

import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from echo_jax.engine.grid import Job

BEFORE_DEATH = 1.0
"""Seconds: Dask does not replace a worker that dies before its start has been noted."""


class Task(NamedTuple):
    """A value, as a task without programs."""

    value: Any
    program: None = None


def tasks(values):
    return [Task(value) for value in values]


def job(function):
    return Job(nothing, function)


def nothing(task):
    return None


def double(task, programs, report):
    return 2 * task.value


def die_once(task, programs, report):
    """Kill the worker at the first try of each task, whose value is a path that marks it."""
    marker = Path(task.value)
    if not marker.exists():
        marker.touch()
        time.sleep(BEFORE_DEATH)
        os.kill(os.getpid(), 9)
    return marker.name


def die_at_seven(task, programs, report):
    if task.value == 7:
        time.sleep(BEFORE_DEATH)
        os._exit(1)
    return 2 * task.value


def fail_at_three(task, programs, report):
    if task.value == 3:
        raise ValueError("three is not allowed")
    return 2 * task.value
