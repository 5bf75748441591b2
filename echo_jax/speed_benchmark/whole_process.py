"""The time of a whole `train` process, from its start to its end."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def measure(fast: bool) -> dict[str, list[float]]:
    """Seconds of `train --lag 1 --window 5`: `cold`, its cache empty, and `cached`, filled."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if fast:
            return {"cold": [_seconds(folder, "--sequences", "20")]}
        cold = [_seconds(Path(tempfile.mkdtemp(dir=folder))) for _ in range(3)]
        _seconds(folder)
        return {"cold": cold, "cached": [_seconds(folder) for _ in range(3)]}


def _seconds(folder: Path, *arguments: str) -> float:
    """Of a process whose cache is in the folder."""
    out = Path(tempfile.mkdtemp(dir=folder)) / "run"
    part_4 = ("--lag", "1", "--window", "5", "--out", str(out))
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "echo_jax", "train", *part_4, *arguments],
        check=True,
        capture_output=True,
        timeout=120,
        env={**os.environ, "XDG_CACHE_HOME": str(folder)},
    )
    return time.perf_counter() - begin


def lines(measured: Mapping[str, Sequence[float]], training: float) -> str:
    """Medians and ranges, and what is left of them without the seconds of training."""
    how = {"cold": "with an empty cache", "cached": "with a filled cache"}
    return "\n".join(
        f"train --lag 1 --window 5, whole process {how[name]}: {statistics.median(seconds):.2f} s "
        f"({min(seconds):.2f} .. {max(seconds):.2f}), outside training "
        f"{statistics.median(seconds) - training:.2f} s"
        for name, seconds in measured.items()
    )
