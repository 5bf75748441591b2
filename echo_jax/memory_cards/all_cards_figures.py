"""Figures of all memory cards of a protocol: spans, recalled bits by lag, and costs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from echo_jax.memory_cards import card_figure, card_text
from echo_jax.memory_cards.card_figure import TASKS, literal, shortened
from echo_jax.memory_cards.card_text import Card, Reach, kind_of, reach, span_of
from echo_jax.report.charts import heat_figure
from echo_jax.report.number_formats import three_digits
from echo_jax.report.styles import GREY, INK, RULE, SERIES, WIDTH, annotate, style_axes, tell

SYMLOG: dict[str, Any] = {"linthresh": 1, "linscale": 0.3}
"""A logarithmic axis of lags that has 0 as far from 1 as 1 is from 2."""

PLACES = {"stream": 1.22, "hold": 1.46}
"""The right end of the numbers of a task in the figure of spans, in widths of the panel."""


_X_LABEL = {
    False: "longest lag remembered",
    True: "longest lag remembered\n(dotted line: longest lag tested)",
}


def by_span(cards: Sequence[Card]) -> list[Card]:
    """Cards by stream span, the longest first, then by hold span; those without one last."""

    def key(card: Card) -> list[float]:
        """Both spans, negated; a lower bound stands above an equal span."""
        spans = [span_of(card, task) for task in TASKS]
        found = [reach(span) if span else None for span in spans]
        return [-each.median - 0.5 * each.at_least if each else 1.0 for each in found]

    return sorted(cards, key=key)


def spans_figure(cards: Sequence[Card], width: float = WIDTH) -> Figure:
    """Both spans of each cell of one protocol, the longest stream span on top."""
    cards, narrow = by_span(cards), width < WIDTH
    room = (0.5 if narrow else 0.4) * len(cards)
    below = 0.75 if narrow else 0.6
    height = room + below + 0.45
    figure = Figure((width, height))
    left, across = (0.03, 0.92) if narrow else (0.295, 0.475)
    axes = figure.add_axes((left, below / height, across, room / height))
    style_axes(axes)
    ladder = cards[0]["protocol"]["ladder"]
    axes.set_xscale("symlog", **SYMLOG)
    axes.set(xlim=(-0.3, 1.9 * ladder[-1]), ylim=(len(cards) - 0.5, -0.5 - 0.2 * narrow))
    names = card_text.names_of(cards)
    _name_cells(axes, cards, [literal(shortened(name, 27)) for name in names], narrow)
    for row, (card, name) in enumerate(zip(cards, names, strict=True)):
        axes.axhline(row + 0.5 - 0.25 * narrow, color=RULE, linewidth=0.8)
        spans = {task: span for task in TASKS if (span := span_of(card, task))}
        ends = [reach(span).median for span in spans.values()]
        axes.plot(ends, [row] * len(ends), color=GREY, linewidth=1.5)
        for task, span in spans.items():
            _span_mark(axes, row, reach(span), *TASKS[task][:2])
            words = " ".join(filter(None, card_text.span_words(span, card_text.AT_LEAST)))
            tell(axes, [reach(span).median], [row], [f"{name}, {task} span: {words}"])
    few = (1, 2) if str(ladder[-1])[0] in "12" else (1, 5)  # the last lag is among them
    card_figure.lag_ticks(axes, [0, *ladder], few if narrow else (1, 2, 5))
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=GREY, linewidth=1.2)
    axes.axvline(ladder[-1], color=GREY, linewidth=1.2, linestyle=":")
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set_xlabel(_X_LABEL[narrow], fontsize=11, color=INK)
    _span_key(axes, ladder[-1], narrow)
    return figure


def _name_cells(axes: Axes, cards: Sequence[Card], names: Sequence[str], above: bool) -> None:
    """The names of cells, above their rows or beside the panel, and their spans on the right."""
    not_recurrent = "reference" + ", not recurrent" * (not above)
    kinds = {"control": "control", "reference": not_recurrent, "recurrent": ""}
    joined = (", " if above else "\n").join
    full = [joined(filter(None, [name, kinds[kind_of(card)]])) for name, card in
            zip(names, cards, strict=True)]  # fmt: skip
    axes.set_yticks(range(len(cards)), [""] * len(cards) if above else full, ha="left")
    axes.tick_params(axis="y", length=0, pad=145)
    style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 10, "color": INK}
    for row, (card, name) in enumerate(zip(cards, full, strict=True)):
        spans = [span_of(card, task) for task in PLACES]
        words = [card_text.span_words(s, card_text.AT_LEAST)[0] if s else "\u2013" for s in spans]
        if above:  # on paper, which covers the lines of the panel
            style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.text(0.02, row - 0.42, name, va="center", **style)
            axes.text(1, row - 0.42, ", ".join(words), va="center", ha="right", **style)
            continue
        for word, x in zip(words, PLACES.values(), strict=True):
            axes.text(x, row, word, va="center", ha="right", **style)


def _span_key(axes: Axes, end: float, narrow: bool) -> None:
    """The key of the marks and the headings of the numbers, above the panel."""
    for task, (colour, marker, _) in TASKS.items():
        label = {"stream": "stream: every token of it", "hold": "hold: one value"}[task]
        label = label.partition(":")[0] if narrow else label
        axes.plot([], [], color=colour, marker=marker, linestyle="", label=label)
    style: dict[str, Any] = {"frameon": False, "handletextpad": 0.2, "columnspacing": 1.2}
    style |= {"loc": "lower left", "bbox_to_anchor": (-0.02 if narrow else -0.65, 1)}
    axes.legend(ncols=2, fontsize=10, labelcolor=INK, **style)
    at: dict[str, Any] = {"annotation_clip": False, "color": GREY, "ha": "right"}
    for words, x in [("stream, hold", 1.0)] if narrow else PLACES.items():
        annotate(axes, words, (x, 1), (0, 8), xycoords="axes fraction", **at)
    if not narrow:
        place = {"xycoords": ("data", "axes fraction")}
        annotate(axes, "longest lag tested", (end, 1), (0, 8), **place, **at)


def _span_mark(axes: Axes, y: float, span: Reach, colour: str, marker: str) -> None:
    """A median and its interval, with an arrow if the median or the upper end is a lower bound."""
    if span.low is not None and span.high is not None:
        ends = [span.low, span.high]
        axes.plot(ends, [y, y], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
        if span.high_at_least:
            axes.plot(1.1 * span.high, y, ">", color=colour, markersize=8, alpha=0.4, linewidth=0)
    if span.at_least:
        arrow = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
        tip = (1.75 * max(span.median, 0.5), y)
        axes.annotate("", tip, (span.median, y), arrowprops=arrow, annotation_clip=False)
    axes.plot(span.median, y, marker, color=colour, markersize=6.5, zorder=4)


def memory_functions_figure(cards: Sequence[Card], width: float = WIDTH) -> Figure | None:
    """Recalled bits by lag, a row of fields for each card, the most bits on top; None without."""
    named = zip(cards, card_text.names_of(cards), strict=True)
    known = [(found, name) for card, name in named if (found := card["rows"]["capacity"])]
    known.sort(key=lambda each: each[0]["exact"]["median"])  # row 0 is at the bottom
    if not known:
        return None
    by_lag = [dict(zip(f["by_lag"]["lags"], f["by_lag"]["median"], strict=True)) for f, _ in known]
    lags = range(1, max(map(max, by_lag)) + 1)
    fields = np.array([[found.get(lag, np.nan) for lag in lags] for found in by_lag])
    names = [f"{shortened(n, 26)}, {three_digits(f['exact']['median'])}" for f, n in known]
    what = "recalled bits of a token"
    return heat_figure({"": fields}, lags, names, "lag", "", what, percent=False, width=width)


def cost_figure(cards: Sequence[Card], width: float = WIDTH) -> Figure | None:
    """Stream span against the time of a step, marked by size of state; None if no card has both."""
    known = [
        (card["rows"]["price"], span["median"], name)
        for card, name in zip(cards, card_text.names_of(cards), strict=True)
        if (span := span_of(card, "stream"))
        and "1" in (card["rows"]["price"] or {}).get("stream", {})
    ]
    if not known:
        return None
    narrow = width < WIDTH
    figure = Figure((width, 5.2 if narrow else 4.6))
    axes = figure.add_axes((0.18, 0.12, 0.79, 0.7) if narrow else (0.11, 0.13, 0.87, 0.75))
    style_axes(axes)
    axes.set_xscale("log")
    axes.set_yscale("symlog", **SYMLOG)
    at = np.array([[cost["stream"]["1"], span] for cost, span, _ in known])
    axes.set_xlim(0.7 * at[:, 0].min(), 2 * at[:, 0].max())
    axes.set_ylim(-0.4, 2.2 * max(at[:, 1].max(), 2))
    for (x, y), (_, _, name) in zip(at.tolist(), known, strict=True):
        tell(axes, [x], [y], [f"{name}: stream span {three_digits(y)}, {three_digits(x)} \u00b5s"])
    _mark_points(axes, at, [cost["state_bytes"] for cost, _, _ in known])
    _name_points(axes, at, [shortened(name, 27) for _, _, name in known])
    axes.grid(color=RULE, linewidth=0.8)
    axes.xaxis.set_major_locator(LogLocator(10, (1,) if narrow else (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: three_digits(x)))
    ticks = card_figure.round_numbers((1, axes.get_ylim()[1]))
    axes.set_yticks([0, *ticks], ["0", *map(three_digits, ticks)])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("\u00b5s per step of one stream", fontsize=11, color=INK)
    axes.set_ylabel("stream span, lags", fontsize=11, color=INK)
    style: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.11, 1), "frameon": False}
    style |= {"columnspacing": 1.4, "handlelength": 1.6, "labelcolor": INK, "fontsize": 10}
    axes.legend(ncols=1 if narrow else 3, **style)
    return figure


def _mark_points(axes: Axes, at: np.ndarray, sizes: Sequence[int]) -> None:
    """The points; those that share a size of state have a mark of their own."""
    shared = sorted({size for size in sizes if sizes.count(size) > 1})[: len(SERIES)]
    for size, (colour, marker, _, _) in zip(shared, SERIES, strict=False):
        same = at[[other == size for other in sizes]]
        style: dict[str, Any] = {"color": colour, "markersize": 8, "markeredgecolor": "white"}
        axes.plot(*same.T, marker, label=f"{three_digits(size)} bytes of state", **style)
    rest = at[[size not in shared for size in sizes]]
    if len(rest):
        style = {"color": GREY, "markerfacecolor": "white", "markersize": 7}
        axes.plot(*rest.T, "o", label="a size of its own" if shared else "a cell", **style)


def _name_points(axes: Axes, at: np.ndarray, names: Sequence[str]) -> None:
    """A name to the right of each point, moved up until it covers no other name or point."""
    scale = 72 / axes.figure.dpi
    points, right = axes.transData.transform(at) * scale, axes.bbox.x1 * scale
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in points]
    line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 4}
    named = sorted(zip(points.tolist(), at.tolist(), names, strict=True), reverse=True)
    for (x, y), point, name in named:
        width = 6.1 * len(name)
        shift = min(8, right - x - width)
        box, rise = Bbox.from_bounds(x + shift, y - 5, width, 11), 0
        while box.count_overlaps(taken):
            box, rise = box.translated(0, 6), rise + 6
        taken.append(box)
        style = {"fontsize": 10, "arrowprops": line if rise else None}
        annotate(axes, literal(name), tuple(point), (shift, rise - 3), **style)
