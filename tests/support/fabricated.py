"""Rows that no training made: of a cell, with any scores. No jax here, as in what reads rows."""

import math

import numpy as np

from echo_jax.report import number_formats
from echo_jax.studies import records
from echo_jax.studies.catalogue import Cell

PLACES = {"probe": 9, "follows": 10, "fed_back": 8}


def row(cell: Cell, rng, accuracy=None, reached=None, **measured):
    """A row of a cell: scores drawn at random, but for those that are given for all its seeds.

    Args:
      cell: whose row it is.
      rng: numpy's, or a number.
      accuracy: of every seed; one number or a list of as many as seeds.
      reached: sequences to 99%, the same; None for never, which is drawn where it is not given.
      measured: what measures found, as in `probe_before=[...]`, the same for all seeds.
    """
    rng = np.random.default_rng(rng)
    config, seeds = cell.config, cell.config.seeds
    vocab_size, sequences = config.task.vocab_size, config.training.sequences
    accuracies = rng.random(seeds) if accuracy is None else np.full(seeds, accuracy, float)
    drawn = rng.integers(1, 2 * sequences + 1, seeds)
    counts = [int(n) if n <= sequences else None for n in drawn]
    if reached is not None:
        counts = list(np.broadcast_to(np.array(reached, object), seeds))
    bits = accuracies * math.log2(vocab_size)
    by_seed = {
        "seed": list(range(seeds)),
        "accuracy": accuracies,
        "loss": math.log(vocab_size) - bits * math.log(2),
        "distance": (1 - accuracies) * vocab_size / 3,
        "sequences_to_99": [None if n in (None, "never") else int(n) for n in counts],
    }
    if config.task.framing == "classes":
        by_seed["recalled_bits"] = bits
    made = cell.identity | {
        "trained": {
            "sequences": sequences, "updates": sequences * config.task.updates_per_sequence,
        },
        "parameters": int(rng.integers(100, 10000)),
        "bytes": int(rng.integers(2**18, 2**28)),
        "floors": floors(vocab_size),
        "by_seed": number_formats.plain(by_seed),
        "accuracy_by_position": number_formats.plain(by_position(config, accuracies.mean())),
        "measured": {name: found(name, config, rng, measured) for name in cell.measures},
        "failed": {"seed": [], "sequence": []},
        "seconds": {
            "compile": 1.0, "train": 30.5, "evaluate": 0.5, "measure": 0.0, "update": 0.002,
        },
        "versions": {"python": "3.11", "jax": "0.7"},
        "date": "2025-01-02",
    }  # fmt: skip
    return made | {"digest": records.digest(made)}


def floors(vocab_size):
    chance = {"accuracy": 1 / vocab_size, "loss": math.log(vocab_size)}
    blind = {"order_blind_accuracy": 0.2, "order_blind_loss": 1.5}
    return chance | blind | {"distance": vocab_size / 4}


def by_position(config, mean):
    """The accuracy at every row, the same at all; streams have no target at the first `lag`."""
    task = config.task
    if task.layout != "streams":
        return np.full(len(task.row_times), mean) if len(task.row_times) <= 64 else None
    return np.where(np.arange(task.length) < task.lag, np.nan, mean)


def found(name, config, rng, given):
    """What a measure finds in every seed."""

    def each(what, *shape, values=None):
        drawn = rng.random((config.seeds, *shape)) if values is None else values
        if f"{name}_{what}" in given:
            drawn = np.broadcast_to(given[f"{name}_{what}"], (config.seeds, *shape))
        return number_formats.plain(np.asarray(drawn))

    places = PLACES.get(name)
    if name == "other_state":
        return {"accuracy": each("accuracy")}
    if name == "rows_apart":
        return {"missing": each("missing"), "full": each("full")}
    if name == "follows":
        return {"trained": each("trained", places), "untrained": each("untrained", places)}
    if name == "probe":
        kinds = {"before": each("before", places), "after": each("after", places)}
        return {"network": each("network")} | kinds
    answers = rng.integers(0, config.task.vocab_size, (config.seeds, 50))
    distinct = rng.uniform(1, 25, (config.seeds, places))
    return {
        "answers": each("answers", 50, values=answers),
        "distinct": each("distinct", places, values=distinct),
        "repeats": each("repeats"),
    }


def study_rows(study, rng=0, **scores):
    """A row of every cell of a study, all with the same given scores."""
    rng = np.random.default_rng(rng)
    return [row(cell, rng, **scores) for cell in study.cells]


def write(path, made):
    """Put rows into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for each in made:
        records.append(path, each)
