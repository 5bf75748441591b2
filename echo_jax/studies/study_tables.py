"""The tables of a study, made from its rows. No jax here."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from echo_jax import statistics
from echo_jax.core.target_place import knowable_share
from echo_jax.report.number_formats import decimals, number, percent
from echo_jax.report.page import Table
from echo_jax.studies.catalogue import Chart, Study
from echo_jax.studies.result_rows import ResultRow
from echo_jax.studies.scores import scores, shown
from echo_jax.studies.study_figures import curves
from echo_jax.studies.verdicts import compared_in


def _bits(row: ResultRow) -> str:
    found = shown(row, "recalled_bits", decimals)
    return found if found == "-" else f"{found} of {math.log2(row.config.task.vocab_size):.2f}"


def _reached(row: ResultRow) -> str:
    reached = scores(row, "sequences_to_99")
    count, of = sum(n is not None for n in reached), len(reached)
    share = statistics.wilson_interval(count, of)
    return f"{count} of {of} ({100 * share.low:.0f} to {100 * share.high:.0f}%)"


def _update_microseconds(row: ResultRow) -> str:
    """The time of one update of one seed, when all cores train."""
    seconds = row.seconds.update or row.seconds.train / row.trained.updates
    return number(1e6 * seconds / row.config.seeds)


COLUMNS: Mapping[str, Callable[[ResultRow], str]] = {
    "accuracy": partial(shown, name="accuracy", pattern=percent),
    "chance": lambda row: percent(row.baselines.accuracy),
    "order-blind": lambda row: percent(row.baselines.order_blind_accuracy),
    "can be known": lambda row: percent(knowable_share(row.config)),
    "recalled bits": _bits,
    "loss": partial(shown, name="loss", pattern="{:.4f}".format),
    "reached 99%": _reached,
    "sequences to 99%": partial(shown, name="sequences_to_99", pattern=number),
    "updates to 99%": partial(shown, name="updates_to_99", pattern=number),
    "rows to 99%": partial(shown, name="rows_to_99", pattern=number),
    "sequences": lambda row: number(row.trained.sequences),
    "updates": lambda row: number(row.trained.updates),
    "seeds": lambda row: str(row.config.seeds),
    "seconds": lambda row: f"{row.seconds.train:.1f}",
    "\u00b5s an update": _update_microseconds,
    "parameters": lambda row: number(row.parameters),
    "MiB": lambda row: f"{row.bytes / 2**20:,.0f}",
    "late rows": partial(shown, name="probe network", pattern=percent),
    "distance": partial(shown, name="distance", pattern=decimals),
    "by chance": lambda row: decimals(row.baselines.distance),
    "missing": partial(shown, name="rows_apart missing", pattern=percent),
    "nothing missing": partial(shown, name="rows_apart full", pattern=percent),
    "state swapped": partial(shown, name="other_state accuracy", pattern=percent),
    "answers that repeat": partial(shown, name="fed_back repeats", pattern=percent),
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

    A list with one table, or none where nothing can be compared: a seed failed or never reached the
    score, or there is only one.
    """
    lines = []
    for first, second, score, found, p in compared_in(study, rows):
        labels, others = first.labels, second.labels
        same = [f"{name} {value}" for name, value in labels.items() if others.get(name) == value]
        differing = [name for name in labels if others.get(name) != labels[name]]
        signs = (", ".join(str(each[name]) for name in differing) for each in (others, labels))
        name = PAIR_SCORES.get(score, score)
        times, written = 1, "+,.0f" if score.endswith("_to_99") else "+.3g"
        if "points" in name:
            times, written = 100, "+.2f"
        bounds = (found.median, *found.interval[:2])
        middle, low, high = (format(times * bound, written) for bound in bounds)
        line = [", ".join(same) or "-", " - ".join(signs), name, f"{middle} ({low} to {high})"]
        lines.append([*line, f"{found.superiority:.0%}", f"{found.p_value:.2g}", f"{p:.2g}"])
    return [Table(PAIR_CAPTION, PAIR_HEADINGS, lines)] if lines else []


def curve_tables(chart: Chart, rows: Sequence[ResultRow]) -> list[Table]:
    """The numbers of a figure of curves or strips: a line for each place, a column for each curve.

    A list with one table, or none for other figures.
    """
    columns = curves(chart, rows) if chart.kind in ("curves", "strips") else {}
    places = sorted({place for column in columns.values() for place in column})
    values = [value for column in columns.values() for value in column.values()]
    write = decimals if any(value > 1 for value in values) else percent
    lines = [
        [str(place), *(write(c[place]) if place in c else "-" for c in columns.values())]
        for place in places
    ]
    headings = [chart.x, *columns]
    caption = "The figure in numbers: means over the seeds"
    return [Table(caption, headings, lines)] if columns else []
