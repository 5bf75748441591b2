"""What the rows of a study say: its tables, its figure and its answer. No jax here."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from echo_jax import statistics
from echo_jax.config import from_dict
from echo_jax.core.target_place import knowable_share
from echo_jax.report import figures
from echo_jax.report.figures import Estimate
from echo_jax.report.number_formats import decimals, number, percent
from echo_jax.report.page import Figure, Section, Table
from echo_jax.report.styles import svg
from echo_jax.studies import answers, records
from echo_jax.studies.catalogue import Cell, Chart, Study
from echo_jax.studies.records import Row
from echo_jax.studies.scores import median, places, scores, shown, summary

MIB = 2**20


def finished(study: Study, found: Sequence[Row]) -> list[Row]:
    """The rows of the cells of a study, in the order of its cells; of those that there are."""
    by_key = {records.key(row): row for row in found}
    return [by_key[key] for key in map(key_of, study.cells) if key in by_key]


def key_of(cell: Cell) -> str:
    """What a cell and its row have in common."""
    return records.key(cell.identity)


def _bits(row: Row) -> str:
    if row["by_seed"].get("recalled_bits") is None:
        return "-"
    most = math.log2(row["config"]["task"]["vocab_size"])
    return f"{shown(row, 'recalled_bits', decimals)} of {most:.2f}"


def _reached(row: Row) -> str:
    reached = scores(row, "sequences_to_99")
    count, of = sum(n is not None for n in reached), len(reached)
    share = statistics.wilson_interval(count, of)
    return f"{count} of {of} ({100 * share.low:.0f} to {100 * share.high:.0f}%)"


def _update(row: Row) -> float:
    """Seconds of an update of all seeds."""
    return row["seconds"].get("update") or row["seconds"]["train"] / row["trained"]["updates"]


def _share(name: str) -> Callable[[Row], str]:
    return lambda row: shown(row, name, percent)


def _count(name: str) -> Callable[[Row], str]:
    return lambda row: shown(row, name, number)


COLUMNS: Mapping[str, Callable[[Row], str]] = {
    "accuracy": _share("accuracy"),
    "chance": lambda row: percent(row["floors"]["accuracy"]),
    "order-blind": lambda row: percent(row["floors"]["order_blind_accuracy"]),
    "can be known": lambda row: percent(knowable_share(from_dict(row["config"]))),
    "recalled bits": _bits,
    "loss": lambda row: shown(row, "loss", "{:.4f}".format),
    "reached 99%": _reached,
    "sequences to 99%": _count("sequences_to_99"),
    "updates to 99%": _count("updates_to_99"),
    "rows to 99%": _count("rows_to_99"),
    "sequences": lambda row: number(row["trained"]["sequences"]),
    "updates": lambda row: number(row["trained"]["updates"]),
    "seeds": lambda row: str(row["config"]["seeds"]),
    "seconds": lambda row: f"{row['seconds']['train']:.1f}",
    "\u00b5s an update": lambda row: number(1e6 * _update(row) / row["config"]["seeds"]),
    "parameters": lambda row: number(row["parameters"]),
    "MiB": lambda row: f"{row['bytes'] / MIB:,.0f}",
    "late rows": lambda row: shown(row, "probe network", percent),
    "distance": lambda row: shown(row, "distance", decimals),
    "by chance": lambda row: f"{row['floors']['distance']:.2f}",
    "missing": _share("rows_apart missing"),
    "nothing missing": _share("rows_apart full"),
    "state swapped": _share("other_state accuracy"),
    "answers that repeat": _share("fed_back repeats"),
}
"""What a column of a table shows of a row."""


def section(name: str, study: Study, found: Sequence[Row], command: str) -> Section:
    """A study on the page: what its rows say so far.

    Args:
      name: of the study.
      study: its question and cells.
      found: rows, those of its cells among them.
      command: what makes it.
    """
    mine = finished(study, found)
    missing = len(study.cells) - len(mine)
    notes = [*study.notes, *_failures(mine)]
    if missing:
        notes.insert(0, f"Not finished: {missing} of {len(study.cells)} cells are still to be run.")
    if not mine:
        nothing = ["Nothing was run yet."]
        return Section(name, study.question, nothing, notes=notes, command=command)
    return Section(
        name=name,
        heading=study.question,
        answer=answers.general(mine) if missing else answers.of(name, mine),
        tables=[
            main_table(study, mine),
            *pair_tables(study, mine),
            *curve_tables(study.chart, mine),
        ],
        figure=_page_figure(name, study.chart, mine),
        command=command,
        notes=notes,
    )


def _page_figure(name: str, chart: Chart, found: Sequence[Row]) -> Figure | None:
    """The figure of a study on its page; None where no row is drawn."""
    if not _drawn(chart, found):
        return None
    what = drawn_in(chart)
    caption = f"{what[0].upper()}{what[1:]}."
    drawn = svg(figure(chart, found), name)
    return Figure(drawn, f"figures/{name}.svg", alternative(chart, found), caption)


def _failures(found: Sequence[Row]) -> list[str]:
    """A note on the seeds that failed, where there are any."""
    failed = [f"{row['cell']} (seed {s})" for row in found for s in row["failed"]["seed"]]
    if not failed:
        return []
    return [
        f"The loss became infinite or no number in: {', '.join(failed)}. Each such seed counts as "
        "accuracy 0 and 0 bits."
    ]


def main_table(study: Study, found: Sequence[Row]) -> Table:
    """A line a cell: its labels, and the columns of the study."""
    labels = list(dict.fromkeys(label for row in found for label in row["labels"]))
    lines = [
        [
            *(str(row["labels"].get(label, "")) for label in labels),
            *(COLUMNS[column](row) for column in study.columns),
        ]
        for row in found
    ]
    seeds = sorted({row["config"]["seeds"] for row in found})
    coverage = {statistics.median_interval(np.zeros(n)).coverage for n in seeds if n > 1}
    interval = f", interval {' or '.join(f'{c:.0%}' for c in sorted(coverage))}" if coverage else ""
    caption = f"Medians over {' or '.join(map(str, seeds))} seeds{interval}"
    return Table(caption, [*labels, *study.columns], lines)


def pair_tables(study: Study, found: Sequence[Row]) -> list[Table]:
    """Cells compared seed by seed; the p-values of all comparisons are adjusted together."""
    by_name = {row["cell"]: row for row in found}
    lines, p_values = [], []
    for first, second in study.pairs:
        for score in study.compared:
            if not {first, second} <= set(by_name):
                continue
            pair = by_name[first], by_name[second]
            values: list[Any] = [scores(row, score) for row in pair]
            if None in (*values[0], *values[1]):
                continue  # a seed failed, or never reached it
            said = statistics.paired_comparison(*values)
            if said.interval is None or said.p_value is None:
                continue
            p_values.append(said.p_value)
            middle, low, high = map(_signed(score), (said.median, *said.interval[:2]))
            lines.append([
                *_in_common(*pair), SCORES.get(score, score), f"{middle} ({low} to {high})",
                f"{said.superiority:.0%}", f"{said.p_value:.2g}",
            ])  # fmt: skip
    for line, adjusted in zip(lines, statistics.holm(p_values), strict=True):
        line.append(f"{adjusted:.2g}")
    headings = [
        "with", "difference", "of", "median", "pairs above 0", "p", "p (Holm)",
    ]  # fmt: skip
    caption = (
        "The same seeds in pairs: median difference with its interval. p: how often differences as "
        "large come from luck alone, if each might as well have had the other sign; p (Holm): "
        "corrected for all lines of the table. No line where some seed never reached 99%."
    )
    return [Table(caption, headings, lines)] if lines else []


SCORES = {
    "accuracy": "accuracy, points",
    "sequences_to_99": "sequences to 99%",
    "distance": "distance",
    "rows_apart missing": "accuracy where missing, points",
    "rows_apart full": "accuracy elsewhere, points",
}
"""What the scores are called that pairs are compared in."""


def _in_common(first: Row, second: Row) -> tuple[str, str]:
    """The labels that a pair shares, and the difference that the others make."""
    one, other = first["labels"], second["labels"]
    same = ", ".join(f"{name} {value}" for name, value in one.items() if other.get(name) == value)
    apart = [name for name in one if other.get(name) != one[name]]
    signs = (", ".join(str(labels[name]) for name in apart) for labels in (other, one))
    return same or "-", " - ".join(signs)


def curve_tables(chart: Chart, found: Sequence[Row]) -> list[Table]:
    """The figure in numbers, where it draws curves or bars: a line a place, a column a cell."""
    if chart.kind not in ("curves", "bars") or not _drawn(chart, found):
        return []
    columns = {}
    for row in _drawn(chart, found):
        for what in chart.y.split(","):
            first, values = places(row, what)
            named = f", {what.split()[-1]}" * (chart.kind == "bars")
            columns[_name_of(chart, row) + named] = dict(enumerate(values, first))
    at = sorted({place for column in columns.values() for place in column})
    every = [value for column in columns.values() for value in column.values()]
    write = percent if not any(value > 1 for value in every) else decimals  # some may be unknown
    lines = [
        [str(place), *(write(c[place]) if place in c else "-" for c in columns.values())]
        for place in at
    ]
    return [Table("The figure in numbers: means over the seeds", [chart.x, *columns], lines)]


def _drawn(chart: Chart, found: Sequence[Row]) -> list[Row]:
    """The rows that the figure is about."""
    return [row for row in found if row["cell"] not in chart.leave_out]


def _signed(score: str) -> Callable[[float], str]:
    if score.endswith("_to_99"):
        return lambda value: f"{value:+,.0f}"
    if "points" in SCORES.get(score, ""):
        return lambda value: f"{100 * value:+.2f}"
    return lambda value: f"{value:+.3g}"


WORDS = {
    "accuracy": "accuracy on fresh sequences",
    "recalled_bits": "recalled bits a token",
    "sequences_to_99": "sequences until 99%",
    "updates_to_99": "updates until 99%",
    "distance": "mean distance of the answer",
    "accuracy_by_position": "accuracy",
    "probe before": "share of values that the probe finds",
    "follows trained,follows untrained": "share of answers that follow an input",
    "fed_back distinct": "different values among 25 answers",
}
"""Scores as the axes of figures call them."""


def figure(chart: Chart, found: Sequence[Row]) -> Any:
    """The figure that a chart asks for, of the rows that it is about."""
    mine = _drawn(chart, found)
    draw = {"dots": _dots, "lines": _lines, "heat": _heat, "curves": _curves, "bars": _bars}
    return draw[chart.kind](chart, mine)


def _dots(chart: Chart, found: Sequence[Row]) -> Any:
    shares = chart.y == "accuracy"
    floors = [row["floors"]["accuracy"] if shares else None for row in found]
    dots = [(row["cell"], _estimate(row, chart.y)) for row in found]
    return figures.dots_figure(dots, floors, WORDS.get(chart.y, chart.y), shares)


def _lines(chart: Chart, found: Sequence[Row]) -> Any:
    series: dict[str, list[tuple[float, Estimate]]] = {}
    for row in found:
        at = (float(row["labels"][chart.x]), _estimate(row, chart.y))
        series.setdefault(_name_of(chart, row), []).append(at)
    shares = chart.y == "accuracy"
    floors = {row["floors"]["accuracy"] for row in found}
    floor = floors.pop() if shares and len(floors) == 1 else None
    y_label = WORDS.get(chart.y, chart.y)
    return figures.lines_figure(series, chart.x, y_label, floor, shares, chart.log_x)


def _curves(chart: Chart, found: Sequence[Row]) -> Any:
    """The mean over the seeds of what a measure gives for each place, a line a cell."""
    series = {}
    for row in found:
        first, values = places(row, chart.y)
        points = [(first + i, Estimate(v, None, None)) for i, v in enumerate(values)]
        series[_name_of(chart, row)] = points
    shares = all(not estimate.value > 1 for points in series.values() for _, estimate in points)
    floor = found[0]["floors"]["accuracy"] if shares else None
    return figures.lines_figure(series, chart.x, WORDS.get(chart.y, chart.y), floor, shares)


def _bars(chart: Chart, found: Sequence[Row]) -> Any:
    """The mean over the seeds of what measures give for each place, bars side by side."""
    series = {}
    for row in found:
        for what in chart.y.split(","):
            name = f"{_name_of(chart, row)}, {what.split()[-1]}"
            series[name] = places(row, what)[1]
    groups = [str(i) for i in range(max(map(len, series.values())))]
    floor = found[0]["floors"]["accuracy"]
    return figures.bars_figure(groups, series, chart.x, "share", floor, True)


def _heat(chart: Chart, found: Sequence[Row]) -> Any:
    """A map for each value of the label `series`: y over the labels x and rows."""
    across, up = (
        list(dict.fromkeys(row["labels"][axis] for row in found)) for axis in (chart.x, chart.up)
    )
    panels: dict[str, np.ndarray] = {}
    for row in found:
        panel = panels.setdefault(_name_of(chart, row), np.full((len(up), len(across)), np.nan))
        place = up.index(row["labels"][chart.up]), across.index(row["labels"][chart.x])
        panel[place] = median(row, chart.y)
    label = WORDS.get(chart.y, chart.y)
    shares = chart.y == "accuracy"
    return figures.heat_figure(panels, across, up, chart.x, chart.up, label, percent=shares)


def _name_of(chart: Chart, row: Row) -> str:
    """The name of the series that a row belongs to."""
    if not chart.series:
        return row["cell"] if chart.kind in ("curves", "bars") else "median"
    named = chart.series.split(",")
    return ", ".join(
        value if isinstance(value := row["labels"][label], str) else f"{label} {value}"
        for label in named
    )


def _estimate(row: Row, name: str) -> Estimate:
    found = summary(row, name)
    interval = found.interval
    return Estimate(found.median, interval and interval.low, interval and interval.high)


def alternative(chart: Chart, found: Sequence[Row]) -> str:
    """What the figure shows, in words, for those who do not see it."""
    mine = _drawn(chart, found)
    kind = {"dots": "Dots", "lines": "Lines", "heat": "Maps", "curves": "Lines", "bars": "Bars"}
    if chart.kind in ("curves", "bars"):
        said = "; ".join(_curve_in_words(chart, row) for row in mine)
        return f"{kind[chart.kind]} of {drawn_in(chart)}. {said}."
    what = f"{kind[chart.kind]} of {drawn_in(chart)}"
    write = percent if chart.y == "accuracy" else number if "to_99" in chart.y else decimals
    cells = [f"{row['cell']}: {write(median(row, chart.y))}" for row in mine]
    if len(cells) > 24:
        values = [median(row, chart.y) for row in mine]
        spread = f"from {write(min(values))} to {write(max(values))}"
        return f"{what}, {len(cells)} cells, {spread}; the table has each of them."
    return f"{what}. {'; '.join(cells)}."


def drawn_in(chart: Chart) -> str:
    """What a figure shows: the score, and what it is drawn over."""
    score = WORDS.get(chart.y, chart.y)
    over = " and ".join(filter(None, [chart.x, chart.up]))
    return f"{score} over {over}" if over else score


def _curve_in_words(chart: Chart, row: Row) -> str:
    said = []
    for what in chart.y.split(","):
        first, values = places(row, what)
        named = f"{what.split()[-1]} " * (chart.kind == "bars")
        if np.isnan(values).all():  # no seed is left that could say
            said.append(f"{named}unknown")
            continue
        best = int(np.nanargmax(values))
        write = percent if values[best] <= 1 else "{:.1f}".format
        top, bottom = write(values[best]), write(float(np.nanmin(values)))
        said.append(f"{named}highest at {first + best} with {top}, lowest {bottom}")
    return f"{row['cell']}: {', '.join(said)}"
