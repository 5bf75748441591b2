"""The figure of a study and the text in its place, made from its rows. No jax here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from echo_jax.report.number_formats import decimals, number, percent
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
    "probe before": "share of values that the probe finds",
    "follows trained,follows untrained": "share of answers that follow an input",
    "fed_back distinct": "different values among 25 answers",
}
"""The names of scores in figures."""


def drawn(chart: Chart, rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The rows that a figure shows."""
    return [row for row in rows if not chart.leave_out(row.labels)]


def curves(chart: Chart, rows: Sequence[ResultRow]) -> dict[str, dict[int, float]]:
    """The curves or bars of a figure by name: at each place the mean over the seeds."""
    found = {}
    for row in drawn(chart, rows):
        for score in chart.y.split(","):
            part = f", {score.split()[-1]}" if chart.kind == "bars" else ""
            first, values = places(row, score)
            found[_series(chart, row) + part] = dict(enumerate(values, first))
    return found


def figure(chart: Chart, rows: Sequence[ResultRow]) -> Any:
    """The matplotlib figure of a chart."""
    from echo_jax.report import charts  # imports matplotlib, which few commands need

    rows, name, shares = drawn(chart, rows), _axis_name(chart), chart.y == "accuracy"
    chances = [row.baselines.accuracy for row in rows]
    if chart.kind == "dots":
        dots = [(row.point, summary(row, chart.y)) for row in rows]
        return charts.dots_figure(dots, chances if shares else [None] * len(rows), name, shares)
    if chart.kind == "heat":
        return _heat(chart, rows)
    if chart.kind == "bars":
        bars = {name: list(values.values()) for name, values in curves(chart, rows).items()}
        groups = [str(place) for place in range(max(map(len, bars.values())))]
        return charts.bars_figure(groups, bars, chart.x, "share", chances[0], True)
    lines: dict[str, list[tuple[float, Summary]]] = {}
    if chart.kind == "lines":
        for row in rows:
            at = (float(row.labels[chart.x]), summary(row, chart.y))
            lines.setdefault(_series(chart, row), []).append(at)
    else:
        found = curves(chart, rows)
        shares = not any(value > 1 for values in found.values() for value in values.values())
        for line, values in found.items():
            lines[line] = [(place, Summary(v, None)) for place, v in values.items()]
    baseline = chances[0] if shares and len(set(chances)) == 1 else None
    return charts.lines_figure(lines, chart.x, name, baseline, shares, chart.log_x)


def _heat(chart: Chart, rows: Sequence[ResultRow]) -> Any:
    from echo_jax.report import charts

    across, up = (
        list(dict.fromkeys(row.labels[axis] for row in rows)) for axis in (chart.x, chart.up)
    )
    panels: dict[str, np.ndarray] = {}
    for row in rows:
        panel = panels.setdefault(_series(chart, row), np.full((len(up), len(across)), np.nan))
        place = up.index(row.labels[chart.up]), across.index(row.labels[chart.x])
        panel[place] = median(row, chart.y)
    shares = chart.y == "accuracy"
    name = _axis_name(chart)
    return charts.heat_figure(panels, across, up, chart.x, chart.up, name, percent=shares)


def caption(chart: Chart) -> str:
    """The caption of a figure: the score, and the labels or places that it is drawn over."""
    over = " and ".join(filter(None, [chart.x, chart.up]))
    return f"{_axis_name(chart)} over {over}" if over else _axis_name(chart)


def alternative(chart: Chart, rows: Sequence[ResultRow]) -> str:
    """The text in place of a figure, for readers who do not see it."""
    kind = {"dots": "Dots", "lines": "Lines", "heat": "Maps", "curves": "Lines", "bars": "Bars"}
    what = f"{kind[chart.kind]} of {caption(chart)}"
    if chart.kind in ("curves", "bars"):
        said = (f"{name}: {_extremes(values)}" for name, values in curves(chart, rows).items())
        return f"{what}. {'; '.join(said)}."
    write = percent if chart.y == "accuracy" else number if "to_99" in chart.y else decimals
    values = {row.point: median(row, chart.y) for row in drawn(chart, rows)}
    if len(values) > 24:
        spread = f"from {write(min(values.values()))} to {write(max(values.values()))}"
        return f"{what}, {len(values)} grid points, {spread}; the table has each of them."
    return f"{what}. {'; '.join(f'{name}: {write(value)}' for name, value in values.items())}."


def _extremes(values: Mapping[int, float]) -> str:
    """The highest and the lowest value of a curve."""
    known = {place: value for place, value in values.items() if not np.isnan(value)}
    if not known:  # all seeds failed
        return "unknown"
    best = max(known, key=known.__getitem__)
    write = percent if known[best] <= 1 else "{:.1f}".format
    return f"highest at {best} with {write(known[best])}, lowest {write(min(known.values()))}"


def _axis_name(chart: Chart) -> str:
    return AXIS_NAMES.get(chart.y, chart.y)


def _series(chart: Chart, row: ResultRow) -> str:
    """The name of the line, map or curve that a row belongs to."""
    if not chart.series:
        return row.point if chart.kind in ("curves", "bars") else "median"
    values = {label: row.labels[label] for label in chart.series.split(",")}
    return ", ".join(
        value if isinstance(value, str) else f"{label} {value}" for label, value in values.items()
    )
