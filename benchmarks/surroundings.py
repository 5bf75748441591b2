"""Around a measurement: the command line, the machine and its load, the file of results."""

import contextlib
import datetime
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tyro

from echo_jax import machine
from echo_jax.exceptions import ConfigError


def run(main: Callable[..., None]) -> None:
    """Run a program with its command line; an error that its user can correct is one sentence."""
    try:
        tyro.cli(main)
    except ConfigError as error:
        sys.exit(f"error: {error.spelled('flag')}")


@contextlib.contextmanager
def measuring(out: Path | None) -> Iterator[tuple[dict[str, Any], int]]:
    """Gives a dictionary for what is measured, and the core to measure on.

    Afterwards the machine and its load are printed, and everything is written into a new file.
    """
    if not hasattr(os, "sched_getaffinity"):
        raise ConfigError("this system gives no process a core of its own: use Linux")
    if out and (out.exists() or not out.parent.is_dir()):
        raise ConfigError("out", out, "is there, or has no folder", "name a new file")
    measured: dict[str, Any] = {"command": sys.argv, "load before": os.getloadavg()}
    measured |= {"processor": machine.model(), "cores": machine.cores()}
    measured["time"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    measured["packages"] = {
        package.name: package.version for package in importlib.metadata.distributions()
    }
    yield measured, max(os.sched_getaffinity(0))
    measured["load after"] = os.getloadavg()
    before, after = (measured[f"load {when}"][0] for when in ("before", "after"))
    print(
        f"\n({measured['processor']}, {measured['cores']} cores, load {before:.2f}, {after:.2f}.)"
    )
    if out:
        out.write_text(json.dumps(measured, indent=2, allow_nan=False), encoding="utf-8")


def seconds_of_calls(call: Callable[[], Any], seconds: float) -> list[float]:
    """The seconds of each call, of at least three and so many that they fill `seconds`."""
    calls: list[float] = []
    while len(calls) < 3 or sum(calls) < seconds:
        begin = time.perf_counter()
        call()
        calls.append(time.perf_counter() - begin)
    return calls


def markdown_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> str:
    """A table whose columns are aligned to the right, but for those of `left`.

    Of a row that could not be measured the last entries are missing.
    """
    rules = ["---" if column in left else "---:" for column in range(len(headings))]
    full_rows = [[*row, *[""] * (len(headings) - len(row))] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rules, *full_rows))


def say(line: str) -> None:
    """Print progress to standard error; standard output has the results alone."""
    print(line, file=sys.stderr, flush=True)
