"""Figures of studies, drawn from plain numbers, as SVG whose words are text. No jax here."""

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from math import inf, isfinite, isinf, isnan
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from echo_jax.report.styles import BLUE, GREY, ORANGE

INK = "#1A1A1A"
"""Of words that are not grey."""

RULE = "#E4E4E4"
"""Of the lines behind the data, and of cells with no data."""

SERIES = (
    (BLUE, "o", "-", ""),
    (ORANGE, "s", (0, (5, 2)), "//"),
    ("#000000", "^", (0, (1, 1.5)), ".."),
    ("#009E73", "D", (0, (7, 2, 1.5, 2)), "xx"),
    ("#CC79A7", "v", (0, (2.5, 1.5)), "--"),
    ("#A57200", "P", (0, (5, 1.5, 1.5, 1.5, 1.5, 1.5)), "||"),
)
"""Colour, marker, dashes and hatching of a series, which any one of the four tells apart.

The colours are of the palette of Okabe and Ito, its orange darkened: 3 to 1 or more on white.
"""

WIDTH = 7.2
"""Inches. The page scales the figure; a size of 10 is then as large as its own text."""


class Estimate(NamedTuple):
    """A median over seeds and its interval, whose bounds are None where there is one seed.

    Infinity is what was never reached: a hollow mark at the far end that says "never". NaN is
    what is not known, and is left out.
    """

    value: float
    low: float | None
    high: float | None


def svg(figure: Figure, name: str) -> str:
    """A figure as one `<svg>` element for a page with several: the same characters each time.

    It has no width and height, so that the page scales it, and no style sheet of its own, which
    would be that of the whole page.

    Args:
      figure: is drawn once; a second drawing may lay it out a little differently.
      name: begins all its ids: letters, digits, `-` and `_`, of no other figure of the page.
    """
    content = io.StringIO()
    settings: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "font.sans-serif": ["DejaVu Sans"],
    }
    with matplotlib.rc_context(settings):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(content, metadata=nothing)
    drawing = content.getvalue()
    drawing = drawing[drawing.index("<svg") :].strip()
    drawing = re.sub(r"<defs>\s*<style.*?</defs>\s*", "", drawing, count=1, flags=re.DOTALL)
    size = r'(?<= )width="\S*" height="\S*"'
    drawing = re.sub(size, 'style="stroke-linejoin: round; stroke-linecap: butt"', drawing, count=1)
    return re.sub(r"<[^<>]+>", lambda tag: _renamed(tag[0], name), drawing)


def _renamed(tag: str, name: str) -> str:
    """A tag whose ids and references begin with `name`, and whose font every system has."""
    tag = re.sub(r' id="|href="#|url\(#', rf"\g<0>{name}-", tag)
    return tag.replace("'DejaVu Sans', sans-serif", "'DejaVu Sans', Arial, sans-serif")


def dots_figure(
    rows: Sequence[tuple[str, Estimate]],
    floors: Sequence[float | None],
    label: str,
    percent: bool,
) -> Figure:
    """A dot and its interval a row, the first row on top, each beside its floor.

    Args:
      rows: the name of each and what was found.
      floors: what chance alone gives, of each row; None where there is none.
      label: of the numbers, below.
      percent: the numbers are shares in `[0, 1]`, and written in percent.
    """
    names = [wrapped(name, 30) for name, _ in rows]
    figure, axes = _panel(1.3 + sum(0.22 + 0.18 * (1 + name.count("\n")) for name in names))
    estimates = [estimate for _, estimate in rows]
    never, end = _ends(estimates, floors, percent)
    for row, (estimate, floor) in enumerate(zip(estimates, floors, strict=True)):
        if floor is not None:
            axes.plot([floor, floor], [row - 0.36, row + 0.36], color=GREY, linewidth=1.8)
        low, high = _bounds(estimate, never)
        axes.plot([low, high], [row, row], color=BLUE, linewidth=6, alpha=0.35, zorder=3)
        _mark(axes, estimate.value, never, row, BLUE)
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(-0.02 * end, end), ylim=(len(rows) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(_number_format(percent))
    axes.set_xlabel(wrapped(label, 70), fontsize=11, color=INK)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    handles = _dots_legend(estimates, floors)
    _legend(figure, handles, [str(handle.get_label()) for handle in handles], "above")
    return figure


def _mark(axes: Axes, value: float, never: float, row: int, colour: str) -> None:
    """The dot of a row; a hollow one with its word at `never` where the value is infinite."""
    face = "white" if isinf(value) else colour
    axes.plot(min(value, never), row, "o", color=colour, markerfacecolor=face, zorder=4)
    if isinf(value):
        annotate(axes, "never", (never, row), (7, 0), va="center")


def _dots_legend(estimates: Sequence[Estimate], floors: Sequence[float | None]) -> list[Line2D]:
    """What a dot, and the mark of a floor, stand for."""
    several = any(estimate.low is not None for estimate in estimates)
    dot = "median, interval over seeds" if several else "one seed, no interval"
    handles = [Line2D([], [], color=BLUE, marker="o", linewidth=0, label=dot)]
    if any(floor is not None for floor in floors):
        style: dict[str, Any] = {"marker": "|", "markersize": 13, "markeredgewidth": 1.8}
        handles.append(Line2D([], [], color=GREY, linewidth=0, label="chance floor", **style))
    return handles


def lines_figure(
    series: Mapping[str, Sequence[tuple[float, Estimate]]],
    x_label: str,
    y_label: str,
    floor: float | None,
    percent: bool,
    log_x: bool = False,
) -> Figure:
    """A line a series with its intervals; the names stand in the order in which the lines end.

    Args:
      series: up to 6, each its points `(x, what was found there)` from left to right.
      x_label: below.
      y_label: on the left.
      floor: what chance alone gives; None where there is none.
      percent: the numbers are shares in `[0, 1]`, and written in percent.
      log_x: a logarithmic horizontal axis; every x is above 0 then.
    """
    figure, axes = _panel(3.7)
    estimates = [estimate for points in series.values() for _, estimate in points]
    never, end = _ends(estimates, [floor], percent)
    axes.set_xscale("log" if log_x else "linear")
    lines = {}
    for (name, points), style in zip(series.items(), SERIES[: len(series)], strict=True):
        lines[name] = _line(axes, points, style, never)
    for x in sorted({x for points in series.values() for x, e in points if isinf(e.value)}):
        annotate(axes, "never", (x, never), (0, 7), ha="center")
    _set_ticks(axes, sorted({x for points in series.values() for x, _ in points}), log_x)
    axes.set_ylim(-0.02 * end, end)
    _finish(axes, x_label, y_label, floor, percent)
    last = {name: _last([e.value for _, e in points]) for name, points in series.items()}
    names = sorted(lines, key=lambda name: -last[name])
    _legend(figure, [lines[name] for name in names], [wrapped(n, 20) for n in names], "beside")
    return figure


def _line(axes: Axes, points: Sequence[tuple[float, Estimate]], style: Any, never: float) -> Line2D:
    """The line of a series: a gap where nothing is known or never was reached."""
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


def _last(values: Sequence[float]) -> float:
    """The last value that is known: where its line ends."""
    return next((value for value in reversed(values) if not isnan(value)), -inf)


def _set_ticks(axes: Axes, at: Sequence[float], log_x: bool) -> None:
    """A tick at each x where they have room, else at round numbers; whole ones for whole x."""
    whole = all(float(x).is_integer() for x in at)
    axes.xaxis.set_major_formatter(_number_format(percent=False))
    places = np.log(at) if log_x else np.asarray(at, float)
    if len(set(at)) == 1:
        axes.set_xlim((at[0] / 2, 2 * at[0]) if log_x else (at[0] - 1, at[0] + 1))
    if len(at) < 2 or np.min(np.diff(places)) >= np.ptp(places) / 14:
        axes.set_xticks(at)
        axes.xaxis.set_minor_locator(NullLocator())
    elif not log_x:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=whole))


def bars_figure(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    x_label: str,
    y_label: str,
    floor: float | None,
    percent: bool,
) -> Figure:
    """Bars in groups: at every place one of each series.

    Args:
      groups: the names of the places, from left to right.
      series: up to 6, each a number a group; one that is not finite has no bar.
      x_label: below.
      y_label: on the left.
      floor: what chance alone gives; None where there is none.
      percent: the numbers are shares in `[0, 1]`, and written in percent.
    """
    figure, axes = _panel(3.7)
    width = 0.8 / len(series)
    bars = []
    for i, values in enumerate(series.values()):
        colour, _, _, hatch = SERIES[i]
        heights = np.where(np.isfinite(values), values, np.nan)
        places = np.arange(len(groups)) + (i - (len(series) - 1) / 2) * width
        style: dict[str, Any] = {"facecolor": colour, "edgecolor": "white", "hatch": hatch}
        bars.append(axes.bar(places, heights, width, linewidth=0.8, **style))
    every = -(-len(groups) // 24)  # names have room for so many
    names = [wrapped(group, max(4, 70 * every // len(groups))) for group in groups]
    axes.set_xticks(range(0, len(groups), every), names[::every])
    axes.tick_params(axis="x", length=0, pad=6)
    found = [Estimate(x, None, None) for values in series.values() for x in values if isfinite(x)]
    axes.set_ylim(0, _ends(found, [floor], percent)[1])
    _finish(axes, x_label, y_label, floor, percent)
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
    """A map a panel, all in the same colours, with the numbers where cells have room for them.

    Args:
      panels: by title; float `[Y, X]`, row 0 at the bottom as on an axis. A cell of NaN is empty,
        one of infinity says "never".
      x_ticks: of the X columns, from left to right.
      y_ticks: of the Y rows, from the bottom up.
      x_label: below.
      y_label: on the left.
      label: of the colours.
      percent: the numbers are shares in `[0, 1]`, and written in percent.
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
        mesh = _heat(axes, np.asarray(values, float), ends, percent, room)
        axes.set_title(wrapped(title, 60 // across), fontsize=11, color=INK)
        _name_cells(axes, x_ticks, y_ticks)
    figure.supxlabel(wrapped(x_label, 70), fontsize=11, color=INK)
    figure.supylabel(wrapped(y_label, 35), fontsize=11, color=INK)
    bar: Any = figure.colorbar(mesh, ax=grid, format=_number_format(percent), aspect=25, pad=0.02)
    bar.set_label(wrapped(label, 35), fontsize=11, color=INK)
    bar.solids.set(edgecolor="face", rasterized=False)  # not an image, nor lines between colours
    bar.outline.set_visible(False)
    return figure


def _heat(
    axes: Axes, values: np.ndarray, ends: tuple[float, float], percent: bool, room: float
) -> QuadMesh:
    """The cells `[Y, X]` of a panel, `room` inches wide, with their numbers where they fit."""
    cells = np.ma.masked_invalid(values)
    style: dict[str, Any] = {"cmap": matplotlib.colormaps["viridis"].resampled(64)}
    mesh = axes.pcolormesh(cells, vmin=ends[0], vmax=ends[1], edgecolor="white", **style)
    axes.set_facecolor(RULE)
    axes.spines[:].set_visible(False)
    for (y, x), value in np.ndenumerate(values):
        if isnan(value) or (room < 0.3 and isfinite(value)):
            continue
        words = f"{100 * value:.0f}" if percent else f"{value:,.3g}"
        colour = INK if isinf(value) else _ink_on(mesh.cmap(mesh.norm(value)))
        middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9}
        axes.text(x + 0.5, y + 0.5, "never" if isinf(value) else words, color=colour, **middle)
    return mesh


def _name_cells(axes: Axes, x_ticks: Sequence[object], y_ticks: Sequence[object]) -> None:
    """The names of columns and rows in their middles."""
    axes.set_xticks(np.arange(len(x_ticks)) + 0.5, [wrapped(str(x), 12) for x in x_ticks])
    axes.set_yticks(np.arange(len(y_ticks)) + 0.5, [wrapped(str(y), 20) for y in y_ticks])
    axes.tick_params(length=0, labelsize=10, labelcolor=INK)


def _colour_ends(panels: Sequence[np.ndarray], percent: bool) -> tuple[float, float]:
    """The numbers of the first and the last colour: of shares 0 and 1."""
    known = np.concatenate([np.ravel(values) for values in panels])
    known = known[np.isfinite(known)]
    if percent or not len(known):
        return 0.0, 1.0
    return float(known.min()), float(known.max())


def _ink_on(colour: Any) -> str:
    """Black or white, whichever has more contrast with a colour (WCAG 2, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


def _panel(height: float) -> tuple[Figure, Axes]:
    """A figure of one panel without a frame, `height` inches high."""
    figure = Figure((WIDTH, height), layout="constrained")
    axes = figure.subplots()
    style_axes(axes)
    return figure, axes


def style_axes(axes: Axes) -> None:
    """A panel without a frame, whose lines are behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(labelsize=10, color=GREY, labelcolor=INK)
    axes.set_axisbelow(True)


def _finish(axes: Axes, x_label: str, y_label: str, floor: float | None, percent: bool) -> None:
    """The words, rules and floor of a panel whose numbers go up."""
    axes.set_xlabel(wrapped(x_label, 60), fontsize=11, color=INK)
    axes.set_ylabel(wrapped(y_label, 34), fontsize=11, color=INK)
    axes.yaxis.set_major_formatter(_number_format(percent))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    if floor is not None:
        axes.axhline(floor, color=GREY, linestyle="--", linewidth=1.4, zorder=1.5)
        coordinates = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
        annotate(axes, "chance\nfloor", (1, floor), (5, 0), va="center", color=GREY, **coordinates)


def annotate(
    axes: Axes, words: str, at: tuple[float, float], points: tuple[float, float], **style: Any
) -> None:
    """Words so many points to the right of and above a place."""
    style = {"fontsize": 10, "color": INK, **style}
    axes.annotate(words, at, points, textcoords="offset points", **style)


def _legend(figure: Figure, handles: Sequence[Any], names: Sequence[str], place: str) -> None:
    """The names of what is drawn, outside the panel: in one column beside or in lines above it."""
    style: dict[str, Any] = {"loc": "outside upper left", "ncols": 3, "handlelength": 1.6}
    if place == "beside":
        style = {"loc": "outside right upper", "ncols": 1, "handlelength": 3}
    style |= {"fontsize": 10, "labelcolor": INK, "labelspacing": 0.8, "frameon": False}
    figure.legend(handles, names, **style)


def _ends(
    estimates: Sequence[Estimate], floors: Sequence[float | None], percent: bool
) -> tuple[float, float]:
    """Where "never" stands on an axis that begins at zero, and where the axis ends.

    Shares have all of `[0, 1]`, unless they are so small that it would flatten them.
    """
    numbers = [x for estimate in estimates for x in estimate if x is not None]
    numbers += [floor for floor in floors if floor is not None]
    largest = max((x for x in numbers if isfinite(x)), default=1.0) or 1.0
    if percent and largest > 0.2:
        largest = 1.0
    beyond = any(isinf(x) for x in numbers)
    return 1.15 * largest, largest * (1.32 if beyond else 1.04)


def _bounds(estimate: Estimate, never: float) -> tuple[float, float]:
    """Both ends of an interval, no further than `never`; NaN, which is not drawn, without one."""
    if estimate.low is None or estimate.high is None or isnan(estimate.value):
        return np.nan, np.nan
    return min(estimate.low, never), min(estimate.high, never)


def _number_format(percent: bool) -> Formatter:
    """How the numbers of an axis are written: in percent of 1, or in full."""
    return PercentFormatter(1) if percent else FuncFormatter(lambda x, _: f"{x:,.10g}")


def wrapped(words: str, width: int) -> str:
    """Words in lines of `width` characters, where a dollar sign is a dollar sign."""
    return textwrap.fill(words, width).replace("$", r"\$")
