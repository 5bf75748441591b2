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
    "rows_apart missing", at one of its places "probe before 1".
    """
    if name.endswith("_to_99"):
        times = _in_a_sequence(row, name)
        return [None if n is None else n * times for n in row.by_seed.sequences_to_99]
    measure, *what = name.split()
    if what:
        values: list = row.measured.get(measure, {}).get(what[0], [])
        return [value[int(what[1])] for value in values] if what[1:] else values
    return getattr(row.by_seed, name, None) or []


def _in_a_sequence(row: ResultRow, name: str) -> int:
    task = row.config.task
    updates = task.updates_per_sequence
    return {"updates_to_99": updates, "rows_to_99": updates * task.batch_size}.get(name, 1)


def limit(row: ResultRow, name: str) -> float:
    """The number above which a score is not known, because training ended there; else infinite."""
    trained = row.trained.sequences * _in_a_sequence(row, name)
    return trained if name.endswith("_to_99") else math.inf


def summary(row: ResultRow, name: str) -> Summary:
    """The median of a score over the seeds and its interval; no interval for one seed."""
    return statistics.summary_of(scores(row, name))._replace(cut_short=row.cut_short)


def shown(row: ResultRow, name: str, pattern: Callable[[float], str]) -> str:
    """A median and its interval as text, "99.73% (99.70 to 99.77)"; "-" if not measured.

    What was not reached is above what training had: >2,000, or 1,489 (1,450 to >2,000).
    """
    if not scores(row, name):
        return "-"
    most = limit(row, name)

    def write(value: float) -> str:
        return f">{pattern(most)}" if value > most else pattern(value)

    middle, interval, _ = summary(row, name)
    if interval is None or math.isinf(interval.low):
        return write(middle)
    low = write(interval.low).removesuffix("%")
    high = write(interval.high).removesuffix("%")
    return f"{write(middle)} ({low} to {high})"


def places(row: ResultRow, name: str) -> tuple[int, list[float]]:
    """The first of P places, and a score at each, its mean over the seeds.

    A place is a position in the sequence for accuracy_by_position, which begins at the time of the
    first row of a batch, and an index from 0 for what a measure finds.
    """
    if name == "accuracy_by_position":
        task = row.config.task
        first = 0 if task.in_streams else task.row_times[0]
        return first, [math.nan if x is None else x for x in row.accuracy_by_position or []]
    return 0, np.array(scores(row, name), float).mean(axis=0).tolist()
