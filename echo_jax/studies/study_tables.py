"""The tables of a study, made from its rows. No jax here."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from echo_jax import statistics
from echo_jax.core.target_place import knowable_share
from echo_jax.report.number_formats import decimals, number, percent
from echo_jax.report.page import Table
from echo_jax.studies.catalogue import Chart, Study
from echo_jax.studies.result_rows import ResultRow
from echo_jax.studies.scores import scores, shown
from echo_jax.studies.study_figures import curves, drawn

MIB = 2**20


def _bits(row: ResultRow) -> str:
    if not scores(row, "recalled_bits"):
        return "-"
    most = math.log2(row.config.task.vocab_size)
    return f"{shown(row, 'recalled_bits', decimals)} of {most:.2f}"


def _reached(row: ResultRow) -> str:
    reached = scores(row, "sequences_to_99")
    count, of = sum(n is not None for n in reached), len(reached)
    share = statistics.wilson_interval(count, of)
    return f"{count} of {of} ({100 * share.low:.0f} to {100 * share.high:.0f}%)"


def _update_microseconds(row: ResultRow) -> str:
    """The time of one update of one seed, when all cores train."""
    seconds = row.seconds.update or row.seconds.train / row.trained.updates
    return number(1e6 * seconds / row.config.seeds)


def _share(name: str) -> Callable[[ResultRow], str]:
    return lambda row: shown(row, name, percent)


def _count(name: str) -> Callable[[ResultRow], str]:
    return lambda row: shown(row, name, number)


COLUMNS: Mapping[str, Callable[[ResultRow], str]] = {
    "accuracy": _share("accuracy"),
    "chance": lambda row: percent(row.baselines.accuracy),
    "order-blind": lambda row: percent(row.baselines.order_blind_accuracy),
    "can be known": lambda row: percent(knowable_share(row.config)),
    "recalled bits": _bits,
    "loss": lambda row: shown(row, "loss", "{:.4f}".format),
    "reached 99%": _reached,
    "sequences to 99%": _count("sequences_to_99"),
    "updates to 99%": _count("updates_to_99"),
    "rows to 99%": _count("rows_to_99"),
    "sequences": lambda row: number(row.trained.sequences),
    "updates": lambda row: number(row.trained.updates),
    "seeds": lambda row: str(row.config.seeds),
    "seconds": lambda row: f"{row.seconds.train:.1f}",
    "\u00b5s an update": _update_microseconds,
    "parameters": lambda row: number(row.parameters),
    "MiB": lambda row: f"{row.bytes / MIB:,.0f}",
    "late rows": _share("probe network"),
    "distance": lambda row: shown(row, "distance", decimals),
    "by chance": lambda row: decimals(row.baselines.distance),
    "missing": _share("rows_apart missing"),
    "nothing missing": _share("rows_apart full"),
    "state swapped": _share("other_state accuracy"),
    "answers that repeat": _share("fed_back repeats"),
}
"""The text of a column for a row of results."""


def main_table(study: Study, rows: Sequence[ResultRow]) -> Table:
    """A line for each grid point: its labels, and the columns of the study."""
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
    caption = f"Medians over {' or '.join(map(str, seeds))} seeds{interval}"
    return Table(caption, [*labels, *study.columns], lines)


PAIR_SCORES = {
    "accuracy": "accuracy, points",
    "sequences_to_99": "sequences to 99%",
    "distance": "distance",
    "rows_apart missing": "accuracy where missing, points",
    "rows_apart full": "accuracy elsewhere, points",
}
"""The names of the scores in which pairs are compared."""

PAIR_HEADINGS = ["with", "difference", "of", "median", "pairs above 0", "p", "p (Holm)"]

PAIR_CAPTION = (
    "The same seeds in pairs: median difference with its interval. p: sign-flip test, the "
    "probability of differences at least as large if each sign were random. p (Holm): adjusted for "
    "all lines of the table. No line where a seed never reached 99%."
)


def pair_tables(study: Study, rows: Sequence[ResultRow]) -> list[Table]:
    """Grid points compared seed by seed, the p-values of all comparisons adjusted together.

    A list with one table, or none where nothing can be compared.
    """
    by_name = {row.point: row for row in rows}
    compared = [
        (by_name[first], by_name[second], score)
        for first, second in study.pairs
        if first in by_name and second in by_name
        for score in study.compared
        if _is_comparable(by_name[first], by_name[second], score)
    ]
    found = [
        statistics.paired_comparison(scores(first, score), scores(second, score))
        for first, second, score in compared
    ]
    adjusted = statistics.holm([each.p_value for each in found])
    lines = [
        [*_pair_line(*pair, each), f"{p:.2g}"]
        for pair, each, p in zip(compared, found, adjusted, strict=True)
    ]
    return [Table(PAIR_CAPTION, PAIR_HEADINGS, lines)] if lines else []


def _is_comparable(first: ResultRow, second: ResultRow, score: str) -> bool:
    """False where a seed failed or never reached the score, or there is only one seed."""
    values = scores(first, score) + scores(second, score)
    return len(values) > 2 and None not in values


def _pair_line(
    first: ResultRow, second: ResultRow, score: str, found: statistics.Comparison
) -> list[str]:
    """The entries of a comparison, without the adjusted p-value."""
    middle, low, high = map(_signed(score), (found.median, *found.interval[:2]))
    return [
        *_in_common(first, second),
        PAIR_SCORES.get(score, score),
        f"{middle} ({low} to {high})",
        f"{found.superiority:.0%}",
        f"{found.p_value:.2g}",
    ]


def _in_common(first: ResultRow, second: ResultRow) -> tuple[str, str]:
    """The labels that a pair shares, and the difference in the others, "carried - zero"."""
    one, other = first.labels, second.labels
    same = ", ".join(f"{name} {value}" for name, value in one.items() if other.get(name) == value)
    differing = [name for name in one if other.get(name) != one[name]]
    signs = (", ".join(str(labels[name]) for name in differing) for labels in (other, one))
    return same or "-", " - ".join(signs)


def _signed(score: str) -> Callable[[float], str]:
    """The format of a difference in a score."""
    if score.endswith("_to_99"):
        return lambda value: f"{value:+,.0f}"
    if "points" in PAIR_SCORES.get(score, ""):
        return lambda value: f"{100 * value:+.2f}"
    return lambda value: f"{value:+.3g}"


def curve_tables(chart: Chart, rows: Sequence[ResultRow]) -> list[Table]:
    """The numbers of a figure of curves or bars: a line for each place, a column for each curve.

    A list with one table, or none for other figures.
    """
    if chart.kind not in ("curves", "bars") or not drawn(chart, rows):
        return []
    columns = {
        name: dict(enumerate(values, first))
        for name, (first, values) in curves(chart, rows).items()
    }
    places = sorted({place for column in columns.values() for place in column})
    values = [value for column in columns.values() for value in column.values()]
    write = decimals if any(value > 1 for value in values) else percent
    lines = [
        [str(place), *(write(c[place]) if place in c else "-" for c in columns.values())]
        for place in places
    ]
    return [Table("The figure in numbers: means over the seeds", [chart.x, *columns], lines)]
