"""The charts of studies: dots and lines of plain numbers.

A mark is open where training was cut short. NaN is unknown and not drawn. With `percent`, numbers
are fractions and are written in percent. A `baseline` is the value by chance, or None.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from echo_jax.report.styles import (
    GREY,
    INK,
    RULE,
    SERIES,
    WIDTH,
    drawing,
    image,
    style_axes,
    wrapped,
)
from echo_jax.statistics import Summary


class NotebookFigure(Figure):
    """A figure of matplotlib; in a notebook it shows itself, whatever backend there is.

    The display of IPython starts with pyplot, which is not used here.
    """

    def _repr_png_(self) -> bytes:
        with drawing():
            return image(self, "png")


def dots_figure(
    rows: Sequence[tuple[str, Mapping[str, Summary]]],
    baselines: Sequence[float | None],
    label: str,
    percent: bool,
) -> NotebookFigure:
    """A row for each name, the first on top: a dot for each of its summaries, with its interval.

    Several summaries of a row are the ends of a line. They have the same names in each row, and one
    alone may be called "". A baseline is that of the row.
    """
    names = [wrapped(name, 30) for name, _ in rows]
    figure, axes = _panel(1.3 + sum(0.42 + 0.18 * name.count("\n") for name in names))
    every = [mark for _, marks in rows for mark in marks.values()]
    end = _end(_array(every), baselines, percent)
    keys: dict[str, Any] = {}
    for row, ((_, marks), baseline) in enumerate(zip(rows, baselines, strict=True)):
        if baseline is not None:
            axes.plot([baseline, baseline], [row - 0.3, row + 0.3], color=GREY, linewidth=1.8)
        medians = np.array([mark.median for mark in marks.values() if math.isfinite(mark.median)])
        if len(medians) > 1:
            axes.plot([medians.min(), medians.max()], [row, row], color=GREY, linewidth=1.5)
        styles = zip(marks.items(), SERIES, itertools.count(8.5, -1.5), strict=False)
        for (series, mark), style, size in styles:
            keys[series or "median"] = _dot(axes, row, mark, style, size)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(-0.02 * end, end), ylim=(len(rows) - 0.4, -0.7))
    axes.xaxis.set_major_formatter(_number_format(percent))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(wrapped(label, 70), fontsize=11, color=INK)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    if any(baseline is not None for baseline in baselines):
        bar: dict[str, Any] = {"markersize": 13, "markeredgewidth": 1.8}
        keys["chance"] = Line2D([], [], color=GREY, marker="|", linewidth=0, **bar)
    legend(figure, keys | _open_key(every))
    return figure


def _dot(axes: Axes, row: float, mark: Summary, style: Any, size: float) -> Line2D:
    """A median and its interval; the mark for the key."""
    colour, marker, _ = style
    ((value, low, high),) = _array([mark])
    axes.plot([low, high], [row, row], color=colour, linewidth=6, alpha=0.35, zorder=3)
    face = "white" if mark.cut_short else colour
    axes.plot(value, row, marker, color=colour, markerfacecolor=face, markersize=size, zorder=4)
    return Line2D([], [], color=colour, marker=marker, markersize=size, linewidth=0)


def lines_figure(
    series: Mapping[str, Sequence[tuple[float, Summary]]],
    x_label: str,
    y_label: str,
    baseline: float | None,
    percent: bool,
    log_x: bool = False,
) -> NotebookFigure:
    """A line with intervals for each of up to 6 series of points (x, summary), x ascending.

    With `log_x` every x is above 0.
    """
    figure, axes = _panel(3.9)
    every = [summary for points in series.values() for _, summary in points]
    end = _end(_array(every), [baseline], percent)
    axes.set_xscale("log" if log_x else "linear")
    lines = zip(series.items(), SERIES[: len(series)], strict=True)
    keys = {name: _line(axes, points, style) for (name, points), style in lines}
    _set_ticks(axes, sorted({x for points in series.values() for x, _ in points}), log_x)
    axes.set_ylim(-0.02 * end, end)
    axes.set_xlabel(wrapped(x_label, 60), fontsize=11, color=INK)
    axes.set_ylabel(wrapped(y_label, 34), fontsize=11, color=INK)
    axes.yaxis.set_major_formatter(_number_format(percent))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    if baseline is not None:
        dashes: dict[str, Any] = {"linestyle": "--", "linewidth": 1.4, "zorder": 1.5}
        keys["chance"] = axes.axhline(baseline, color=GREY, **dashes)
    keys |= _open_key(every)
    if len(keys) > 1:
        legend(figure, keys)
    return figure


def _open_key(summaries: Iterable[Summary]) -> dict[str, Line2D]:
    """The key of open marks, where there is one."""
    look: dict[str, Any] = {"color": GREY, "marker": "o", "linewidth": 0, "markersize": 7}
    mark = Line2D([], [], markerfacecolor="white", **look)
    return {"open: training cut short": mark} if any(x.cut_short for x in summaries) else {}


def _line(axes: Axes, points: Sequence[tuple[float, Summary]], style: Any) -> Line2D:
    """The line of a series, with gaps at unknown values; a band for many points."""
    colour, marker, dashes = style
    at = np.array([x for x, _ in points])
    middle, low, high = _array(summary for _, summary in points).T
    if len(points) > 12:
        axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
    else:
        axes.vlines(at, low, high, color=colour, linewidth=4, alpha=0.3)
    look: dict[str, Any] = {"color": colour, "marker": marker}
    cut = [summary.cut_short for _, summary in points]
    if any(cut):
        axes.plot(at[cut], middle[cut], linewidth=0, markerfacecolor="white", zorder=3, **look)
    return axes.plot(at, middle, linewidth=2, linestyle=dashes, **look)[0]


def _set_ticks(axes: Axes, at: Sequence[float], log_x: bool) -> None:
    """Ticks at every x if they have room, else at round numbers; integers if every x is one."""
    axes.xaxis.set_major_formatter(_number_format(percent=False))
    places = np.log(at) if log_x else np.asarray(at, float)
    if len(at) == 1:
        axes.set_xlim((at[0] / 2, 2 * at[0]) if log_x else (at[0] - 1, at[0] + 1))
    if len(at) < 2 or np.min(np.diff(places)) >= np.ptp(places) / 14:
        axes.set_xticks(at)
        axes.xaxis.set_minor_locator(NullLocator())
    elif not log_x:
        integers = all(float(x).is_integer() for x in at)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=integers))


def draw_lines(
    axes: Axes, lines: Iterable[tuple[Sequence[float], Sequence[float]]], style: Mapping[str, Any]
) -> None:
    """Draw lines of one style as one path, which takes two thirds of the room in an SVG."""
    apart = [(*of, math.nan) for line in lines for of in line]
    axes.plot(np.concatenate([[], *apart[::2]]), np.concatenate([[], *apart[1::2]]), **style)


def add_panel(
    figure: Figure, left: float, top: float, size: tuple[float, float], labels: float
) -> Axes:
    """A panel at a place in inches from the upper left corner, with labels of so many points."""
    width, height = figure.get_size_inches()
    across, down = size
    box = left / width, 1 - (top + down) / height, across / width, down / height
    axes = figure.add_axes(box)
    style_axes(axes)
    axes.tick_params(labelsize=labels)
    return axes


def _panel(height: float) -> tuple[NotebookFigure, Axes]:
    figure = NotebookFigure((WIDTH, height), layout="constrained")
    axes = figure.subplots()
    style_axes(axes)
    return figure, axes


def legend(figure: Figure, marks: Mapping[str, Any], columns: int = 3) -> None:
    """A legend of marks by their names, above the panel."""
    style: dict[str, Any] = {"loc": "outside upper left", "ncols": columns}
    style |= {"fontsize": 10, "labelcolor": INK, "handlelength": 1.6, "frameon": False}
    names = [wrapped(name, 24) for name in marks]
    figure.legend(marks.values(), names, **style)


def _array(summaries: Iterable[Summary]) -> np.ndarray:
    """Medians and the bounds of their intervals `[N, 3]`; NaN without an interval."""
    return np.array([(x.median, *(x.interval or (np.nan, np.nan))[:2]) for x in summaries])


def _end(values: np.ndarray, baselines: Sequence[float | None], percent: bool) -> float:
    """The end of an axis from zero; of fractions 1, unless that would flatten small ones."""
    numbers = [*values.flat, *(baseline for baseline in baselines if baseline is not None)]
    largest = max(filter(math.isfinite, numbers), default=1.0) or 1.0
    if percent and largest > 0.2:
        largest = 1.0
    return 1.04 * largest


def _number_format(percent: bool) -> Formatter:
    return PercentFormatter(1) if percent else FuncFormatter(lambda x, _: f"{x:,.10g}")
