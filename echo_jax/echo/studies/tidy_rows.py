"""The numbers of a study as plain dictionaries, one number a column, for CSV and pandas. No jax.

Names are those of the rows of results. Fractions are fractions, and unknown is None.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from echo_jax.echo.run.result import SeedScores
from echo_jax.echo.studies import study_tables
from echo_jax.echo.studies.catalogue import Chart, Study
from echo_jax.echo.studies.result_rows import ResultRow, limit, scores, summary
from echo_jax.echo.target_place import knowable_share

OF_SEEDS = tuple(name for name in SeedScores.__struct_fields__ if name != "seed")


def tables(
    study: Study, rows: Sequence[ResultRow]
) -> dict[str, Callable[[], list[dict[str, Any]]]]:
    """Functions that make the tidy rows, by what is added to the name of their file."""
    return {
        "": functools.partial(summaries, rows),
        "-seeds": functools.partial(seeds, rows),
        "-pairs": functools.partial(comparisons, study, rows),
        "-curves": functools.partial(curves, study.chart, rows),
    }


def summaries(rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """A row for each grid point and score: its median over n seeds, and the interval of that.

    at_least  training ended before 99%, so that the median is a lower bound; high is None where
              it has no bound
    chance, order_blind, knowable  the baselines and the ceiling of the score, where it has them
    """
    measured = [f"{m} {what}" for row in rows for m, of in row.measured.items() for what in of]
    names = [*OF_SEEDS, "updates_to_99", "rows_to_99", *dict.fromkeys(measured)]
    return [
        _of_point(row, rows) | _summary(row, name)
        for row in rows
        for name in names
        if (values := scores(row, name)) and not isinstance(values[0], list)
    ]


def _of_point(row: ResultRow, rows: Sequence[ResultRow]) -> dict[str, Any]:
    """The columns of a grid point; labels that only some rows have are None in the others."""
    return {
        "point": row.point,
        "cell": row.config.network.cell,
        "parameters": row.parameters,
        "sequences": row.sequences,
        "updates": row.updates,
        "seconds": row.seconds["train"],
        "bytes": row.bytes,
        **dict.fromkeys(label for each in rows for label in each.labels),
        **row.labels,
    }


def _summary(row: ResultRow, name: str) -> dict[str, Any]:
    median, interval, _ = summary(row, name)
    low, high = interval[:2] if interval else (None, None)
    most = limit(row, name)
    return {
        "score": name,
        "median": min(median, most),
        "low": None if low is None else min(low, most),
        "high": None if high is None or high > most else high,
        "at_least": median > most,
        "n": row.config.seeds,
        "chance": getattr(row, f"baseline_{name}", None),
        "order_blind": getattr(row, f"order_blind_{name}", None),
        "knowable": knowable_share(row.config) if name == "accuracy" else None,
    }


def seeds(rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """A row for each grid point and seed; a score that was never reached is None."""
    return [
        _of_point(row, rows) | {name: values[i] for name, values in of.items()}
        for row in rows
        if (of := msgspec.to_builtins(row.by_seed))
        for i in range(row.config.seeds)
    ]


def comparisons(study: Study, rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """A row for each pair and score: the median of second - first, p, and p adjusted by Holm."""
    return [
        {
            "first": pair.first.point,
            "second": pair.second.point,
            "score": pair.score,
            "median": pair.comparison.median,
            "low": pair.comparison.interval.low,
            "high": pair.comparison.interval.high,
            "superiority": pair.comparison.superiority,
            "p": pair.comparison.p_value,
            "p_holm": pair.p,
            "n": pair.first.config.seeds,
        }
        for pair in study_tables.compared(study, rows)
    ]


def curves(chart: Chart, rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """A row for each curve of the figure and place: the mean over the seeds."""
    by_name = study_tables.curves(chart, rows) if chart.kind == "curves" else {}
    return [
        {"curve": name, chart.x: place, "mean": None if math.isnan(value) else value}
        for name, curve in by_name.items()
        for place, value in curve.items()
    ]
