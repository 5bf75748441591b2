"""What a row says, by the name of a score: values of the seeds, medians, intervals, in words."""

import math
from collections.abc import Callable

import numpy as np

from echo_jax import statistics
from echo_jax.config import from_dict
from echo_jax.statistics import Summary
from echo_jax.studies.records import Row


def scores(row: Row, name: str) -> list[float | None]:
    """A score of every seed; None where there is none, or where it was never reached.

    Besides those of `by_seed`: updates and rows until 99%, the seconds of training a seed took, and
    what was measured, as in "rows_apart missing".
    """
    by_seed = row["by_seed"]
    if name in by_seed:
        return by_seed[name]
    if name in ("updates_to_99", "rows_to_99"):
        updates = from_dict(row["config"]).task.updates_per_sequence
        each = updates * (row["config"]["task"]["batch_size"] if name == "rows_to_99" else 1)
        return [None if n is None else n * each for n in by_seed["sequences_to_99"]]
    if name == "seconds":
        return [row["seconds"]["train"]]
    measure, _, what = name.partition(" ")
    return row["measured"][measure][what]


def summary(row: Row, name: str) -> Summary:
    """The median of a score over the seeds and its interval; none of one seed."""
    return statistics.summary_of(scores(row, name))


def median(row: Row, name: str) -> float:
    """The median of a score over the seeds; infinite where most never reached it."""
    return summary(row, name).median


def shown(row: Row, name: str, pattern: Callable[[float], str]) -> str:
    """A median and its interval, 99.73% (99.70 to 99.77); the one alone where there is no other."""
    known = {**row["by_seed"], **row["measured"], "updates_to_99": 0, "rows_to_99": 0}
    if known.get(name.split()[0]) is None:
        return "-"
    found = summary(row, name)
    middle = pattern(found.median)
    if found.interval is None or math.isinf(found.interval.low):
        return middle
    low, high = (pattern(bound).removesuffix("%") for bound in found.interval[:2])
    return f"{middle} ({low} to {high})"


def places(row: Row, name: str) -> tuple[int, list[float]]:
    """What is known of each place, the mean over the seeds: the first place, and the values.

    The accuracy by position starts at the time of the first row.
    """
    if name == "accuracy_by_position":
        task = from_dict(row["config"]).task
        first = 0 if task.layout == "streams" else task.row_times[0]
        return first, [math.nan if x is None else x for x in row[name]]
    values = np.array(scores(row, name), float)
    return 0, values.mean(axis=0).tolist()
