"""The scores of a row of results, by name: values of the seeds, medians, intervals, text."""

import math
from collections.abc import Callable

import numpy as np

from echo_jax import statistics
from echo_jax.statistics import Summary
from echo_jax.studies.result_rows import ResultRow


def scores(row: ResultRow, name: str) -> list:
    """A score of every seed, None for never; an empty list where it was not measured.

    Its name is a field of `by_seed`, updates_to_99 or rows_to_99, or a measure and what it finds,
    "rows_apart missing".
    """
    if name in ("updates_to_99", "rows_to_99"):
        task = row.config.task
        scale = task.updates_per_sequence * (task.batch_size if name == "rows_to_99" else 1)
        return [None if n is None else n * scale for n in row.by_seed.sequences_to_99]
    measure, _, what = name.partition(" ")
    if what:
        return row.measured.get(measure, {}).get(what, [])
    return getattr(row.by_seed, name, None) or []


def summary(row: ResultRow, name: str) -> Summary:
    """The median of a score over the seeds and its interval; no interval for one seed."""
    return statistics.summary_of(scores(row, name))


def shown(row: ResultRow, name: str, pattern: Callable[[float], str]) -> str:
    """A median and its interval as text, "99.73% (99.70 to 99.77)"; "-" if not measured."""
    if not scores(row, name):
        return "-"
    middle, interval = summary(row, name)
    if interval is None or math.isinf(interval.low):
        return pattern(middle)
    low, high = (pattern(bound).removesuffix("%") for bound in interval[:2])
    return f"{pattern(middle)} ({low} to {high})"


def places(row: ResultRow, name: str) -> tuple[int, list[float]]:
    """The first of P places, and a score at each, its mean over the seeds.

    A place is a position in the sequence for accuracy_by_position, which begins at the time of the
    first row of a batch, and an index from 0 for what a measure finds.
    """
    if name == "accuracy_by_position":
        task = row.config.task
        first = 0 if task.layout == "streams" else task.row_times[0]
        return first, [math.nan if x is None else x for x in row.accuracy_by_position or []]
    return 0, np.array(scores(row, name), float).mean(axis=0).tolist()
