"""The time of whole processes: of `train`, and of an external program that does the job."""

import math
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

from worker import pinned

from echo_jax.exceptions import ConfigError

TRAIN = [sys.executable, "-P", "-m", "echo_jax", "train", "--lag", "1", "--window", "5"]
NUMBER = r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?"


def train_seconds(repeats: int) -> dict[str, list[float]]:
    """Seconds of `train --lag 1 --window 5` with an `empty` cache, and with a `filled` one."""
    seconds: dict[str, list[float]] = {"empty": [], "filled": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            for number, state in enumerate(seconds):
                command = [*TRAIN, "--out", f"{cache}/run{number}"]
                environment, begin = os.environ | {"XDG_CACHE_HOME": cache}, time.perf_counter()
                subprocess.run(command, check=True, capture_output=True, env=environment)
                seconds[state].append(time.perf_counter() - begin)
    return seconds


def train_lines(seconds: dict[str, list[float]], training: float) -> str:
    """Medians and ranges, and what is left of them without the seconds of training."""
    return "\n".join(
        f"train --lag 1 --window 5, whole process, {state} cache: {statistics.median(times):.2f} s "
        f"({min(times):.2f} .. {max(times):.2f}), outside training "
        f"{statistics.median(times) - training:.2f} s"
        for state, times in seconds.items()
        if times
    )


def limit_microseconds(command: str, core: int) -> float:
    """Run an external program on one core; the microseconds per update that it prints."""
    try:
        with pinned(core):
            done = subprocess.run(
                shlex.split(command), check=True, capture_output=True, text=True, timeout=300
            )
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        raise ConfigError(
            "limit", command, f"failed ({error})", "give a command that runs by itself"
        ) from error
    return microseconds(done.stdout)


def microseconds(printed: str) -> float:
    """Microseconds per update from the last line that was printed; ConfigError without a time.

    us_per_update 22.60 min 22.45      22.60
    done in 3 s, 22.4 us               22.4
    """
    last = (printed.strip().splitlines() or [""])[-1]
    numbers = re.findall(rf"us_per_update\s+({NUMBER})", last) or re.findall(NUMBER, last)[-1:]
    if not numbers or not 0 < float(numbers[0]) < math.inf:
        raise ConfigError(
            "limit", last, "is no time in its last line", "print microseconds per update, above 0"
        )
    return float(numbers[0])
