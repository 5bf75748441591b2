"""The figure of a study, made from its rows. No jax here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from echo_jax.report.styles import WIDTH
from echo_jax.statistics import Summary
from echo_jax.studies.catalogue import Chart
from echo_jax.studies.result_rows import ResultRow
from echo_jax.studies.row_scores import places, summary

if TYPE_CHECKING:
    from echo_jax.report.charts import NotebookFigure

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
    """The rows that a figure shows."""
    return [row for row in rows if not chart.leave_out(row.labels)]


def curves(chart: Chart, rows: Sequence[ResultRow]) -> dict[str, dict[int, float]]:
    """The curves of a figure by name: at each place the mean over the seeds."""
    by_name = {}
    for row in drawn(chart, rows):
        for score in chart.y.split(","):
            part = f", {score.split()[-1]}" if "," in chart.y else ""
            first, values = places(row, score)
            by_name[series_name(chart, row) + part] = dict(enumerate(values, first))
    return by_name


def figure(chart: Chart, rows: Sequence[ResultRow], width: float = WIDTH) -> "NotebookFigure":
    """The matplotlib figure of a chart."""
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
        chance = [some[0].baselines.accuracy if shares else None for some in at.values()]
        return charts.dots_figure(dots, chance, labels[1], shares, width)
    lines = _lines(chart, rows)
    if chart.kind == "curves":
        shares = all(mean.median <= 1 for line in lines.values() for _, mean in line)
    chances = {row.baselines.accuracy for row in rows}
    baseline = min(chances) if shares and len(chances) == 1 else None
    return charts.lines_figure(lines, labels, baseline, shares, chart.log_x, width)


def _lines(chart: Chart, rows: Sequence[ResultRow]) -> dict[str, list[tuple[float, Summary]]]:
    """The points of each line; those of curves have no intervals."""
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
    """The name of the line or curve that a row belongs to."""
    if chart.name:
        return chart.name(row.labels)
    if not chart.series:
        return row.point if chart.kind == "curves" else ""
    values = {label: row.labels[label] for label in chart.series.split(",")}
    return ", ".join(
        value if isinstance(value, str) else f"{label} {value}" for label, value in values.items()
    )
