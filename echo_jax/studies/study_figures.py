"""The figure of a study, made from its rows. No jax here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from echo_jax.statistics import Summary
from echo_jax.studies.catalogue import Chart
from echo_jax.studies.result_rows import ResultRow
from echo_jax.studies.scores import median, places, summary

AXIS_NAMES = {
    "accuracy": "accuracy on fresh sequences",
    "recalled_bits": "recalled bits a token",
    "sequences_to_99": "sequences until 99%",
    "updates_to_99": "updates until 99%",
    "distance": "mean distance of the answer",
    "accuracy_by_position": "accuracy",
    "probe before": "share of values the probe finds",
    "follows trained,follows untrained": "share of answers that follow an input",
    "fed_back distinct": "different values among 25 answers",
}
"""The names of scores in figures."""


def drawn(chart: Chart, rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The rows that a figure shows."""
    return [row for row in rows if not chart.leave_out(row.labels)]


def curves(chart: Chart, rows: Sequence[ResultRow]) -> dict[str, dict[int, float]]:
    """The curves or strips of a figure by name: at each place the mean over the seeds."""
    by_name = {}
    for row in drawn(chart, rows):
        for score in chart.y.split(","):
            part = f", {score.split()[-1]}" if "," in chart.y else ""
            first, values = places(row, score)
            by_name[series_name(chart, row) + part] = dict(enumerate(values, first))
    return by_name


def figure(chart: Chart, rows: Sequence[ResultRow]) -> Any:
    """The matplotlib figure of a chart."""
    from echo_jax.report import charts  # imports matplotlib, which few commands need

    rows, name, shares = drawn(chart, rows), axis_name(chart), chart.y == "accuracy"
    chances = [row.baselines.accuracy for row in rows]
    if chart.kind == "dots":
        at = dot_rows(chart, rows)
        dots = [
            (place, {series_name(chart, row): summary(row, chart.y) for row in some})
            for place, some in at.items()
        ]
        chance = [some[0].baselines.accuracy if shares else None for some in at.values()]
        return charts.dots_figure(dots, chance, name, shares)
    if chart.kind == "heat":
        return _heat(chart, rows)
    if chart.kind == "strips":
        return _strips(chart, rows)
    lines: dict[str, list[tuple[float, Summary]]] = {}
    if chart.kind == "lines":
        for row in rows:
            point = (float(row.labels[chart.x]), summary(row, chart.y))
            lines.setdefault(series_name(chart, row), []).append(point)
    else:
        by_name = curves(chart, rows)
        shares = all_shares(by_name)
        for line, values in by_name.items():
            lines[line] = [(place, Summary(v, None)) for place, v in values.items()]
    baseline = chances[0] if shares and len(set(chances)) == 1 else None
    return charts.lines_figure(lines, chart.x, name, baseline, shares, chart.log_x)


def dot_rows(chart: Chart, rows: Sequence[ResultRow]) -> dict[str, list[ResultRow]]:
    """The rows of results by the row of the figure in which they are dots."""
    apart = chart.series.split(",")
    at: dict[str, list[ResultRow]] = {}
    for row in rows:
        labels = (f"{name} {value}" for name, value in row.labels.items() if name not in apart)
        at.setdefault(", ".join(labels), []).append(row)
    return at


def _strips(chart: Chart, rows: Sequence[ResultRow]) -> Any:
    from echo_jax.report import charts

    strips, name = curves(chart, rows), axis_name(chart)
    across = range(max(map(len, strips.values())))
    fields = np.array([[of.get(x, np.nan) for x in across] for of in strips.values()])[::-1]
    names, share = list(strips)[::-1], all_shares(strips)
    x_label = chart.x if chart.asked is None else f"{chart.x} (framed: the value asked for)"
    made = charts.heat_figure({"": fields}, across, names, x_label, "", name, percent=share)
    if chart.asked is not None:
        charts.frame_column(made.axes[0], chart.asked, len(names))
    return made


def _heat(chart: Chart, rows: Sequence[ResultRow]) -> Any:
    from echo_jax.report import charts

    across, up = (
        list(dict.fromkeys(row.labels[axis] for row in rows)) for axis in (chart.x, chart.up)
    )
    panels: dict[str, np.ndarray] = {}
    for row in rows:
        panel = panels.setdefault(series_name(chart, row), np.full((len(up), len(across)), np.nan))
        place = up.index(row.labels[chart.up]), across.index(row.labels[chart.x])
        panel[place] = median(row, chart.y)
    name, shares, labels = axis_name(chart), chart.y == "accuracy", (chart.x, chart.up)
    return charts.heat_figure(panels, across, up, *labels, name, percent=shares)


def alternative(chart: Chart) -> str:
    """The text in place of a figure, for readers who do not see it."""
    over = " and ".join(filter(None, [chart.x, chart.up]))
    name = axis_name(chart)
    return f"{name.capitalize()}{f' over {over}' * bool(over)}; the tables have the numbers."


def all_shares(lines: Mapping[str, Mapping[int, float]]) -> bool:
    """True for curves whose values are all at most 1."""
    return not any(value > 1 for values in lines.values() for value in values.values())


def axis_name(chart: Chart) -> str:
    """The name of the score of a figure."""
    return AXIS_NAMES.get(chart.y, chart.y)


def series_name(chart: Chart, row: ResultRow) -> str:
    """The name of the line, map or curve that a row belongs to."""
    if chart.name:
        return chart.name(row.labels)
    if not chart.series:
        return row.point if chart.kind in ("curves", "strips") else ""
    values = {label: row.labels[label] for label in chart.series.split(",")}
    return ", ".join(
        value if isinstance(value, str) else f"{label} {value}" for label, value in values.items()
    )
