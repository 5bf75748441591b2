"""The charts of studies: dots, lines and maps of plain numbers.

An infinite number was never reached: a hollow mark at the far end of its axis, with the word never.
NaN is unknown and not drawn. With `percent`, numbers are fractions and are written in percent. A
`baseline` is the value by chance, or None.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, isinf, isnan
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from echo_jax.report import number_formats
from echo_jax.report.number_formats import three_digits
from echo_jax.report.styles import (
    GREY,
    INK,
    ORANGE,
    RULE,
    SERIES,
    WIDTH,
    annotate,
    style_axes,
    tell,
    wrapped,
)
from echo_jax.statistics import Summary

NEAR_WHITE, NEAR_BLACK = "#FEFEFE", "#010101"  # the same on a light and on a dark page


def dots_figure(
    rows: Sequence[tuple[str, Mapping[str, Summary]]],
    baselines: Sequence[float | None],
    label: str,
    percent: bool,
    *,
    width: float = WIDTH,
) -> Figure:
    """A row for each name, the first on top: a dot for each of its summaries, with its interval.

    Several summaries of a row are the ends of a line. They have the same names in each row, and one
    alone may be called "". A baseline is that of the row.
    """
    narrow = width < WIDTH
    names = [wrapped(name, 40 if narrow else 30) for name, _ in rows]
    steps = [0.24 + 0.18 * (1 + name.count("\n")) for name in names]
    figure, axes = _panel(1.3 + sum(steps) * (1.3 if narrow else 1), width)
    found = [list(marks.values()) for _, marks in rows]
    never, end = _ends(_array(itertools.chain(*found)), baselines, percent)
    keys: dict[str, Any] = {}
    for row, ((name, marks), baseline) in enumerate(zip(rows, baselines, strict=True)):
        if baseline is not None:
            side = 0.15 if narrow else 0.3
            axes.plot([baseline] * 2, [row - side, row + side], color=GREY, linewidth=1.8)
        places = np.minimum(_array(marks.values()), never)
        known = places[:, 0][np.isfinite(places[:, 0])]
        if len(known) > 1:
            axes.plot([known.min(), known.max()], [row, row], color=GREY, linewidth=1.5)
        styles = zip(marks.items(), places, SERIES, itertools.count(8.5, -1.5), strict=False)
        for (series, summary), place, style, size in styles:
            keys[series or "median"] = _dot(axes, row, place, never, style, size)
            words = ", ".join(filter(None, [name, series]))
            tell(axes, [place[0]], [row], [f"{words}: {_said(summary, percent)}"])
    _name_rows(axes, names, narrow)
    axes.set(xlim=(-0.02 * end, end), ylim=(len(rows) - 0.4, -0.7))
    axes.xaxis.set_major_formatter(_number_format(percent))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(wrapped(label, 10 * int(width)), fontsize=11, color=INK)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    if any(baseline is not None for baseline in baselines):
        bar: dict[str, Any] = {"markersize": 13, "markeredgewidth": 1.8}
        keys["chance"] = Line2D([], [], color=GREY, marker="|", linewidth=0, **bar)
    _legend(figure, keys, width)
    return figure


def _dot(
    axes: Axes, row: float, place: np.ndarray, never: float, style: Any, size: float
) -> Line2D:
    """A median and its interval `[3]`, hollow where it was never reached; the mark for the key."""
    colour, marker, _, _ = style
    value, low, high = place
    axes.plot([low, high], [row, row], color=colour, linewidth=6, alpha=0.35, zorder=3)
    face = "white" if value == never else colour
    axes.plot(value, row, marker, color=colour, markerfacecolor=face, markersize=size, zorder=4)
    if value == never:
        annotate(axes, "never", (never, row), (7, 0), va="center")
    return Line2D([], [], color=colour, marker=marker, markersize=size, linewidth=0)


def _name_rows(axes: Axes, names: Sequence[str], above: bool) -> None:
    """The names of rows, beside the panel or above each row."""
    axes.set_yticks(range(len(names)), [""] * len(names) if above else names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(not above)
    at: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
    for row, name in enumerate(names if above else []):
        annotate(axes, name, (0, row), (3, 8), va="bottom", **at)


def lines_figure(  # noqa: PLR0913 - what is on two axes
    series: Mapping[str, Sequence[tuple[float, Summary]]],
    x_label: str,
    y_label: str,
    baseline: float | None,
    percent: bool,
    log_x: bool = False,
    *,
    width: float = WIDTH,
) -> Figure:
    """A line with intervals for each of up to 6 series of points (x, summary), x ascending.

    The name of a line stands where it ends. With `log_x` every x is above 0.
    """
    figure, axes = _panel(3.7, width)
    found = _array(summary for points in series.values() for _, summary in points)
    never, end = _ends(found, [baseline], percent)
    axes.set_xscale("log" if log_x else "linear")
    ends: list[tuple[str, str, tuple[float, float]]] = []
    for (name, points), style in zip(series.items(), SERIES[: len(series)], strict=True):
        _line(axes, points, style, never)
        last = [(x, min(each.median, never)) for x, each in points if not isnan(each.median)]
        last.sort(key=lambda at: at[1] < never)  # a line ends at its last number, if it has one
        if last and len(series) > 1:
            ends.append((name, style[0], last[-1]))
        of = f"{name}, " * (len(series) > 1)
        said = [f"{of}{x_label} {x:,.10g}: {_said(each, percent)}" for x, each in points]
        tell(axes, [x for x, _ in points], [min(y.median, never) for _, y in points], said)
    for x in sorted({x for points in series.values() for x, e in points if isinf(e.median)}):
        annotate(axes, "never", (float(x), never), (0, 7), ha="center")
    at = sorted({x for points in series.values() for x, _ in points})
    _set_ticks(axes, at, log_x, width)
    axes.set_ylim(-0.02 * end, end)
    _finish(axes, x_label, y_label, baseline, percent)
    if baseline is not None:
        ends.append(("chance", GREY, (at[-1], baseline)))
    _name_lines(axes, ends, 23 if width == WIDTH else 13)
    return figure


def _name_lines(
    axes: Axes, ends: Sequence[tuple[str, str, tuple[float, float]]], room: int
) -> None:
    """The names of lines (name, colour, (x, y) of its end) to the right of the panel, apart.

    Each has at most `room` characters a line.
    """
    low, high = axes.get_ylim()
    named = [(wrapped(name, room), colour, *at) for name, colour, at in ends]
    named.sort(key=lambda each: -each[3])
    heights = [0.068 * (1 + words.count("\n")) for words, *_ in named]
    tops: list[float] = []  # as shares of the panel: downwards as far as needed, then up again
    for (*_, y), height in zip(named, heights, strict=True):
        at = (y - low) / (high - low) + height / 2
        tops.append(min(at, tops[-1] - heights[len(tops) - 1]) if tops else at)
    floor = -0.1
    for i in reversed(range(len(tops))):
        tops[i] = max(tops[i], floor + heights[i])
        floor = tops[i]
    line: dict[str, Any] = {
        "arrowstyle": "-",
        "linewidth": 1,
        "shrinkA": 0,
        "shrinkB": 3,
        "relpos": (0, 0.5),
    }
    for (words, colour, x, y), top, height in zip(named, tops, heights, strict=True):
        text: dict[str, Any] = {"xytext": (1.07, top - height / 2), "textcoords": "axes fraction"}
        style: dict[str, Any] = {"fontsize": 10, "color": INK, "va": "center", "ha": "left"}
        arrow = line | {"color": colour}
        axes.annotate(words, (x, y), arrowprops=arrow, annotation_clip=False, **text, **style)


def _line(axes: Axes, points: Sequence[tuple[float, Summary]], style: Any, never: float) -> None:
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
    axes.plot(at, middle, color=colour, marker=marker, linewidth=2, linestyle=dashes)


def _set_ticks(axes: Axes, at: Sequence[float], log_x: bool, width: float) -> None:
    """Ticks at every x if they have room, else at round numbers; integers if every x is one."""
    axes.xaxis.set_major_formatter(_number_format(percent=False))
    places = np.log(at) if log_x else np.asarray(at, float)
    if len(at) == 1:
        axes.set_xlim((at[0] / 2, 2 * at[0]) if log_x else (at[0] - 1, at[0] + 1))
    if len(at) < 2 or np.min(np.diff(places)) >= np.ptp(places) / (14 if width == WIDTH else 5):
        axes.set_xticks(at)
        axes.xaxis.set_minor_locator(NullLocator())
    elif not log_x:
        integers = all(float(x).is_integer() for x in at)
        axes.xaxis.set_major_locator(MaxNLocator(int(width) + 1, integer=integers))


def heat_figure(  # noqa: PLR0913 - what is on three axes
    panels: Mapping[str, np.ndarray],
    x_ticks: Sequence[object],
    y_ticks: Sequence[object],
    x_label: str,
    y_label: str,
    label: str,
    *,
    percent: bool,
    width: float = WIDTH,
) -> Figure:
    """Heat maps `[Y, X]` by title, row 0 at the bottom, with numbers in fields that have room."""
    narrow = width < WIDTH
    across = min(len(panels), max(1, int((3 if narrow else 2) * width) // len(x_ticks)))
    down = -(-len(panels) // across)
    names, row, side_room = _rows_of_map(y_ticks, len(x_ticks), bool(y_label), narrow)
    height = 0.4 + down * (0.7 + row * len(y_ticks)) + 0.5 * narrow
    figure = Figure((width, height), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    room = (width - side_room) / across / len(x_ticks)  # inches of a field
    known = np.concatenate([np.ravel(values) for values in panels.values()])
    known = known[np.isfinite(known)]
    ends = (0.0, 1.0) if percent or not len(known) else (known.min(), known.max())
    named = _with_room(x_ticks, int(2.2 * width / across))
    letters = (10 if narrow else 8) * int(width) // across  # of a line of a title
    for axes, (title, values) in zip(grid.flat, panels.items(), strict=False):
        mesh = _heat_map(axes, np.asarray(values, float), ends, percent, room)
        axes.set_title(wrapped(title, letters), fontsize=11, color=INK)
        axes.set_xticks([i + 0.5 for i in named], [wrapped(str(x_ticks[i]), 12) for i in named])
        axes.set_yticks(np.arange(len(y_ticks)) + 0.5, names)
        axes.tick_params(length=0, labelsize=10, labelcolor=INK)
        place = f"{title}, " * (len(panels) > 1) + y_label
        _tell_fields(axes, values, [f"{place} {y}".strip() for y in y_ticks],
                     [f"{x_label} {x}" for x in x_ticks], percent)  # fmt: skip
    _label_maps(figure, grid, wrapped(x_label, 9 * int(width)), wrapped(y_label, 35))
    side: dict[str, Any] = {"location": "bottom", "shrink": 0.9} if narrow else {}
    side |= {"ax": grid, "format": _number_format(percent), "aspect": 25, "pad": 0.02}
    _style_bar(figure.colorbar(mesh, **side), wrapped(label, 35))
    return figure


def _label_maps(figure: Figure, grid: np.ndarray, x_label: str, y_label: str) -> None:
    """A label below each column of maps, and one on their left."""
    for axes in grid[-1]:
        axes.set_xlabel(x_label, fontsize=11, color=INK)
    figure.supylabel(y_label, fontsize=11, color=INK)


def frame_column(axes: Axes, column: int, rows: int) -> None:
    """A frame around a column of a map with so many rows."""
    frame: dict[str, Any] = {"fill": False, "edgecolor": ORANGE, "linewidth": 3, "zorder": 4}
    axes.add_patch(Rectangle((column, 0), 1, rows, clip_on=False, **frame))


def _tell_fields(
    axes: Axes, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], percent: bool
) -> None:
    """Say the place and the value of each field."""
    for (y, x), value in np.ndenumerate(values):
        said = _said(Summary(value, None), percent)
        tell(axes, [x + 0.5], [y + 0.5], [f"{rows[y]}, {columns[x]}: {said}"])


def _rows_of_map(
    y_ticks: Sequence[object], columns: int, labelled: bool, narrow: bool
) -> tuple[list[str], float, float]:
    """The names of rows, the inches of a row, and those beside the fields.

    Names in short lines leave more room for the fields of a narrow figure.
    """
    names = [wrapped(str(y), 14 if narrow and columns <= 10 else 22) for y in y_ticks]
    if not narrow:
        return names, 0.36, 1.8
    beside = 0.3 + 0.075 * max(len(line) for name in names for line in name.split("\n"))
    lines = max(name.count("\n") for name in names) + 1
    return names, 0.26 if labelled and len(names) > 12 else max(0.36, 0.17 * lines), beside


def _style_bar(bar: Any, label: str) -> None:
    """A colour bar without an outline, of shapes without gaps between them."""
    bar.set_label(label, fontsize=11, color=INK)
    bar.solids.set(edgecolor="face", rasterized=False)
    bar.outline.set_visible(False)


def _with_room(names: Sequence[object], room: int) -> list[int]:
    """Choose the names that are shown where at most `room` have room; of numbers, round ones."""
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, len(names)) if len(names) <= n * room)
    round_ones = [i for i, x in enumerate(names) if isinstance(x, int) and x % every == 0]
    return round_ones or list(range(0, len(names), every))


def _heat_map(
    axes: Axes, values: np.ndarray, ends: tuple[float, float], percent: bool, room: float
) -> QuadMesh:
    """One map; its numbers have the more contrast of black and white with their field (WCAG 2)."""
    style: dict[str, Any] = {"cmap": matplotlib.colormaps["viridis"].resampled(64)}
    finite = np.ma.masked_invalid(values)
    edge = "white" if room > 0.15 else "face"
    mesh = axes.pcolormesh(finite, vmin=ends[0], vmax=ends[1], edgecolor=edge, **style)
    mesh.set_linewidth(1.0 if room > 0.15 else 0.3)
    axes.set_facecolor(RULE)
    axes.spines[:].set_visible(False)
    for (y, x), value in np.ndenumerate(values):
        if isnan(value) or (room < 0.26 and isfinite(value)):
            continue
        words, colour = "never", INK
        if isfinite(value):
            words = f"{100 * value:.0f}" if percent else f"{value:,.3g}"
            behind = np.array(mesh.cmap(mesh.norm(value))[:3])
            linear = np.where(behind <= 0.04045, behind / 12.92, ((behind + 0.055) / 1.055) ** 2.4)
            luminance = linear @ [0.2126, 0.7152, 0.0722] + 0.05
            colour = NEAR_WHITE if 1.05 / luminance > luminance / 0.05 else NEAR_BLACK
        axes.text(x + 0.5, y + 0.5, words, color=colour, ha="center", va="center", fontsize=9)
    return mesh


def _panel(height: float, width: float) -> tuple[Figure, Axes]:
    """A figure of one panel, so many inches high and wide."""
    figure = Figure((width, height), layout="constrained")
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


def _legend(figure: Figure, marks: Mapping[str, Any], width: float) -> None:
    """A legend of marks by their names, above the panel."""
    style: dict[str, Any] = {"loc": "outside upper left", "ncols": 3 if width == WIDTH else 2}
    style |= {"fontsize": 10, "labelcolor": INK, "handlelength": 1.6, "frameon": False}
    names = [wrapped(name, 30 if width == WIDTH else 18) for name in marks]
    figure.legend(marks.values(), names, **style)


def _said(summary: Summary, percent: bool) -> str:
    """A median and its interval: 97.25% (97.1 to 97.4); never for infinity."""
    middle, interval = summary
    write = number_formats.percent if percent else three_digits
    if not isfinite(middle):
        return "unknown" if isnan(middle) else "never"
    if interval is None or not isfinite(interval.low):
        return write(middle)
    low, high = (
        write(each).removesuffix("%") if isfinite(each) else "never" for each in interval[:2]
    )
    return f"{write(middle)} ({low} to {high})"


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
