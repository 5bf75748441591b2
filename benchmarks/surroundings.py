"""Around a measurement: the command line, the machine and its load, the file of results."""

import contextlib
import datetime
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable, Iterator
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


def say(line: str) -> None:
    """Print progress to standard error; standard output has the results alone."""
    print(line, file=sys.stderr, flush=True)
