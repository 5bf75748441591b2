"""The tables and the figure of a study: scores, paired tests and curves, also as plain rows.

No jax here.
"""

import functools
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from echo_jax import statistics
from echo_jax.echo.run.result import SeedScores
from echo_jax.echo.studies.catalogue import Chart, Study
from echo_jax.echo.studies.result_rows import ResultRow, limit, places, scores, shown, summary
from echo_jax.echo.target_place import knowable_share
from echo_jax.report.number_formats import decimals, number, percent
from echo_jax.report.styles import WIDTH
from echo_jax.report.text_tables import Table
from echo_jax.statistics import Summary

if TYPE_CHECKING:
    from echo_jax.report.charts import NotebookFigure

RAISED = 0.04  # of y: how far one of equal lines is drawn above another

AXIS_NAMES = {
    "accuracy": "accuracy on fresh sequences",
    "recalled_bits": "recalled bits a token",
    "accuracy_by_position": "accuracy",
    "probe before": "share of values the probe finds",
    "probe before 1": "states that hold the value",
    "follows trained,follows untrained": "answers that follow an input",
    "fed_back distinct": "different values in 25 answers",
    "lag": "lag, in steps back",
    "sequences": "training sequences",
    "length": "integers in a sequence",
    "hidden": "units in the layer",
}


def drawn(chart: Chart, rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the `rows` that the figure of `chart` shows."""
    return [row for row in rows if not chart.leave_out(row.labels)]


def curves(chart: Chart, rows: Sequence[ResultRow]) -> dict[str, dict[int, float]]:
    """Return the curves of `chart` by name, each with the mean score of the seeds by place.

    A place is a time in the sequence or an index of a measure, as in `result_rows.places`.
    """
    by_name = {}
    for row in drawn(chart, rows):
        for score in chart.y.split(","):
            part = f", {score.split()[-1]}" if "," in chart.y else ""
            first, values = places(row, score)
            by_name[series_name(chart, row) + part] = dict(enumerate(values, first))
    return by_name


def figure(chart: Chart, rows: Sequence[ResultRow], width: float = WIDTH) -> "NotebookFigure":
    """Return the matplotlib figure of `chart` for `rows`, `width` inches wide."""
    from echo_jax.report import charts  # imports matplotlib, which few commands need

    rows = drawn(chart, rows)
    labels = [AXIS_NAMES.get(name, name) for name in (chart.x, chart.y)]
    shares = chart.y in ("accuracy", "probe before 1")
    if chart.kind == "dots":
        at = _dot_rows(chart, rows)
        dots = [
            (place, {series_name(chart, row): summary(row, chart.y) for row in some})
            for place, some in at.items()
        ]
        chance = [some[0].baseline_accuracy if shares else None for some in at.values()]
        return charts.dots_figure(dots, chance, labels[1], shares, width)
    lines = _lines(chart, rows)
    if chart.kind == "curves":
        shares = all(mean.median <= 1 for line in lines.values() for _, mean in line)
    if chart.raised:
        lines = charts.raised(lines, RAISED)
        labels[1] += " (equal lines are drawn apart)"
    chances = {row.baseline_accuracy for row in rows}
    baseline = min(chances) if shares and len(chances) == 1 else None
    return charts.lines_figure(lines, labels, baseline, shares, chart.log_x, width)


def _lines(chart: Chart, rows: Sequence[ResultRow]) -> dict[str, list[tuple[float, Summary]]]:
    """Return the points of the lines of `chart`, by the name of the line.

    A point is the value of x and the `Summary` of y. The points of curves have no intervals.
    """
    lines: dict[str, list[tuple[float, Summary]]] = {}
    if chart.kind == "curves":
        for name, curve in curves(chart, rows).items():
            lines[name] = [(place, Summary(value, None)) for place, value in curve.items()]
        return lines
    for row in rows:
        point = (float(row.labels[chart.x]), summary(row, chart.y))
        lines.setdefault(series_name(chart, row), []).append(point)
    return lines


def _dot_rows(chart: Chart, rows: Sequence[ResultRow]) -> dict[str, list[ResultRow]]:
    apart = chart.series.split(",")
    at: dict[str, list[ResultRow]] = {}
    for row in rows:
        labels = (f"{name} {value}" for name, value in row.labels.items() if name not in apart)
        at.setdefault(", ".join(labels), []).append(row)
    return at


def series_name(chart: Chart, row: ResultRow) -> str:
    """Return the name of the line or curve of `chart` that `row` belongs to.

    The name is "" if the chart has dots or lines without labels that name them.
    """
    if chart.name:
        return chart.name(row.labels)
    if not chart.series:
        return row.point if chart.kind == "curves" else ""
    values = {label: row.labels[label] for label in chart.series.split(",")}
    return ", ".join(
        value if isinstance(value, str) else f"{label} {value}" for label, value in values.items()
    )


Write = Callable[[float], str]
ColumnText = Callable[[ResultRow], str]


def _estimate(name: str, write: Write) -> ColumnText:
    return lambda row: shown(row, name, write)


def _bits(row: ResultRow) -> str:
    bits = shown(row, "recalled_bits", decimals)
    return bits if bits == "-" else f"{bits} of {row.baseline_loss / math.log(2):.2f}"


def _reached(row: ResultRow) -> str:
    """Return as text how many seeds reached 99%, with the interval of their share."""
    reached = scores(row, "sequences_to_99")
    count = sum(n is not None for n in reached)
    seeds = len(reached)
    share = statistics.wilson_interval(count, seeds)
    return f"{count} of {seeds} ({100 * share.low:.0f} to {100 * share.high:.0f}%)"


def _update_microseconds(row: ResultRow) -> float:
    seconds = row.seconds.get("update", row.seconds["train"] / row.updates)
    return 1e6 * seconds / row.config.seeds


def _share(fraction: float | UnsetType) -> str:
    return "-" if fraction is UNSET else percent(fraction)


COLUMNS: Mapping[str, ColumnText] = {
    "accuracy": _estimate("accuracy", percent),
    "chance": lambda row: percent(row.baseline_accuracy),
    "majority": lambda row: percent(row.baseline_accuracy),
    "order-blind": lambda row: percent(row.order_blind_accuracy),
    "persistence": lambda row: _share(row.persistence_accuracy),
    "k-gram": lambda row: _share(row.k_gram_accuracy),
    "can be known": lambda row: percent(knowable_share(row.config)),
    "recalled bits": _bits,
    "loss": _estimate("loss", "{:.4f}".format),
    "reached 99%": _reached,
    "sequences to 99%": _estimate("sequences_to_99", number),
    "updates to 99%": _estimate("updates_to_99", number),
    "rows to 99%": _estimate("rows_to_99", number),
    "sequences": lambda row: number(row.sequences),
    "updates": lambda row: number(row.updates),
    "seeds": lambda row: number(row.config.seeds),
    "seconds": lambda row: f"{row.seconds['train']:.1f}",
    "\u00b5s an update": lambda row: number(_update_microseconds(row)),
    "parameters": lambda row: number(row.parameters),
    "MiB": lambda row: number(row.bytes / 2**20),
    "late rows": _estimate("probe network", percent),
    "in the state before": _estimate("probe before 1", percent),
    "in the state after": _estimate("probe after 1", percent),
    "variance of the state": _estimate("newest variance", decimals),
    "by the newest value": _estimate("newest explained", decimals),
    "distance": _estimate("distance", decimals),
    "by chance": lambda row: decimals(row.baseline_distance or math.nan),
    "missing": _estimate("rows_apart missing", percent),
    "nothing missing": _estimate("rows_apart full", percent),
    "state swapped": _estimate("other_state accuracy", percent),
    "answers that repeat": _estimate("fed_back repeats", percent),
}
"""For each heading of a main table, the function that returns the entry of a row."""


def main_table(study: Study, rows: Sequence[ResultRow]) -> Table:
    """Return the table with a line for each of `rows`: its labels, and the columns of `study`."""
    labels = list(dict.fromkeys(label for row in rows for label in row.labels))
    lines = [
        [
            *(str(row.labels.get(label, "")) for label in labels),
            *(COLUMNS[column](row) for column in study.columns),
        ]
        for row in rows
    ]
    seeds = sorted({row.config.seeds for row in rows})
    coverage = {statistics.median_interval(np.zeros(n)).coverage for n in seeds if n > 1}
    interval = f", interval {' or '.join(f'{c:.0%}' for c in sorted(coverage))}" if coverage else ""
    parts = [f"Medians over {' or '.join(map(str, seeds))} seeds{interval}"]
    if missing := len(study.points) - len(rows):
        parts.append(f"Not finished: {missing} of {len(study.points)} grid points are missing")
    if any(re.search(r">\d", entry) for line in lines for entry in line[-len(study.columns) :]):
        parts.append("> before a number: training ended there, without reaching 99%")
    return Table(". ".join(parts), [*labels, *study.columns], lines)


PAIR_SCORES = {
    "accuracy": "accuracy, points",
    "recalled_bits": "recalled bits",
    "sequences_to_99": "sequences to 99%",
    "distance": "distance",
    "rows_apart missing": "accuracy where missing, points",
    "rows_apart full": "accuracy elsewhere, points",
}

PAIR_HEADINGS = ["with", "difference", "of", "median", "pairs above 0", "p", "p (Holm)"]

PAIR_CAPTION = (
    "Each line is the median difference of pairs of equal seeds, with its interval. p is from a "
    "sign-flip test: the probability of differences at least as large if each sign were random. p "
    "(Holm) is adjusted for all lines. Sequences to 99% have no line where a seed never reached "
    "99%."
)


class ComparedPair(NamedTuple):
    """A score of two rows, compared seed by seed.

    first, second  the rows
    score          the name of the score
    comparison     the comparison of the second row with the first
    p              the p-value of the comparison, adjusted for all comparisons of the study
    """

    first: ResultRow
    second: ResultRow
    score: str
    comparison: statistics.Comparison
    p: float


def compared(study: Study, rows: Sequence[ResultRow]) -> list[ComparedPair]:
    """Return the pairs of `study` whose `rows` exist, compared in each of the study's scores.

    The p values of all comparisons are adjusted together (Holm). A comparison is left out if there
    is only one seed, if the score was not measured, or if a seed lacks it: a seed that never
    reached 99% has no sequences until 99%.
    """
    by_name = {row.point: row for row in rows}
    pairs = [pair for pair in study.pairs if by_name.keys() >= set(pair)]
    every = []
    for (first, second), score in itertools.product(pairs, study.compared):
        before = scores(by_name[first], score)
        after = scores(by_name[second], score)
        if len(before) > 1 and None not in before + after:
            comparison = statistics.paired_comparison(before, after)
            every.append((by_name[first], by_name[second], score, comparison))
    adjusted = statistics.holm([comparison.p_value for *_, comparison in every])
    return [ComparedPair(*pair, p) for pair, p in zip(every, adjusted, strict=True)]


def pair_tables(study: Study, rows: Sequence[ResultRow]) -> list[Table]:
    """Return a list with the table of all comparisons of `study`; empty if it has none."""
    lines = []
    for first, second, score, test, p in compared(study, rows):
        before = first.labels
        after = second.labels
        same = [f"{name} {value}" for name, value in before.items() if after.get(name) == value]
        differing = [name for name in before if after.get(name) != before[name]]
        signs = (", ".join(str(side[name]) for name in differing) for side in (after, before))
        bounds = (test.median, *test.interval[:2])
        middle, low, high = (_difference(bound, score) for bound in bounds)
        line = [
            ", ".join(same) or "-",
            " - ".join(signs),
            PAIR_SCORES.get(score, score),
            f"{middle} ({low} to {high})",
            f"{test.superiority:.0%}",
            f"{test.p_value:.2g}",
            f"{p:.2g}",
        ]
        lines.append(line)
    return [Table(PAIR_CAPTION, PAIR_HEADINGS, lines)] if lines else []


def _difference(value: float, score: str) -> str:
    if "points" in PAIR_SCORES.get(score, score):
        return f"{100 * value:+.2f}"
    return format(value, "+,.0f" if score.endswith("_to_99") else "+.3g")


def curve_tables(chart: Chart, rows: Sequence[ResultRow]) -> list[Table]:
    """Return a list with the table of the curves of `chart`; empty for other kinds of charts."""
    if chart.kind != "curves":
        return []
    columns = curves(chart, rows)
    places = sorted({place for curve in columns.values() for place in curve})
    values = [value for curve in columns.values() for value in curve.values()]
    write = decimals if any(value > 1 for value in values) else percent
    lines = [
        [
            str(place),
            *(write(curve[place]) if place in curve else "-" for curve in columns.values()),
        ]
        for place in places
    ]
    return [Table("The figure in numbers: means over the seeds", [chart.x, *columns], lines)]


OF_SEEDS = tuple(name for name in SeedScores.__struct_fields__ if name != "seed")


def tidy_rows(
    study: Study, rows: Sequence[ResultRow]
) -> dict[str, Callable[[], list[dict[str, Any]]]]:
    """Return functions that make plain rows of `study` from `rows`, by a suffix of file names.

    A plain row has one value per column. The columns have the names of the fields of `ResultRow`
    where the row has such a field. Shares are fractions of 1, and an unknown value is None.
    """
    return {
        "": functools.partial(summaries, rows),
        "-seeds": functools.partial(seed_rows, rows),
        "-pairs": functools.partial(comparisons, study, rows),
        "-curves": functools.partial(curve_rows, study.chart, rows),
    }


def summaries(rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """Return a row for each grid point and score that has one number per seed.

    After the columns on the grid point, a row has these:

    score        the name of the score
    median       the median over the seeds
    low, high    the bounds of its interval; None for one seed, and None for a high that is above
                 the end of training
    at_least     True if training ended before 99%, so that the median is a lower bound
    n            the number of seeds
    chance       the baseline of the score, or None; for own values the majority baseline
    order_blind  the order-blind baseline of the score, or None
    knowable     for the accuracy, the share of targets that can be known; otherwise None
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
    """Return the columns on the grid point of `row`, one of `rows`.

    There is a column for each label of any row; it is None if `row` lacks the label.
    """
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


def seed_rows(rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """Return a row for each grid point and seed; a score that was never reached is None."""
    return [
        _of_point(row, rows) | {name: values[i] for name, values in of.items()}
        for row in rows
        if (of := msgspec.to_builtins(row.by_seed))
        for i in range(row.config.seeds)
    ]


def comparisons(study: Study, rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """Return a row for each comparison that `compared` returns.

    first, second  the names of the two grid points
    score          the name of the score
    median         the median of the differences second - first, over pairs of equal seeds
    low, high      the bounds of its interval
    superiority    the share of pairs in which the second score is larger, ties counted half
    p, p_holm      the p-value of the sign-flip test, and this p-value adjusted by Holm
    n              the number of pairs
    """
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
        for pair in compared(study, rows)
    ]


def curve_rows(chart: Chart, rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
    """Return a row for each place of each curve of `chart`, with the mean score over the seeds.

    The mean is None if it is unknown. Charts of other kinds give no rows.
    """
    by_name = curves(chart, rows) if chart.kind == "curves" else {}
    return [
        {"curve": name, chart.x: place, "mean": None if math.isnan(value) else value}
        for name, curve in by_name.items()
        for place, value in curve.items()
    ]
