"""Figures of all memory cards of a protocol: spans, recalled bits by lag, and costs."""

from collections.abc import Sequence
from math import log2
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from echo_jax.memory_cards import card_figure, card_text
from echo_jax.memory_cards.card_figure import TASKS, literal, shortened, unit_axis
from echo_jax.memory_cards.card_text import Card, Reach, kind_of, reach, span_of
from echo_jax.report.number_formats import three_digits
from echo_jax.report.styles import GREY, INK, RULE, SERIES, WIDTH, annotate, style_axes

SYMLOG: dict[str, Any] = {"linthresh": 1, "linscale": 0.3}
"""A logarithmic axis of lags that has 0 as far from 1 as 1 is from 2."""

PLACES = {"stream": (1.22, -0.16), "hold": (1.46, 0.16)}
"""In the figure of spans: right end of the numbers of a task, in widths of the panel, and the shift
of its marks, in rows."""


def by_span(cards: Sequence[Card]) -> list[Card]:
    """Cards by stream span, the longest first, then by hold span; those without one last."""

    def key(card: Card) -> list[float]:
        """Both spans, negated; a lower bound stands above an equal span."""
        spans = [span_of(card, task) for task in TASKS]
        found = [reach(span) if span else None for span in spans]
        return [-each.median - 0.5 * each.at_least if each else 1.0 for each in found]

    return sorted(cards, key=key)


def spans_figure(cards: Sequence[Card]) -> Figure:
    """Both spans of each cell of one protocol, the longest stream span on top."""
    cards = by_span(cards)
    room = 0.4 * len(cards)
    figure = Figure((WIDTH, room + 1.05))
    axes = figure.add_axes((0.295, 0.6 / (room + 1.05), 0.475, room / (room + 1.05)))
    style_axes(axes)
    ladder = cards[0]["protocol"]["ladder"]
    axes.set_xscale("symlog", **SYMLOG)
    axes.set(xlim=(-0.3, 1.9 * ladder[-1]), ylim=(len(cards) - 0.5, -0.5))
    kinds = {"control": "\ncontrol", "reference": "\nreference, not recurrent", "recurrent": ""}
    named = zip(cards, card_text.names_of(cards), strict=True)
    names = [literal(shortened(name, 27)) + kinds[kind_of(card)] for card, name in named]
    axes.set_yticks(range(len(cards)), names, ha="left")
    axes.tick_params(axis="y", length=0, pad=145)
    style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right"}
    for row, card in enumerate(cards):
        for task, (x, _) in PLACES.items():
            span = span_of(card, task)
            words = card_text.span_words(span, card_text.AT_LEAST)[0] if span else "\u2013"
            axes.text(x, row, words, fontsize=10, color=INK, va="center", **style)
    for row, card in enumerate(cards):
        axes.axhline(row + 0.5, color=RULE, linewidth=0.8)
        for task, (_, shift) in PLACES.items():
            if span := span_of(card, task):
                _span_mark(axes, row + shift, reach(span), *TASKS[task][:2])
    card_figure.lag_ticks(axes, [0, *ladder])
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=GREY, linewidth=1.2)
    axes.axvline(ladder[-1], color=GREY, linewidth=1.2, linestyle=":")
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set_xlabel("longest lag of an unbroken ladder", fontsize=11, color=INK)
    _span_key(axes, ladder[-1])
    return figure


def _span_key(axes: Axes, end: float) -> None:
    """The key of the marks and the headings of the numbers, above the panel."""
    for task, (colour, marker, _) in TASKS.items():
        label = {"stream": "stream: every token of it", "hold": "hold: one value"}[task]
        axes.plot([], [], color=colour, marker=marker, linestyle="", label=label)
    style: dict[str, Any] = {"frameon": False, "handletextpad": 0.2, "columnspacing": 1.2}
    style |= {"loc": "lower left", "bbox_to_anchor": (-0.65, 1)}
    axes.legend(ncols=2, fontsize=10, labelcolor=INK, **style)
    at: dict[str, Any] = {"annotation_clip": False, "color": GREY, "ha": "right"}
    for task, (x, _) in PLACES.items():
        annotate(axes, task, (x, 1), (0, 8), xycoords="axes fraction", **at)
    annotate(axes, "ladder ends", (end, 1), (0, 8), xycoords=("data", "axes fraction"), **at)


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


def memory_functions_figure(cards: Sequence[Card]) -> Figure | None:
    """Recalled bits by lag, a numbered line for each card; None if no card has them.

    Controls are grey, others in colours, with other dashes in each round of colours.
    """
    named = zip(cards, card_text.names_of(cards), strict=True)
    known = [
        (card["rows"]["capacity"], card, name) for card, name in named if card["rows"]["capacity"]
    ]
    known.sort(key=lambda each: -each[0]["exact"]["median"])
    if not known:
        return None
    figure = Figure((WIDTH, max(3.9, 1.1 + 0.24 * len(known))))
    axes = figure.add_axes((0.09, 0.15, 0.45, 0.8))
    style_axes(axes)
    curves = [(found["by_lag"]["lags"], found["by_lag"]["median"]) for found, _, _ in known]
    lags = range(1, max(lags[-1] for lags, _ in curves) + 1)
    whole = log2(known[0][1]["protocol"]["vocab_size"])
    unit_axis(axes, lags, whole, [value for _, bits in curves for value in bits])
    lines, words = [], []
    for i, (found, card, name) in enumerate(known):
        control = kind_of(card) == "control"
        dashes = SERIES[(i + i // len(SERIES)) % len(SERIES)][2]
        colour = GREY if control else SERIES[i % len(SERIES)][0]
        lines += axes.plot(*curves[i], color=colour, linestyle=dashes, linewidth=2 - 0.7 * control)
        total = three_digits(found["exact"]["median"])
        words.append(literal(f"{i + 1}: {shortened(name, 26)}, {total}"))
    _number_lines(axes, curves)
    axes.set_xlabel("lag, steps back", fontsize=11, color=INK)
    axes.set_ylabel("recalled bits of a token", fontsize=11, color=INK)
    style: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.55, 0.98), "frameon": False}
    style |= {"fontsize": 10, "labelcolor": INK, "handlelength": 2.2, "title": "cell, sum of bits"}
    figure.legend(lines, words, alignment="left", title_fontproperties={"size": 10}, **style)
    return figure


def _number_lines(axes: Axes, curves: Sequence[tuple[Sequence[float], Sequence[float]]]) -> None:
    """A number on each line, far from the other lines and from other numbers."""
    points = []
    for lags, values in curves:
        x = np.linspace(lags[0], lags[-1], 150)
        points.append(axes.transLimits.transform(np.stack([x, np.interp(x, lags, values)], 1)))
    numbers = np.full((len(curves) + 1, 2), 9.0)  # far outside the panel, until they are placed
    box = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": GREY}
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "zorder": 6}
    for i, own in enumerate(points):
        others = np.concatenate([*points[:i], *points[i + 1 :], numbers[-1:]])
        apart = np.minimum(_distances(own, others), 0.06)
        apart += 3 * np.minimum(_distances(own, numbers), 0.09)
        numbers[i] = own[np.argmax(apart + np.all((own > 0.03) & (own < 0.97), axis=1))]
        x, y = numbers[i]
        axes.text(x, y, str(i + 1), transform=axes.transAxes, color=INK, bbox=box, **style)


def _distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distance of each point `[N, 2]` to the nearest of others `[M, 2]`, `[N]`."""
    return np.sqrt(((points[:, None] - others[None]) ** 2).sum(-1)).min(1)


def cost_figure(cards: Sequence[Card]) -> Figure | None:
    """Stream span against the time of a step, marked by size of state; None if no card has both."""
    known = [
        (card["rows"]["price"], span["median"], name)
        for card, name in zip(cards, card_text.names_of(cards), strict=True)
        if (span := span_of(card, "stream"))
        and "1" in (card["rows"]["price"] or {}).get("stream", {})
    ]
    if not known:
        return None
    figure = Figure((WIDTH, 4.6))
    axes = figure.add_axes((0.11, 0.13, 0.87, 0.75))
    style_axes(axes)
    axes.set_xscale("log")
    axes.set_yscale("symlog", **SYMLOG)
    at = np.array([[cost["stream"]["1"], span] for cost, span, _ in known])
    axes.set_xlim(0.7 * at[:, 0].min(), 2 * at[:, 0].max())
    axes.set_ylim(-0.4, 2.2 * max(at[:, 1].max(), 2))
    _mark_points(axes, at, [cost["state_bytes"] for cost, _, _ in known])
    _name_points(axes, at, [shortened(name, 27) for _, _, name in known])
    axes.grid(color=RULE, linewidth=0.8)
    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: three_digits(x)))
    ticks = card_figure.round_numbers((1, axes.get_ylim()[1]))
    axes.set_yticks([0, *ticks], ["0", *map(three_digits, ticks)])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("\u00b5s per step of one stream", fontsize=11, color=INK)
    axes.set_ylabel("stream span, lags", fontsize=11, color=INK)
    style: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.11, 1), "frameon": False}
    axes.legend(ncols=3, fontsize=10, labelcolor=INK, columnspacing=1.4, handlelength=1.6, **style)
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
