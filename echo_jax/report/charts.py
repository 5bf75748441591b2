"""The charts of studies: dots, lines, bars and heat maps of plain numbers.

An infinite number was never reached: a hollow mark at the far end of its axis, with the word never.
NaN is unknown and not drawn.
"""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, isinf, isnan
from typing import Any, NamedTuple

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


class Estimate(NamedTuple):
    """A median over seeds and its interval; the bounds are None with one seed."""

    value: float
    low: float | None
    high: float | None


def dots_figure(
    rows: Sequence[tuple[str, Estimate]],
    baselines: Sequence[float | None],
    label: str,
    percent: bool,
) -> Figure:
    """A row for each estimate, the first on top: a dot, its interval and its baseline.

    Args:
      rows: names and estimates.
      baselines: the value by chance of each row, or None.
      label: of the horizontal axis.
      percent: the values are fractions, to be written in percent.
    """
    names = [wrapped(name, 30) for name, _ in rows]
    figure, axes = _panel(1.3 + sum(0.22 + 0.18 * (1 + name.count("\n")) for name in names))
    estimates = [estimate for _, estimate in rows]
    never, end = _ends(estimates, baselines, percent)
    for row, (estimate, baseline) in enumerate(zip(estimates, baselines, strict=True)):
        if baseline is not None:
            axes.plot([baseline] * 2, [row - 0.36, row + 0.36], color=GREY, linewidth=1.8)
        low, high = _bounds(estimate, never)
        axes.plot([low, high], [row, row], color=BLUE, linewidth=6, alpha=0.35, zorder=3)
        _dot(axes, estimate.value, never, row)
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(-0.02 * end, end), ylim=(len(rows) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(_number_format(percent))
    axes.set_xlabel(wrapped(label, 70), fontsize=11, color=INK)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    handles = _dots_legend(estimates, baselines)
    _legend(figure, handles, [str(handle.get_label()) for handle in handles], "above")
    return figure


def _dot(axes: Axes, value: float, never: float, row: int) -> None:
    """The dot of a row."""
    face = "white" if isinf(value) else BLUE
    axes.plot(min(value, never), row, "o", color=BLUE, markerfacecolor=face, zorder=4)
    if isinf(value):
        annotate(axes, "never", (never, row), (7, 0), va="center")


def _dots_legend(estimates: Sequence[Estimate], baselines: Sequence[float | None]) -> list[Line2D]:
    """The marks of `dots_figure` with their meanings."""
    several = any(estimate.low is not None for estimate in estimates)
    dot = "median, interval over seeds" if several else "one seed, no interval"
    handles = [Line2D([], [], color=BLUE, marker="o", linewidth=0, label=dot)]
    if any(baseline is not None for baseline in baselines):
        style: dict[str, Any] = {"marker": "|", "markersize": 13, "markeredgewidth": 1.8}
        handles.append(Line2D([], [], color=GREY, linewidth=0, label="chance", **style))
    return handles


def lines_figure(
    series: Mapping[str, Sequence[tuple[float, Estimate]]],
    x_label: str,
    y_label: str,
    baseline: float | None,
    percent: bool,
    log_x: bool = False,
) -> Figure:
    """A line with intervals for each series; the legend has the order in which the lines end.

    Args:
      series: up to 6, each with its points (x, estimate) from left to right.
      x_label: of the horizontal axis.
      y_label: of the vertical axis.
      baseline: the value by chance, or None.
      percent: the values are fractions, to be written in percent.
      log_x: the horizontal axis is logarithmic; every x is above 0.
    """
    figure, axes = _panel(3.7)
    estimates = [estimate for points in series.values() for _, estimate in points]
    never, end = _ends(estimates, [baseline], percent)
    axes.set_xscale("log" if log_x else "linear")
    lines, last = {}, {}
    for (name, points), style in zip(series.items(), SERIES[: len(series)], strict=True):
        lines[name] = _line(axes, points, style, never)
        last[name] = next((e.value for _, e in reversed(points) if not isnan(e.value)), -inf)
    for x in sorted({x for points in series.values() for x, e in points if isinf(e.value)}):
        annotate(axes, "never", (x, never), (0, 7), ha="center")
    _set_ticks(axes, sorted({x for points in series.values() for x, _ in points}), log_x)
    axes.set_ylim(-0.02 * end, end)
    _finish(axes, x_label, y_label, baseline, percent)
    names = sorted(lines, key=lambda name: -last[name])
    _legend(figure, [lines[name] for name in names], [wrapped(n, 20) for n in names], "beside")
    return figure


def _line(axes: Axes, points: Sequence[tuple[float, Estimate]], style: Any, never: float) -> Line2D:
    """The line of a series, with gaps at unknown and infinite values; a band for many points."""
    colour, marker, dashes, _ = style
    at = [x for x, _ in points]
    values = [e.value if isfinite(e.value) else np.nan for _, e in points]
    low, high = np.transpose([_bounds(e, never) for _, e in points])
    if len(points) > 12:
        axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
    else:
        axes.vlines(at, low, high, color=colour, linewidth=4, alpha=0.3)
    out = [x for x, e in points if isinf(e.value)]
    axes.plot(out, [never] * len(out), marker, color=colour, markerfacecolor="none", markersize=7)
    (line,) = axes.plot(at, values, color=colour, marker=marker, linewidth=2, linestyle=dashes)
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
    """Groups of bars, a bar of each series in every group; none for a number that is not finite.

    Args:
      groups: their names, from left to right.
      series: up to 6, each with a number for every group.
      x_label: of the horizontal axis.
      y_label: of the vertical axis.
      baseline: the value by chance, or None.
      percent: the numbers are fractions, to be written in percent.
    """
    figure, axes = _panel(3.7)
    width = 0.8 / len(series)
    bars = []
    for i, (values, (colour, _, _, hatch)) in enumerate(
        zip(series.values(), SERIES[: len(series)], strict=True)
    ):
        heights = np.where(np.isfinite(values), values, np.nan)
        places = np.arange(len(groups)) + (i - (len(series) - 1) / 2) * width
        style: dict[str, Any] = {"facecolor": colour, "edgecolor": "white", "hatch": hatch}
        bars.append(axes.bar(places, heights, width, linewidth=0.8, **style))
    every = -(-len(groups) // 24)  # at most 24 names have room
    names = [wrapped(group, max(4, 70 * every // len(groups))) for group in groups]
    axes.set_xticks(range(0, len(groups), every), names[::every])
    axes.tick_params(axis="x", length=0, pad=6)
    found = [Estimate(x, None, None) for values in series.values() for x in values if isfinite(x)]
    axes.set_ylim(0, _ends(found, [baseline], percent)[1])
    _finish(axes, x_label, y_label, baseline, percent)
    _legend(figure, bars, [wrapped(name, 30) for name in series], "above")
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
    """Heat maps in the same colours, with numbers in their fields if these have room.

    Args:
      panels: float `[Y, X]` by title, row 0 at the bottom.
      x_ticks: the names of the X columns.
      y_ticks: the names of the Y rows, from the bottom up.
      x_label: of the horizontal axis.
      y_label: of the vertical axis.
      label: of the colours.
      percent: the numbers are fractions, to be written in percent.
    """
    across = min(len(panels), max(1, 14 // len(x_ticks)))
    down = -(-len(panels) // across)
    figure = Figure((WIDTH, 0.4 + down * (0.7 + 0.36 * len(y_ticks))), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    room = (WIDTH - 1.8) / across / len(x_ticks)
    ends = _colour_ends(list(panels.values()), percent)
    for axes, (title, values) in zip(grid.flat, panels.items(), strict=False):
        mesh = _heat_map(axes, np.asarray(values, float), ends, percent, room)
        axes.set_title(wrapped(title, 60 // across), fontsize=11, color=INK)
        _name_fields(axes, x_ticks, y_ticks)
    figure.supxlabel(wrapped(x_label, 70), fontsize=11, color=INK)
    figure.supylabel(wrapped(y_label, 35), fontsize=11, color=INK)
    bar: Any = figure.colorbar(mesh, ax=grid, format=_number_format(percent), aspect=25, pad=0.02)
    bar.set_label(wrapped(label, 35), fontsize=11, color=INK)
    bar.solids.set(edgecolor="face", rasterized=False)  # as shapes, without gaps between them
    bar.outline.set_visible(False)
    return figure


def _name_fields(axes: Axes, x_ticks: Sequence[object], y_ticks: Sequence[object]) -> None:
    """The names of columns and rows, in their middles."""
    axes.set_xticks(np.arange(len(x_ticks)) + 0.5, [wrapped(str(x), 12) for x in x_ticks])
    axes.set_yticks(np.arange(len(y_ticks)) + 0.5, [wrapped(str(y), 20) for y in y_ticks])
    axes.tick_params(length=0, labelsize=10, labelcolor=INK)


def _heat_map(
    axes: Axes, values: np.ndarray, ends: tuple[float, float], percent: bool, room: float
) -> QuadMesh:
    """One map `[Y, X]`; a field is `room` inches wide."""
    style: dict[str, Any] = {"cmap": matplotlib.colormaps["viridis"].resampled(64)}
    finite = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(finite, vmin=ends[0], vmax=ends[1], edgecolor="white", **style)
    axes.set_facecolor(RULE)
    axes.spines[:].set_visible(False)
    for (y, x), value in np.ndenumerate(values):
        if isnan(value) or (room < 0.3 and isfinite(value)):
            continue
        words = f"{100 * value:.0f}" if percent else f"{value:,.3g}"
        colour = INK if isinf(value) else _text_colour(mesh.cmap(mesh.norm(value)))
        middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9}
        axes.text(x + 0.5, y + 0.5, "never" if isinf(value) else words, color=colour, **middle)
    return mesh


def _colour_ends(panels: Sequence[np.ndarray], percent: bool) -> tuple[float, float]:
    """The numbers of the first and the last colour: 0 and 1 for fractions."""
    known = np.concatenate([np.ravel(values) for values in panels])
    known = known[np.isfinite(known)]
    if percent or not len(known):
        return 0.0, 1.0
    return float(known.min()), float(known.max())


def _text_colour(behind: Any) -> str:
    """Black or white, whichever has more contrast with an RGBA colour by WCAG 2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in behind[:3]]
    luminance = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


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


def _legend(figure: Figure, handles: Sequence[Any], names: Sequence[str], place: str) -> None:
    """A legend outside the panel: in a row above it, or in a column beside it."""
    style: dict[str, Any] = {"loc": "outside upper left", "ncols": 3, "handlelength": 1.6}
    if place == "beside":
        style = {"loc": "outside right upper", "ncols": 1, "handlelength": 3}
    style |= {"fontsize": 10, "labelcolor": INK, "labelspacing": 0.8, "frameon": False}
    figure.legend(handles, names, **style)


def _ends(
    estimates: Sequence[Estimate], baselines: Sequence[float | None], percent: bool
) -> tuple[float, float]:
    """The place of "never" on an axis from zero, and the end of the axis.

    The axis of fractions ends at 1, unless all of them are so small that it would flatten them.
    """
    numbers = [x for estimate in estimates for x in estimate if x is not None]
    numbers += [baseline for baseline in baselines if baseline is not None]
    largest = max((x for x in numbers if isfinite(x)), default=1.0) or 1.0
    if percent and largest > 0.2:
        largest = 1.0
    beyond = any(isinf(x) for x in numbers)
    return 1.15 * largest, largest * (1.32 if beyond else 1.04)


def _bounds(estimate: Estimate, never: float) -> tuple[float, float]:
    """The ends of an interval, at most `never`; NaN without an interval."""
    if estimate.low is None or estimate.high is None or isnan(estimate.value):
        return np.nan, np.nan
    return min(estimate.low, never), min(estimate.high, never)


def _number_format(percent: bool) -> Formatter:
    """Fractions in percent, other numbers in full."""
    return PercentFormatter(1) if percent else FuncFormatter(lambda x, _: f"{x:,.10g}")
