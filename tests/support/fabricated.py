"""Rows of results that no training made: of a grid point, with any scores. No jax here."""

import math

import msgspec
import numpy as np

from echo_jax.echo.studies.grid_point import GridPoint
from echo_jax.echo.studies.result_rows import RESULT_ROWS, ResultRow, shapes_of
from echo_jax.report.number_formats import plain


def row(point: GridPoint, rng, accuracy=None, reached=None) -> ResultRow:
    """A row with random scores, except for those that are given.

    Args:
      point: whose row it is.
      rng: numpy's, or a number.
      accuracy: of every seed; one number or a list of as many as seeds.
      reached: sequences to 99%, the same; "never" where a seed does not reach it.
    """
    rng = np.random.default_rng(rng)
    config, seeds = point.config, point.config.seeds
    sequences = config.training.sequences
    updates = sequences * config.task.updates_per_sequence
    accuracies = rng.random(seeds) if accuracy is None else np.full(seeds, accuracy, float)
    counts = rng.integers(1, 2 * sequences + 1, seeds).tolist()
    if reached is not None:
        counts = list(np.broadcast_to(np.array(reached, object), seeds))
    never = [n == "never" or (n > sequences and reached is None) for n in counts]
    values = {
        "point": point.name,
        "labels": point.labels,
        "config": config,
        "until_learned": point.until_learned,
        "updates": updates,
        "parameters": int(rng.integers(100, 10000)),
        "bytes": int(rng.integers(2**18, 2**28)),
        **baselines(config.task.vocab_size),
        "by_seed": by_seed(config, accuracies)
        | {"sequences_to_99": [None if no else n for n, no in zip(counts, never, strict=True)]},
        "accuracy_by_position": plain(by_position(config, accuracies.mean())),
        "measured": {name: found(name, config, rng) for name in point.measures},
        "failed": {"seed": [], "sequence": []},
        "seconds": {
            "compile": 1.0, "train": 30.5, "evaluate": 0.5, "measure": 0.0, "update": 0.002,
        },
        "versions": {"python": "3.11", "jax": "0.7"},
        "date": "2025-01-02",
        "device": None,
        **point.source,
    }  # fmt: skip
    return msgspec.convert(values, ResultRow)


def changed_row(row: ResultRow, **fields) -> ResultRow:
    """The row with other values of some fields, named and written as in the file."""
    return msgspec.convert(msgspec.to_builtins(row) | fields | {"config": row.config}, ResultRow)


def by_seed(config, accuracies):
    """The scores of every seed but the sequences to 99%."""
    bits = accuracies * math.log2(config.task.vocab_size)
    scores = {
        "seed": list(range(config.seed, config.seed + config.seeds)),
        "accuracy": accuracies,
        "loss": math.log(config.task.vocab_size) - bits * math.log(2),
        "distance": (1 - accuracies) * config.task.vocab_size / 3,
    }
    return plain(scores | ({"recalled_bits": bits} if config.task.framing == "classes" else {}))


def baselines(vocab_size):
    chance = {"baseline_accuracy": 1 / vocab_size, "baseline_loss": math.log(vocab_size)}
    blind = {"order_blind_accuracy": 0.2, "order_blind_loss": 1.5}
    return chance | blind | {"baseline_distance": vocab_size / 4}


def by_position(config, mean):
    """The accuracy at every row, the same at all; streams have no target at the first `lag`."""
    task = config.task
    if task.layout != "streams":
        return np.full(len(task.row_times), mean) if len(task.row_times) <= 64 else None
    return np.where(np.arange(task.length) < task.lag, np.nan, mean)


def found(name, config, rng):
    """What a measure finds in every seed."""
    values = {}
    for what, shape in shapes_of(config.task)[name].items():
        drawn = rng.random((config.seeds, *shape)) * (25 if what == "distinct" else 1)
        if what == "answers":
            drawn = rng.integers(0, config.task.vocab_size, drawn.shape)
        values[what] = plain(drawn)
    return values


def study_rows(study, rng=0, **scores):
    """A row of every grid point of a study, all with the same given scores."""
    rng = np.random.default_rng(rng)
    return [row(point, rng, **scores) for point in study.points]


def write(path, rows):
    """Append rows to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    RESULT_ROWS.append(path, rows)
