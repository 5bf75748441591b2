"""Tasks for workers: they run wherever this file is importable, or is sent."""

import os
from pathlib import Path


def double(task, report):
    return 2 * task


def die_once(task, report):
    """Kill the worker at the first try of each task; `task` is a path, which marks it."""
    marker = Path(task)
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), 9)
    return marker.name


def die_at_seven(task, report):
    if task == 7:
        os._exit(1)
    return 2 * task


def fail_at_three(task, report):
    if task == 3:
        raise ValueError("three is not allowed")
    return 2 * task
