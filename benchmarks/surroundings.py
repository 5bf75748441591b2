"""Around a measurement: the command line, the machine and its load, processes, the results."""

import contextlib
import datetime
import importlib.metadata
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import tyro

from echo_jax import machine
from echo_jax.exceptions import ConfigError, reason

ONE_THREAD = dict.fromkeys((
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
), "1")  # fmt: skip
"""Environment that keeps the libraries of a process on one core to one thread."""

LIMIT = 900  # seconds, for an answer of a worker

Point = tuple[dict[str, Any], tuple]
"""The labels of what is measured, by their names, and the arguments of what measures it."""


def run(main: Callable[..., None]) -> None:
    """Run a program with its command line; an error that its user can correct is one sentence."""
    try:
        tyro.cli(main)
    except ConfigError as error:
        sys.exit(f"error: {error.spelled('flag')}")


@contextlib.contextmanager
def measuring(out: Path | None) -> Iterator[tuple[dict[str, Any], int]]:
    """Gives a dictionary for what is measured, and the core to measure on; of Linux alone.

    Afterwards the machine and its load are printed, and everything is written into a new file.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise ConfigError("a benchmark keeps to one core, as only Linux lets it: run it there")
    if out and (out.exists() or not out.parent.is_dir()):
        raise ConfigError("out", out, "is there, or has no folder", "name a new file")
    measured: dict[str, Any] = {"command": sys.argv, "load before": os.getloadavg()}
    measured |= {"processor": machine.model(), "cores": machine.cores()}
    measured["time"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    measured["packages"] = {x.name: x.version for x in importlib.metadata.distributions()}
    yield measured, max(os.sched_getaffinity(0))
    measured["load after"] = os.getloadavg()
    cores, (before, *_), (after, *_) = (measured[x] for x in ("cores", "load before", "load after"))
    print(f"\n({measured['processor']}, {cores} cores, load {before:.2f}, {after:.2f}.)")
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
    headings: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)
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


class WorkerError(RuntimeError):
    """A worker that failed, ended, or gave no reply in time."""


@contextlib.contextmanager
def pinned(core: int | None, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Within it this process runs on one core; with None, on all.

    Processes that it starts inherit the core, one thread a library, and the environment, and run
    no file of the current folder.
    """
    allowed, before = os.sched_getaffinity(0), dict(os.environ)
    os.sched_setaffinity(0, allowed if core is None else {core})
    os.environ.update({**ONE_THREAD, "PYTHONSAFEPATH": "1", **(environment or {})})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        os.environ.clear()
        os.environ.update(before)


class Worker(contextlib.AbstractContextManager):
    """A process that calls functions for this one; it is killed at the end of the `with`."""

    def __init__(self) -> None:
        """The process starts at the first call, in the surroundings that this one has then."""
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _print_nothing)

    def __exit__(self, *_: object) -> None:
        """Kill the process, and others that this one started in the same way."""
        for process in multiprocessing.active_children():
            process.kill()
        self._pool.shutdown()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of a function of a module; WorkerError without one in `LIMIT` seconds."""
        try:
            return self._pool.submit(function, *arguments).result(LIMIT)
        except TimeoutError:
            raise WorkerError(f"no answer in {LIMIT} s") from None
        except Exception as error:  # also of a process that ended
            raise WorkerError(reason(error)) from error


def torch_device(torch: Any) -> str:
    """The device for PyTorch: a GPU where jax computes on one; else the CPU, with one thread."""
    import jax

    torch.set_num_threads(1)
    return "cuda" if jax.default_backend() == "gpu" else "cpu"


def measured_apart(
    core: int | None, function: Callable[..., dict[str, Any]], points: Iterable[Point]
) -> list[dict[str, Any]]:
    """A row for each point: its labels, and what the function gives of its arguments.

    One point after the other has a fresh process, on the core; equal ones are measured once. Of a
    point that cannot be measured the row has a `failure`.
    """
    found: dict[Any, dict[str, Any]] = {}
    rows = []
    for labels, arguments in points:
        say(" ".join(map(str, labels.values())))
        if arguments not in found:
            with pinned(core), Worker() as worker:
                try:
                    found[arguments] = worker.call(function, *arguments)
                except WorkerError as error:
                    found[arguments] = {"failure": str(error)}
        rows.append(labels | found[arguments])
    return rows


def _print_nothing() -> None:
    """Drop what the libraries of this process print."""
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
