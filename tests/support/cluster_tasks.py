"""Tasks for workers: they run wherever this file is importable, or is sent."""

import os
import time
from pathlib import Path

BEFORE_DEATH = 1.0
"""Seconds: Dask does not replace a worker that dies before its start has been noted."""


def double(task, report):
    return 2 * task


def die_once(task, report):
    """Kill the worker at the first try of each task; `task` is a path, which marks it."""
    marker = Path(task)
    if not marker.exists():
        marker.touch()
        time.sleep(BEFORE_DEATH)
        os.kill(os.getpid(), 9)
    return marker.name


def die_at_seven(task, report):
    if task == 7:
        time.sleep(BEFORE_DEATH)
        os._exit(1)
    return 2 * task


def fail_at_three(task, report):
    if task == 3:
        raise ValueError("three is not allowed")
    return 2 * task
