"""Draw the charts of studies, in which dots or lines stand for numbers, and write names on lines.

In all functions, a mark is open if training was cut short, and NaN means unknown and is not drawn.
If `percent` is True, numbers are fractions and are written in percent. A `baseline` is the value
that is reached by chance, or None if there is no such value.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from echo_jax.exceptions import one_line
from echo_jax.report.styles import (
    BLUE,
    GREY,
    INK,
    RULE,
    SERIES,
    WIDTH,
    drawing,
    image,
    literal,
    style_axes,
    wrapped,
)
from echo_jax.statistics import Summary

LETTERS = 12.7  # of 10 points that an inch has room for
APART = 0.13  # inches between the dots of a row


class NotebookFigure(Figure):
    """A figure of matplotlib that a notebook shows as output with any backend of matplotlib.

    The display of IPython would start pyplot, which is not used here.
    """

    def _repr_png_(self) -> bytes:
        with drawing():
            return image(self, "png")


def dots_figure(
    rows: Sequence[tuple[str, Mapping[str, Summary]]],
    baselines: Sequence[float | None],
    label: str,
    percent: bool,
    width: float = WIDTH,
) -> NotebookFigure:
    """Return a figure with a row for each name, in which a summary is a dot and its interval.

    Args:
      rows: the name of each row, and up to 6 summaries by name, which are drawn below each other;
        the first row is on top. If there is only one summary per row, its name may be "".
      baselines: the baseline of each row.
      label: the label of the axis.
      percent: True if numbers are fractions.
      width: the width of the figure in inches.
    """
    names = [wrapped(name, int(0.43 * LETTERS * width)) for name, _ in rows]
    series = list(dict.fromkeys(name for _, marks in rows for name in marks))
    room = 0.18 + APART * max(len(series), 2)
    height = 1.3 + sum(room + 0.18 * name.count("\n") for name in names)
    figure, axes = _panel((width, height), label)
    every = [mark for _, marks in rows for mark in marks.values()]
    end = _end(_array(every), baselines, percent)
    keys: dict[str, Any] = {}
    for row, ((_, marks), baseline) in enumerate(zip(rows, baselines, strict=True)):
        if baseline is not None:
            axes.plot([baseline, baseline], [row - 0.3, row + 0.3], color=GREY, linewidth=1.8)
        for name, mark in marks.items():
            place = series.index(name)
            at = row + APART / room * (place - (len(series) - 1) / 2)
            keys[name or "median"] = _dot(axes, at, mark, SERIES[place])
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(-0.02 * end, end), ylim=(len(rows) - 0.4, -0.7))
    axes.xaxis.set_major_formatter(_number_format(percent))
    axes.xaxis.set_major_locator(MaxNLocator(max(int(0.7 * width), 3), steps=[1, 2.5, 5, 10]))
    axes.grid(color=RULE, linewidth=0.8)
    if any(baseline is not None for baseline in baselines):
        keys["chance"] = Line2D([], [], color=GREY, marker="|", linewidth=0, markersize=12, mew=1.8)
    _legend(figure, keys | _open_key(every))
    return figure


def _dot(axes: Axes, row: float, mark: Summary, style: Any) -> Line2D:
    """Draw the median and the interval of `mark`, and return the entry of the key.

    `row` is the height of the mark on the axis, and `style` is an item of `SERIES`.
    """
    colour, marker, _ = style
    ((value, low, high),) = _array([mark])
    axes.plot([low, high], [row, row], color=colour, linewidth=5.5, alpha=0.35, zorder=3)
    face = "white" if mark.cut_short else colour
    axes.plot(value, row, marker, color=colour, markerfacecolor=face, markersize=7, zorder=4)
    return Line2D([], [], color=colour, marker=marker, markersize=7, linewidth=0)


def lines_figure(
    series: Mapping[str, Sequence[tuple[float, Summary]]],
    labels: Sequence[str],
    baseline: float | None,
    percent: bool,
    log_x: bool = False,
    width: float = WIDTH,
) -> NotebookFigure:
    """Return a figure with a line and intervals for each of up to 6 series.

    Args:
      series: the points (x, summary) of each series, by the name of the series, with x ascending.
      labels: the labels of x and y.
      baseline: the baseline of all series.
      percent: True if the numbers of y are fractions.
      log_x: True for a logarithmic x axis, where every x must be above 0.
      width: the width of the figure in inches.
    """
    figure, axes = _panel((width, 3 + 6.5 / width), labels[0])  # a narrow legend has more rows
    every = [summary for points in series.values() for _, summary in points]
    end = _end(_array(every), [baseline], percent)
    axes.set_xscale("log" if log_x else "linear")
    keys: dict[str, Any] = {}
    for place, (name, points) in enumerate(series.items()):
        keys[name or "median"] = _line(axes, points, place)
    _set_ticks(axes, sorted({x for points in series.values() for x, _ in points}), log_x, width)
    axes.set_ylim(-0.02 * end, end)
    if percent and end > 1.1:  # of lines that are `raised`: no share is above 1
        axes.set_yticks(np.linspace(0, 1, 6))
    axes.set_ylabel(wrapped(labels[1], 32), fontsize=11, color=INK)
    axes.yaxis.set_major_formatter(_number_format(percent))
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    if baseline is not None:
        keys["chance"] = axes.axhline(baseline, color=GREY, linestyle="--", lw=1.4, zorder=1.5)
    _legend(figure, keys | _open_key(every))
    return figure


def raised(
    series: Mapping[str, Sequence[tuple[float, Summary]]], step: float
) -> dict[str, list[tuple[float, Summary]]]:
    """Return `series` for `lines_figure` with lines above one another, so that none is hidden.

    The line that changes most stays in its place. Each other line is raised by `step`, in units of
    y, above the line that changes next more.
    """
    spread = {name: np.ptp([y.median for _, y in points]) for name, points in series.items()}
    steps = {name: i for i, name in enumerate(sorted(spread, key=lambda name: -spread[name]))}

    def higher(y: Summary, by: float) -> Summary:
        """Return `y` with its median and its interval higher `by` so much."""
        of = y.interval and y.interval._replace(low=y.interval.low + by, high=y.interval.high + by)
        return y._replace(median=y.median + by, interval=of)

    return {
        name: [(x, higher(y, step * steps[name])) for x, y in points]
        for name, points in series.items()
    }


def _open_key(summaries: Iterable[Summary]) -> dict[str, Line2D]:
    """Return the key's entry for open marks, by its text, or {} if no summary is cut short."""
    mark = Line2D([], [], color=GREY, marker="o", linewidth=0, markersize=7, mfc="white")
    return {"open: training cut short": mark} if any(x.cut_short for x in summaries) else {}


def _line(axes: Axes, points: Sequence[tuple[float, Summary]], place: int) -> Line2D:
    """Draw a line through points (x, summary), with gaps at unknown values, and return the line.

    `place` is the index of the series; each series is drawn thinner than the one before it.
    """
    colour, marker, dashes = SERIES[place]
    size = 8 - 0.7 * place
    at = np.array([x for x, _ in points])
    middle, low, high = _array(summary for _, summary in points).T
    if len(points) > 12:
        axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
    else:
        axes.vlines(at, low, high, color=colour, linewidth=4, alpha=0.3)
    look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": size}
    cut = [summary.cut_short for _, summary in points]
    axes.plot(at[cut], middle[cut], linewidth=0, markerfacecolor="white", zorder=3, **look)
    return axes.plot(at, middle, linewidth=size / 4, linestyle=dashes, **look)[0]


def _set_ticks(axes: Axes, at: Sequence[float], log_x: bool, width: float) -> None:
    """Set a tick at each x in `at` whose number has room after the number of the tick before.

    `log_x` is True for a logarithmic axis, and `width` is the width of the figure in inches.
    """
    numbers = list(map(_number_format(percent=False), at))
    places = np.log(at) if log_x else np.asarray(at, float)
    letters = 0.8 * LETTERS * width * places / (np.ptp(places) or 1)
    shown = [0]
    for i, place in enumerate(letters):
        if place - letters[shown[-1]] > 1 + max(map(len, numbers)):
            shown.append(i)
    axes.set_xticks([at[i] for i in shown], [numbers[i] for i in shown])
    axes.xaxis.set_minor_locator(NullLocator())


def draw_lines(
    axes: Axes, lines: Iterable[tuple[Sequence[float], Sequence[float]]], style: Mapping[str, Any]
) -> None:
    """Draw `lines`, each a pair of the x and the y of its points, in one style.

    `style` holds arguments of `Axes.plot`. The lines are one path, which is shorter in an SVG.
    """
    apart = [(*of, math.nan) for line in lines for of in line]
    axes.plot(np.concatenate([[], *apart[::2]]), np.concatenate([[], *apart[1::2]]), **style)


def add_panel(
    figure: Figure, left: float, top: float, size: tuple[float, float], labels: float
) -> Axes:
    """Return a new panel of `figure`.

    The upper left corner of the panel is `left` inches from the left edge and `top` inches from the
    upper edge of the figure. `size` is the width and the height of the panel in inches, and
    `labels` is the size of the labels of its ticks in points.
    """
    width, height = figure.get_size_inches()
    across, down = size
    box = left / width, 1 - (top + down) / height, across / width, down / height
    axes = figure.add_axes(box)
    style_axes(axes)
    axes.tick_params(labelsize=labels)
    return axes


def _panel(size: tuple[float, float], x_label: str) -> tuple[NotebookFigure, Axes]:
    figure = NotebookFigure(size, layout="constrained")
    axes = figure.subplots()
    style_axes(axes)
    axes.set_xlabel(wrapped(x_label, int(0.7 * LETTERS * size[0])), fontsize=11, color=INK)
    return figure, axes


def _legend(figure: Figure, marks: Mapping[str, Any]) -> None:
    """Draw a legend of `marks`, by their names, above the panel."""
    letters = int(LETTERS * figure.get_figwidth())
    columns = min(max(letters // 28, 1), 3)
    names = [wrapped(name, letters // columns - 6) for name in marks]
    style: dict[str, Any] = {"loc": "outside upper left", "fontsize": 10, "labelcolor": INK}
    style |= {"handlelength": 1.6, "handletextpad": 0.5, "columnspacing": 1.2, "frameon": False}
    figure.legend(marks.values(), names, ncols=columns, **style)


def _array(summaries: Iterable[Summary]) -> np.ndarray:
    """Return the median and the two bounds of the interval of each summary, `[N, 3]`.

    The bounds are NaN if there is no interval.
    """
    return np.array([(x.median, *(x.interval or (np.nan, np.nan))[:2]) for x in summaries])


def _end(values: np.ndarray, baselines: Sequence[float | None], percent: bool) -> float:
    """Return the end of an axis that starts at 0, just above the largest finite number.

    The numbers are `values` and `baselines`. If `percent` is True, the end is above 1, unless all
    finite numbers are at most 0.2.
    """
    numbers = [*values.flat, *(baseline for baseline in baselines if baseline is not None)]
    largest = max(filter(math.isfinite, numbers), default=1.0) or 1.0
    if percent and largest > 0.2:
        largest = max(largest, 1.0)  # above 1 are lines that are `raised`
    return 1.04 * largest


def _number_format(percent: bool) -> Formatter:
    return PercentFormatter(1) if percent else FuncFormatter(lambda x, _: f"{x:,.10g}")


Line = tuple[Sequence[float], Sequence[float]]
"""The x and y of the points of a line, in the units of the axes."""

SIZE = 8.5  # points, of a name
FAR = np.array([[-1e6, -1e6]])  # a point that is near nothing
LETTER = 0.54  # width of a letter over its size


def shortened(words: str, width: int) -> str:
    """Return `words` as `literal` does, but cut to `width` characters, which end in an ellipsis."""
    words = one_line(words)
    return literal(words if len(words) <= width else words[: width - 1].rstrip() + "\u2026")


def name_lines(axes: Axes, named: Mapping[str, Line], others: Sequence[Line], own: str) -> None:
    """Write each name on its line, at the place that is furthest from other lines and names.

    The limits of `axes` must be set before. `named` holds the lines that get names, by name, and
    `others` the lines without a name. A name without room is left out, except the name `own`, which
    is bold and blue.
    """
    low, high = axes.bbox.get_points() * 72 / axes.figure.dpi
    lines = {name: _dense(_points(axes, line)) for name, line in named.items()}
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
    look: dict[str, Any] = {"fontsize": SIZE, "color": GREY, "ha": "center", "va": "center"}
    look |= {"bbox": paper, "zorder": 5}
    own_look = look | {"color": BLUE, "fontweight": "bold"}
    taken = [_dense(_points(axes, line)) for line in others]
    for name, line in lines.items():
        half = SIZE * np.array([LETTER * len(name) / 2, 0.7])
        places = np.clip(line, low + half, high - half)
        away = np.concatenate([FAR, *taken, *(x for other, x in lines.items() if other != name)])
        gaps = np.maximum(np.abs(places[:, None] - away) - half / 2, 0)
        room = np.hypot(*gaps.T).min(axis=0)
        if room.max() > 0 or name == own:
            middle = places[np.argmax(room)]
            # A name that is placed is in the way of those that follow.
            taken.append(middle + np.linspace(-half, half, 9) * [1, 0])
            x, y = axes.transData.inverted().transform(middle * axes.figure.dpi / 72)
            axes.text(float(x), float(y), literal(name), **(own_look if name == own else look))


def _points(axes: Axes, line: Line) -> np.ndarray:
    """Return the places of the points of `line` in the figure, in units of 1/72 inch, `[P, 2]`."""
    return axes.transData.transform(np.array(line, float).T) * 72 / axes.figure.dpi


def _dense(points: np.ndarray) -> np.ndarray:
    """Return places along the line through `points`, about 3 units apart, `[P, 2]`."""
    steps = np.maximum(np.hypot(*np.diff(points, axis=0).T) / 3, 1).astype(int)
    pieces = [
        np.linspace(a, b, n, endpoint=False)
        for a, b, n in zip(points, points[1:], steps, strict=False)
    ]
    return np.concatenate([*pieces, points[-1:]])
