"""The charts of studies: dots, lines, bars and heat maps of plain numbers.

An infinite number was never reached: a hollow mark at the far end of its axis, with the word never.
NaN is unknown and not drawn. With `percent`, numbers are fractions and are written in percent. A
`baseline` is the value by chance, or None.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf, isfinite, isinf, isnan
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from echo_jax.report.styles import (
    BLUE,
    GREY,
    INK,
    RULE,
    SERIES,
    WIDTH,
    annotate,
    style_axes,
    wrapped,
)
from echo_jax.statistics import Summary


def dots_figure(
    rows: Sequence[tuple[str, Summary]],
    baselines: Sequence[float | None],
    label: str,
    percent: bool,
) -> Figure:
    """A row for each named summary, the first on top: a dot, its interval and its baseline."""
    names = [wrapped(name, 30) for name, _ in rows]
    figure, axes = _panel(1.3 + sum(0.22 + 0.18 * (1 + name.count("\n")) for name in names))
    values = _array(summary for _, summary in rows)
    never, end = _ends(values, baselines, percent)
    dots = zip(np.minimum(values, never), baselines, strict=True)
    for row, ((value, low, high), baseline) in enumerate(dots):
        if baseline is not None:
            axes.plot([baseline] * 2, [row - 0.36, row + 0.36], color=GREY, linewidth=1.8)
        axes.plot([low, high], [row, row], color=BLUE, linewidth=6, alpha=0.35, zorder=3)
        face = "white" if value == never else BLUE
        axes.plot(value, row, "o", color=BLUE, markerfacecolor=face, zorder=4)
        if value == never:
            annotate(axes, "never", (never, row), (7, 0), va="center")
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(-0.02 * end, end), ylim=(len(rows) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(_number_format(percent))
    axes.set_xlabel(wrapped(label, 70), fontsize=11, color=INK)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    several = any(summary.interval for _, summary in rows)
    dot = "median, interval over seeds" if several else "one seed, no interval"
    marks = {dot: Line2D([], [], color=BLUE, marker="o", linewidth=0)}
    if any(baseline is not None for baseline in baselines):
        style: dict[str, Any] = {"marker": "|", "markersize": 13, "markeredgewidth": 1.8}
        marks["chance"] = Line2D([], [], color=GREY, linewidth=0, **style)
    _legend(figure, marks)
    return figure


def lines_figure(
    series: Mapping[str, Sequence[tuple[float, Summary]]],
    x_label: str,
    y_label: str,
    baseline: float | None,
    percent: bool,
    log_x: bool = False,
) -> Figure:
    """A line with intervals for each of up to 6 series of points (x, summary), x ascending.

    The legend has the order in which the lines end. With `log_x` every x is above 0.
    """
    figure, axes = _panel(3.7)
    found = _array(summary for points in series.values() for _, summary in points)
    never, end = _ends(found, [baseline], percent)
    axes.set_xscale("log" if log_x else "linear")
    lines, last = {}, {}
    for (name, points), style in zip(series.items(), SERIES[: len(series)], strict=True):
        lines[name] = _line(axes, points, style, never)
        last[name] = next((e.median for _, e in reversed(points) if not isnan(e.median)), -inf)
    for x in sorted({x for points in series.values() for x, e in points if isinf(e.median)}):
        annotate(axes, "never", (x, never), (0, 7), ha="center")
    _set_ticks(axes, sorted({x for points in series.values() for x, _ in points}), log_x)
    axes.set_ylim(-0.02 * end, end)
    _finish(axes, x_label, y_label, baseline, percent)
    names = sorted(lines, key=lambda name: -last[name])
    _legend(figure, {wrapped(n, 20): lines[n] for n in names}, beside=True)
    return figure


def _line(axes: Axes, points: Sequence[tuple[float, Summary]], style: Any, never: float) -> Line2D:
    """The line of a series, with gaps at unknown and infinite values; a band for many points."""
    colour, marker, dashes, _ = style
    at, values = np.array([x for x, _ in points]), _array(summary for _, summary in points)
    low, high = np.minimum(values[:, 1:], never).T
    if len(points) > 12:
        axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
    else:
        axes.vlines(at, low, high, color=colour, linewidth=4, alpha=0.3)
    middle = np.where(np.isfinite(values[:, 0]), values[:, 0], np.nan)
    out = at[np.isinf(values[:, 0])]
    axes.plot(out, [never] * len(out), marker, color=colour, markerfacecolor="none", markersize=7)
    (line,) = axes.plot(at, middle, color=colour, marker=marker, linewidth=2, linestyle=dashes)
    return line


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


def bars_figure(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    x_label: str,
    y_label: str,
    baseline: float | None,
    percent: bool,
) -> Figure:
    """Groups of bars, a bar of each of up to 6 series in every group; none for inf and NaN."""
    figure, axes = _panel(3.7)
    width = 0.8 / len(series)
    bars = {}
    for i, ((name, values), (colour, _, _, hatch)) in enumerate(
        zip(series.items(), SERIES[: len(series)], strict=True)
    ):
        heights = np.where(np.isfinite(values), values, np.nan)
        places = np.arange(len(groups)) + (i - (len(series) - 1) / 2) * width
        style: dict[str, Any] = {"facecolor": colour, "edgecolor": "white", "hatch": hatch}
        bars[wrapped(name, 30)] = axes.bar(places, heights, width, linewidth=0.8, **style)
    every = -(-len(groups) // 24)  # at most 24 names have room
    names = [wrapped(group, max(4, 70 * every // len(groups))) for group in groups]
    axes.set_xticks(range(0, len(groups), every), names[::every])
    axes.tick_params(axis="x", length=0, pad=6)
    found = np.concatenate(list(series.values()))
    axes.set_ylim(0, _ends(found[np.isfinite(found)], [baseline], percent)[1])
    _finish(axes, x_label, y_label, baseline, percent)
    _legend(figure, bars)
    return figure


def heat_figure(  # noqa: PLR0913 - what is on three axes
    panels: Mapping[str, np.ndarray],
    x_ticks: Sequence[object],
    y_ticks: Sequence[object],
    x_label: str,
    y_label: str,
    label: str,
    *,
    percent: bool,
) -> Figure:
    """Heat maps `[Y, X]` by title, row 0 at the bottom, with numbers in fields that have room."""
    across = min(len(panels), max(1, 14 // len(x_ticks)))
    down = -(-len(panels) // across)
    figure = Figure((WIDTH, 0.4 + down * (0.7 + 0.36 * len(y_ticks))), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    room = (WIDTH - 1.8) / across / len(x_ticks)  # inches of a field
    known = np.concatenate([np.ravel(values) for values in panels.values()])
    known = known[np.isfinite(known)]
    ends = (0.0, 1.0) if percent or not len(known) else (known.min(), known.max())
    for axes, (title, values) in zip(grid.flat, panels.items(), strict=False):
        mesh = _heat_map(axes, np.asarray(values, float), ends, percent, room)
        axes.set_title(wrapped(title, 60 // across), fontsize=11, color=INK)
        axes.set_xticks(np.arange(len(x_ticks)) + 0.5, [wrapped(str(x), 12) for x in x_ticks])
        axes.set_yticks(np.arange(len(y_ticks)) + 0.5, [wrapped(str(y), 20) for y in y_ticks])
        axes.tick_params(length=0, labelsize=10, labelcolor=INK)
    figure.supxlabel(wrapped(x_label, 70), fontsize=11, color=INK)
    figure.supylabel(wrapped(y_label, 35), fontsize=11, color=INK)
    bar: Any = figure.colorbar(mesh, ax=grid, format=_number_format(percent), aspect=25, pad=0.02)
    bar.set_label(wrapped(label, 35), fontsize=11, color=INK)
    bar.solids.set(edgecolor="face", rasterized=False)  # as shapes, without gaps between them
    bar.outline.set_visible(False)
    return figure


def _heat_map(
    axes: Axes, values: np.ndarray, ends: tuple[float, float], percent: bool, room: float
) -> QuadMesh:
    """One map; its numbers have the more contrast of black and white with their field (WCAG 2)."""
    style: dict[str, Any] = {"cmap": matplotlib.colormaps["viridis"].resampled(64)}
    finite = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(finite, vmin=ends[0], vmax=ends[1], edgecolor="white", **style)
    axes.set_facecolor(RULE)
    axes.spines[:].set_visible(False)
    for (y, x), value in np.ndenumerate(values):
        if isnan(value) or (room < 0.3 and isfinite(value)):
            continue
        words, colour = "never", INK
        if isfinite(value):
            words = f"{100 * value:.0f}" if percent else f"{value:,.3g}"
            behind = np.array(mesh.cmap(mesh.norm(value))[:3])
            linear = np.where(behind <= 0.04045, behind / 12.92, ((behind + 0.055) / 1.055) ** 2.4)
            luminance = linear @ [0.2126, 0.7152, 0.0722] + 0.05
            colour = "white" if 1.05 / luminance > luminance / 0.05 else "black"
        axes.text(x + 0.5, y + 0.5, words, color=colour, ha="center", va="center", fontsize=9)
    return mesh


def _panel(height: float) -> tuple[Figure, Axes]:
    """A figure of one panel, `height` inches high."""
    figure = Figure((WIDTH, height), layout="constrained")
    axes = figure.subplots()
    style_axes(axes)
    return figure, axes


def _finish(axes: Axes, x_label: str, y_label: str, baseline: float | None, percent: bool) -> None:
    """The labels, grid and baseline of a panel with numbers on its vertical axis."""
    axes.set_xlabel(wrapped(x_label, 60), fontsize=11, color=INK)
    axes.set_ylabel(wrapped(y_label, 34), fontsize=11, color=INK)
    axes.yaxis.set_major_formatter(_number_format(percent))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    if baseline is not None:
        axes.axhline(baseline, color=GREY, linestyle="--", linewidth=1.4, zorder=1.5)
        coordinates = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
        annotate(axes, "chance", (1, baseline), (5, 0), va="center", color=GREY, **coordinates)


def _legend(figure: Figure, marks: Mapping[str, Any], beside: bool = False) -> None:
    """A legend of marks by their names: in a row above the panel, or in a column beside it."""
    style: dict[str, Any] = {"loc": "outside upper left", "ncols": 3, "handlelength": 1.6}
    if beside:
        style = {"loc": "outside right upper", "ncols": 1, "handlelength": 3}
    style |= {"fontsize": 10, "labelcolor": INK, "labelspacing": 0.8, "frameon": False}
    figure.legend(marks.values(), marks.keys(), **style)


def _array(found: Iterable[Summary]) -> np.ndarray:
    """Medians and the bounds of their intervals `[N, 3]`; NaN without an interval."""
    return np.array([(each.median, *(each.interval or (np.nan, np.nan))[:2]) for each in found])


def _ends(
    values: np.ndarray, baselines: Sequence[float | None], percent: bool
) -> tuple[float, float]:
    """The place of "never" on an axis from zero, and the end of the axis.

    The axis of fractions ends at 1, unless all of them are so small that it would flatten them.
    """
    numbers = [*values.flat, *(baseline for baseline in baselines if baseline is not None)]
    largest = max(filter(isfinite, numbers), default=1.0) or 1.0
    if percent and largest > 0.2:
        largest = 1.0
    return 1.15 * largest, largest * (1.32 if any(map(isinf, numbers)) else 1.04)


def _number_format(percent: bool) -> Formatter:
    """Fractions in percent, other numbers in full."""
    return PercentFormatter(1) if percent else FuncFormatter(lambda x, _: f"{x:,.10g}")
