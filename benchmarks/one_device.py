"""Every job on the device that jax finds, beside Flax and PyTorch.

python benchmarks/one_device.py                 # part 4, 64 seeds, two cards and the sizes

Each row is measured in a process of its own; on a CPU it keeps to one core. PyTorch computes on the
same device, and is left out where it cannot. Each time ends when its results are there.
"""

import dataclasses
import importlib.util
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import surroundings
from learner import JOB, SMALL_JOB
from peers import PEERS
from sizes import FORMS, LIBRARIES, MATRIX_SIZES, SIZES, Size, measure
from surroundings import markdown_table, measured_apart

import echo_jax
from echo_jax import machine

OF_TRAINING = {"echo_jax": "echo_jax", "Flax": "linen", "PyTorch": "pytorch"}  # in the race
CARDS = ("lstm", "block:mamba2")
SMALL = echo_jax.Protocol(lags=4, updates=2, updates_at_once=1, pilot_updates=1, streams=8)


def main(rounds: int = 7, fast: bool = False, out: Path | None = None) -> None:
    """Measure part 4, 64 seeds, two cards and one layer at several sizes on the device of jax.

    Args:
      rounds: times that everything but a card is measured.
      fast: use very small sizes, to see that everything works; the times mean nothing.
      out: a new JSON file for every time that was measured.
    """
    # Else jax takes most of a GPU's memory, and PyTorch and the processes of the rows find none.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    with surroundings.measuring(out) as (measured, core):
        measured["device"] = machine.device()
        on = core if jax.default_backend() == "cpu" else None
        names = [name for name in LIBRARIES if name != "PyTorch" or torch_has_the_device()]
        rows: list[dict[str, Any]] = []
        for seeds in (1, 64):
            job = {"job": "part 4" if seeds == 1 else f"part 4, {seeds} seeds", "unit": "us"}
            for name in names if seeds == 1 else names[:1]:
                point = (job | {"by": name}, (name, seeds, rounds, fast))
                rows += measured_apart(on, train, [point])
        points: list[Any] = [
            ({"job": f"card of `{cell}`", "unit": "s"}, (cell, fast)) for cell in CARDS
        ]
        rows += measured_apart(on, card, points)
        for tried, peers in (SIZES, LIBRARIES), (MATRIX_SIZES, (FORMS[0], FORMS[2])):
            those = tuple(peer for peer in peers if peer.split()[0] in names)
            points = [
                ({"job": named(size), "unit": "ms"}, (size, those, rounds, seconds))
                for size, seconds in [
                    (x, 0.01 if fast else 0.4) for x in tried[: 1 if fast else None]
                ]
            ]
            rows += measured_apart(on, measure, points)
        measured["rows"] = rows
        print(f"{table(rows, names)}\n\nDevice: {measured['device']}")


def torch_has_the_device() -> bool:
    """Return True if PyTorch is installed, and computes on the kind of device that jax has."""
    if importlib.util.find_spec("torch") is None:
        return False
    torch: Any = importlib.import_module("torch")
    return jax.default_backend() == "cpu" or torch.cuda.is_available()


def train(name: str, seeds: int, rounds: int, fast: bool) -> dict[str, Any]:
    """The microseconds of an update of a seed in each round of 100 sequences."""
    job = dataclasses.replace(SMALL_JOB if fast else JOB, seeds=seeds)
    learner = PEERS[OF_TRAINING[name]].learner(job)
    learner.warm_up()
    updates = 100 * job.task.updates_per_sequence * seeds
    return {"times": {name: [1e6 * learner.seconds(100) / updates for _ in range(rounds)]}}


def card(cell: str, fast: bool) -> dict[str, Any]:
    """The seconds of a default card without imports; compiling is part of it."""
    begin = time.perf_counter()
    if fast:
        echo_jax.card(cell, only="by-lag", seeds=1, protocol=SMALL, progress=False)
    else:
        echo_jax.card(cell, progress=False)
    return {"times": {"echo_jax": [time.perf_counter() - begin]}}


def named(size: Size) -> str:
    """A size in words."""
    return f"`{size.cell}`, {size.steps} steps, {size.rows} rows, {size.units} units"


def table(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """The median times of all jobs in Markdown; of a size, those of an update of the layer."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        line = lines.setdefault((row["job"], row["unit"]), {})
        for peer, times in row.get("times", row.get("update_milliseconds", {})).items():
            line[peer.split()[0]] = f"{statistics.median(times):,.2f}"
        if "failure" in row:
            line[row.get("by", "echo_jax")] = row["failure"]
    body = [[*job, *(line.get(name, "") for name in names)] for job, line in lines.items()]
    return markdown_table(["job", "unit", *names], body)


if __name__ == "__main__":
    surroundings.run(main)
