"""Figures of memory cards: one card at a glance, and all cards of a protocol together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import log2
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from echo_jax.memory_cards.card_text import (
    Card,
    Reach,
    big_numbers,
    brief,
    kind_of,
    names_of,
    protocol_words,
    reach,
    span_words,
)
from echo_jax.report.number_formats import three_digits
from echo_jax.report.styles import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RULE,
    SERIES,
    WIDTH,
    annotate,
    style_axes,
    wrapped,
)

TASKS = {"stream": (BLUE, "o", "-"), "hold": (ORANGE, "s", (0, (5, 2)))}
"""Colour, marker and dashes of a task."""

CARD_WIDTH = 9.6
"""Width of the figure of one card, inches."""

LEFT, COLUMN = 0.015, 0.168
"""Start of the six columns of a card, and the width of each, as shares of the width of the card."""

ZERO = 0.5
"""The place of lag 0 on a logarithmic axis."""


def place(lag: float) -> float:
    """The place of a lag on a logarithmic axis on which 0 is to the left of 1."""
    return lag if lag >= 1 else ZERO ** (1 - lag)


def card_figure(card: Card) -> Figure:
    """One card: its name, its numbers, and the curves behind them."""
    figure = Figure((CARD_WIDTH, 6.2))
    _title(figure, card)
    for column, words in enumerate(big_numbers(card)):
        _big_number(figure, LEFT + column * COLUMN, *words)
    panels: Mapping[str, tuple[str, Callable[[Axes, Any, Card], None], int, tuple[float, ...]]] = {
        "learning": ("Updates until 99%, by lag", _learning, 0, (0.06, 0.1, 0.46)),
        "capacity": ("Recalled bits, by lag", _bits, 2, (0.035, 0.405, 0.155)),
        "linear": ("Linear memory, r\u00b2, by lag", _linear, 2, (0.035, 0.1, 0.155)),
        "cause": ("Gradient, by steps back", _gradient, 4, (0.048, 0.1, 0.46)),
    }
    for name, (title, draw, column, (inset, bottom, height)) in panels.items():
        left, width = LEFT + column * COLUMN, 2 * COLUMN - inset - 0.045
        axes = figure.add_axes((left + inset, bottom, width, height))
        style_axes(axes)
        axes.tick_params(labelsize=9.5)
        _say(figure, left, bottom + height + 0.05, title, fontsize=11, fontweight="bold")
        summary = card["rows"][name]
        if summary and (name != "cause" or summary["profile"]):
            draw(axes, summary, card)
            _key(axes, -inset / width)
        else:
            _not_measured(axes, card, name)
    return figure


def _title(figure: Figure, card: Card) -> None:
    """The name and the kind of the cell, its arguments, the protocol and the seeds."""
    arguments = ", ".join(f"{key} {value}" for key, value in card["cell"]["args"].items())
    seeds = len(card["seeds"])
    parts = [arguments, f"protocol {protocol_words(card)}", f"{seeds} seed{'s' * (seeds != 1)}"]
    words = " \u00b7 ".join(filter(None, parts))
    kind = kind_of(card).replace("reference", "reference, not recurrent")
    _say(figure, LEFT, 0.925, _shortened(card["name"], 42), fontsize=20, fontweight="bold")
    _say(figure, 0.98, 0.935, kind, fontsize=11, color=GREY, ha="right")
    _say(figure, LEFT, 0.875, _shortened(words, 105), fontsize=11, color=GREY)


def _big_number(figure: Figure, x: float, name: str, value: str, beside: str) -> None:
    """A name, a number below it in large type, and its interval."""
    _say(figure, x, 0.8, name, fontsize=10.5, color=GREY)
    if value:
        _say(figure, x, 0.728, value, fontsize=21, fontweight="bold")
        _say(figure, x, 0.69, beside, fontsize=9.5, color=GREY)
    else:
        _say(figure, x, 0.74, "not measured", fontsize=12, color=GREY)


def _say(figure: Figure, x: float, y: float, words: str, **style: Any) -> None:
    figure.text(x, y, _plain(words), **{"fontsize": 10, "color": INK, **style})


def _plain(words: str) -> str:
    """Words in which a dollar sign does not begin a formula."""
    return words.replace("$", r"\$")


def _shortened(words: str, width: int) -> str:
    return words if len(words) <= width else words[: width - 1].rstrip() + "\u2026"


def _key(axes: Axes, left: float) -> None:
    """The names of the lines of a panel, above it."""
    style: dict[str, Any] = {"ncols": 2, "fontsize": 9.5, "labelcolor": GREY, "frameon": False}
    style |= {"handlelength": 1.7, "handletextpad": 0.4, "columnspacing": 1, "borderpad": 0}
    axes.legend(loc="lower left", bbox_to_anchor=(left, 1), **style)


def _not_measured(axes: Axes, card: Card, name: str) -> None:
    """The reason why a panel is empty."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    why = card["not_measured"].get(name, "")
    words = "not measured" + (f":\n{wrapped(why, 26)}" if why else "")
    if name == "cause" and (card["rows"]["cause"] or {}).get("verdict") == "no limit found":
        words = "no limit found:\nevery seed reached\nevery lag"
    axes.text(0.42, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=GREY)


def _learning(axes: Axes, learning: Any, card: Card) -> None:
    """Median updates by lag; those beyond the budget are on top, at "never"."""
    budget = card["protocol"]["budget"]
    never = 1.7 * budget
    axes.set(xscale="log", yscale="log")
    for task, style in TASKS.items():
        _learning_line(axes, learning[task], never, task, style)
    axes.axhline(budget, color=GREY, linestyle=":", linewidth=1.2)
    lines = [*learning["stream"], *learning["hold"]]
    known = [line[name] for line in lines for name in ("median", "low") if line[name]]
    axes.set_ylim(0.5 * min([budget / 10, *known]), 2.4 * budget)
    ticks = [y for y in _round_numbers(axes.get_ylim()) if y < 0.9 * budget]
    axes.set_yticks([*ticks, budget, never], [*map(three_digits, [*ticks, budget]), "never"])
    lags = [line["lag"] for line in lines]
    axes.set_xlim(0.8 * min(lags), 1.25 * max(lags))
    _lag_ticks(axes, lags, (1, 2, 5) if max(lags) < 100 else (1, 3))


def _learning_line(
    axes: Axes, lines: Sequence[Mapping[str, Any]], never: float, task: str, style: tuple
) -> None:
    """The medians of a task with their intervals; hollow marks for those beyond the budget."""
    colour, marker, dashes = style
    side = 0.97 if task == "stream" else 1.03
    for line in lines:
        if line["low"] is not None:
            ends = [line["low"], never if line["high"] is None else line["high"]]
            axes.plot([side * line["lag"]] * 2, ends, color=colour, linewidth=5, alpha=0.3)
    drawn: dict[str, Any] = {"color": colour, "marker": marker, "linewidth": 1.8, "markersize": 5}
    reached = [line for line in lines if line["median"] is not None]
    lags = [side * line["lag"] for line in reached]
    axes.plot(lags, [r["median"] for r in reached], linestyle=dashes, label=task, **drawn)
    missed = [side * line["lag"] for line in lines if line["median"] is None]
    axes.plot(missed, [never] * len(missed), linestyle="", markerfacecolor="white", **drawn)


def _round_numbers(ends: tuple[float, float], steps: tuple[int, ...] = (1, 2, 5)) -> list[float]:
    """These multiples of powers of ten between two ends."""
    powers = range(int(np.floor(np.log10(ends[0]))), int(np.ceil(np.log10(ends[1]))))
    return [s * 10.0**p for p in powers for s in steps if ends[0] <= s * 10.0**p <= ends[1]]


def _lag_ticks(axes: Axes, lags: Sequence[float], steps: tuple[int, ...] = (1, 2, 5)) -> None:
    """Ticks at round lags, and at 0 if it is among the lags."""
    ticks = _round_numbers((max(min(lags), 1), max([2, *lags]) * 1.01), steps)
    axes.xaxis.set_major_locator(FixedLocator([ZERO] * (min(lags) < 1) + ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: three_digits(x) if x >= 1 else "0"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())


def _bits(axes: Axes, capacity: Any, card: Card) -> None:
    """Recalled bits of a token by lag."""
    lags, bits = capacity["by_lag"]["lags"], capacity["by_lag"]["median"]
    numbers = capacity["state_numbers"]
    label = f"state of {three_digits(numbers)} number{'s' * (numbers != 1)}"
    axes.fill_between(lags, 0, bits, color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(lags, bits, color=BLUE, linewidth=2, label=label)
    _unit_axis(axes, lags, log2(card["protocol"]["vocab_size"]), bits)


def _linear(axes: Axes, linear: Any, _: Card) -> None:
    """The r squared of a linear readout by lag, of the trained and the untrained state."""
    by_lag = linear["by_lag"]
    for name, (colour, dashes) in {
        "trained": (BLUE, "-"),
        "untrained": (GREY, (0, (4, 2))),
    }.items():
        total = linear[name]["median"]
        label = name if total is None else f"{name}: {three_digits(total)}"
        style: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 2}
        axes.plot(by_lag["lags"], by_lag[name], label=label, **style)
    _unit_axis(axes, by_lag["lags"], 1.0, [*by_lag["trained"], *by_lag["untrained"]])


def _unit_axis(axes: Axes, lags: Sequence[float], whole: float, values: Sequence[float]) -> None:
    """A vertical axis from 0 to the largest possible value, with room for values below 0."""
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set_xlim(lags[0] - 0.02 * (lags[-1] - lags[0] + 1), lags[-1] + 0.5)
    axes.set_ylim(min(-0.04 * whole, 1.05 * min(values)), 1.08 * max(whole, *values))
    axes.set_yticks([0, whole / 2, whole], ["0", three_digits(whole / 2), three_digits(whole)])
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _gradient(axes: Axes, cause: Any, _: Card) -> None:
    """The gradient by steps back, before and after training, with the verdict in the corner."""
    profiles = {name: np.asarray(cause["profile"][name], float) for name in ("before", "after")}
    positive = np.concatenate([values[values > 0] for values in profiles.values()])
    lowest = 10.0 ** np.floor(np.log10(positive.min())) if len(positive) else 0.1
    styles = {"before": (GREY, (0, (4, 2))), "after": (BLUE, "-")}
    for name, (colour, dashes) in styles.items():
        drawn = np.where(profiles[name] > 0, profiles[name], np.nan)
        axes.plot(drawn, color=colour, linestyle=dashes, linewidth=2, label=f"{name} training")
        zeros = np.flatnonzero(profiles[name] == 0)
        axes.plot(zeros, [lowest / 10] * len(zeros), "o", color=colour, markerfacecolor="white")
    highest = max([1, *positive])
    axes.set(yscale="log", ylim=(lowest / 20, highest * (20 * highest / lowest) ** 0.4))
    _gradient_ticks(axes, lowest, any((values == 0).any() for values in profiles.values()))
    words = f"lag {three_digits(cause['lag'])}:\n{cause['verdict']}"
    style: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "top"}
    axes.text(1, 0.98, words, color=INK, fontsize=10, linespacing=1.4, **style)


def _gradient_ticks(axes: Axes, lowest: float, zeros: bool) -> None:
    """Ticks at powers of ten, and one for gradients of exactly 0 below them."""
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_minor_locator(NullLocator())
    every = max(1, round(-np.log10(lowest) / 5))
    powers = range(0, round(-np.log10(lowest)) + 1, every)
    names = [f"$10^{{{-power}}}$" if power else "1" for power in powers]
    axes.set_yticks(
        [lowest / 10] * zeros + [10.0**-power for power in powers], ["0"] * zeros + names
    )
    axes.grid(axis="y", color=RULE, linewidth=0.8)


def by_span(cards: Sequence[Card]) -> list[Card]:
    """Cards by stream span, the longest first, then by hold span; those without one last."""
    return sorted(cards, key=lambda card: [-_sort_key(card, task) for task in TASKS])


def _sort_key(card: Card, task: str) -> float:
    """The median span of a task, a lower bound just above its number, -1 if not measured."""
    span = card["rows"][f"{task}_span"]
    if not span:
        return -1
    found = reach(span["0.99"])
    return found.median + 0.5 * found.at_least


def spans_figure(cards: Sequence[Card]) -> Figure:
    """Both spans of each cell, the longest stream span on top.

    Args:
      cards: at least one, all of one protocol.
    """
    cards = by_span(cards)
    room = 0.4 * len(cards)
    figure = Figure((WIDTH, room + 1.05))
    axes = figure.add_axes((0.295, 0.6 / (room + 1.05), 0.475, room / (room + 1.05)))
    style_axes(axes)
    ladder = cards[0]["protocol"]["ladder"]
    axes.set(xscale="log", xlim=(0.8 * ZERO, 1.9 * ladder[-1]), ylim=(len(cards) - 0.5, -0.5))
    _name_rows(axes, cards)
    for row, card in enumerate(cards):
        axes.axhline(row + 0.5, color=RULE, linewidth=0.8)
        for task, shift in zip(TASKS, (-0.16, 0.16), strict=True):
            if card["rows"][f"{task}_span"]:
                span = reach(card["rows"][f"{task}_span"]["0.99"])
                _span_mark(axes, row + shift, span, TASKS[task])
    _lag_ticks(axes, [0, *ladder])
    axes.spines["left"].set_visible(False)
    axes.axvline(ZERO, color=GREY, linewidth=1.2)
    axes.axvline(ladder[-1], color=GREY, linewidth=1.2, linestyle=":")
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set_xlabel("longest lag of an unbroken ladder", fontsize=11, color=INK)
    _span_key(axes, ladder[-1])
    return figure


def _name_rows(axes: Axes, cards: Sequence[Card]) -> None:
    """The name of each cell on the left, and the numbers of its spans on the right."""
    kinds = {"control": "\ncontrol", "reference": "\nreference, not recurrent", "recurrent": ""}
    names = [
        _plain(_shortened(name, 27)) + kinds[kind_of(card)]
        for card, name in zip(cards, names_of(cards), strict=True)
    ]
    axes.set_yticks(range(len(cards)), names, ha="left")
    axes.tick_params(axis="y", length=0, pad=145)
    middle: dict[str, Any] = {
        "transform": axes.get_yaxis_transform(),
        "ha": "right",
        "va": "center",
    }
    for row, card in enumerate(cards):
        for x, task in zip((1.22, 1.46), TASKS, strict=True):
            span = card["rows"][f"{task}_span"]
            words = brief(span_words(span["0.99"])) if span else "\u2013"
            axes.text(x, row, words, fontsize=10, color=INK, **middle)


def _span_key(axes: Axes, end: float) -> None:
    """What the marks and the numbers are, above the panel."""
    for task, (colour, marker, _) in TASKS.items():
        label = {"stream": "stream: every token of it", "hold": "hold: one value"}[task]
        axes.plot([], [], color=colour, marker=marker, linestyle="", label=label)
    style: dict[str, Any] = {"frameon": False, "handletextpad": 0.2, "columnspacing": 1.2}
    style |= {"loc": "lower left", "bbox_to_anchor": (-0.65, 1)}
    axes.legend(ncols=2, fontsize=10, labelcolor=INK, **style)
    at: dict[str, Any] = {"annotation_clip": False, "color": GREY, "ha": "right"}
    for x, task in zip((1.22, 1.46), TASKS, strict=True):
        annotate(axes, task, (x, 1), (0, 8), xycoords="axes fraction", **at)
    annotate(axes, "ladder ends", (end, 1), (0, 8), xycoords=("data", "axes fraction"), **at)


def _span_mark(axes: Axes, y: float, span: Reach, style: tuple) -> None:
    """A median and its interval, with an arrow if the median or the upper end is a lower bound."""
    colour, marker, _ = style
    if span.low is not None and span.high is not None:
        low, high = place(span.low), place(span.high)
        axes.plot([low, high], [y, y], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
        if span.high_at_least:
            axes.plot(1.1 * high, y, ">", color=colour, markersize=8, alpha=0.4, linewidth=0)
    if span.at_least:
        start = place(span.median)
        arrow = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (1.75 * start, y), (start, y), arrowprops=arrow, annotation_clip=False)
    axes.plot(place(span.median), y, marker, color=colour, markersize=6.5, zorder=4)


def memory_functions_figure(cards: Sequence[Card]) -> Figure | None:
    """Recalled bits by lag, a numbered line for each card; None if no card has them."""
    named = zip(cards, names_of(cards), strict=True)
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
    _unit_axis(axes, lags, whole, [value for _, bits in curves for value in bits])
    styles = _line_styles([card for _, card, _ in known])
    lines = [axes.plot(*curve, **style)[0] for curve, style in zip(curves, styles, strict=True)]
    _number_lines(axes, curves)
    axes.set_xlabel("lag, steps back", fontsize=11, color=INK)
    axes.set_ylabel("recalled bits of a token", fontsize=11, color=INK)
    words = [
        _plain(f"{i}: {_shortened(name, 26)}, {three_digits(found['exact']['median'])}")
        for i, (found, _, name) in enumerate(known, 1)
    ]
    style: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.55, 0.98), "frameon": False}
    style |= {"fontsize": 10, "labelcolor": INK, "handlelength": 2.2, "title": "cell, sum of bits"}
    figure.legend(lines, words, alignment="left", title_fontproperties={"size": 10}, **style)
    return figure


def _line_styles(cards: Sequence[Card]) -> Iterator[dict[str, Any]]:
    """A style for each card: controls grey, others in colours, with other dashes in each round."""
    for i, card in enumerate(cards):
        control = kind_of(card) == "control"
        yield {
            "color": GREY if control else SERIES[i % len(SERIES)][0],
            "linestyle": SERIES[(i + i // len(SERIES)) % len(SERIES)][2],
            "linewidth": 1.3 if control else 2,
        }


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
        (card["rows"]["price"], reach(card["rows"]["stream_span"]["0.99"]).median, name)
        for card, name in zip(cards, names_of(cards), strict=True)
        if card["rows"]["stream_span"] and "1" in (card["rows"]["price"] or {}).get("stream", {})
    ]
    if not known:
        return None
    figure = Figure((WIDTH, 4.6))
    axes = figure.add_axes((0.11, 0.13, 0.87, 0.75))
    style_axes(axes)
    axes.set(xscale="log", yscale="log")
    at = np.array([[cost["stream"]["1"], place(span)] for cost, span, _ in known])
    axes.set_xlim(0.7 * at[:, 0].min(), 2 * at[:, 0].max())
    axes.set_ylim(0.75 * ZERO, 2.2 * max(at[:, 1].max(), 2))
    _mark_points(axes, at, [cost["state_bytes"] for cost, _, _ in known])
    _name_points(axes, at, [_shortened(name, 27) for _, _, name in known])
    _cost_axes(axes)
    return figure


def _cost_axes(axes: Axes) -> None:
    """Ticks, labels and key of the figure of costs."""
    axes.grid(color=RULE, linewidth=0.8)
    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: three_digits(x)))
    ticks = _round_numbers((1, axes.get_ylim()[1]))
    axes.set_yticks([ZERO, *ticks], ["0", *map(three_digits, ticks)])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("\u00b5s per step of one stream", fontsize=11, color=INK)
    axes.set_ylabel("stream span, lags", fontsize=11, color=INK)
    style: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.11, 1), "frameon": False}
    axes.legend(ncols=3, fontsize=10, labelcolor=INK, columnspacing=1.4, handlelength=1.6, **style)


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
        annotate(axes, _plain(name), tuple(point), (shift, rise - 3), **style)
