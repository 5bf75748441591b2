"""Figures of memory cards: one card at a glance, and many over each other. No jax here."""

from collections.abc import Iterator, Mapping, Sequence
from math import log2
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from echo_jax.memory_cards.card_text import Reach, reach, span_bounds, span_words
from echo_jax.report.figures import INK, RULE, SERIES, WIDTH, annotate, style_axes, wrapped
from echo_jax.report.styles import BLUE, GREY, ORANGE

Card = Mapping[str, Any]

CONTROLS, REFERENCES = (
    ("ShiftRegister", "LeakyIntegrator", "Memoryless"),
    ("CausalConvolution", "mlp"),
)
"""Names of cells that are not recurrent cells of their own."""


TASKS = {"stream": (BLUE, "o", "-"), "hold": (ORANGE, "s", (0, (5, 2)))}
"""Colour, marker and dashes of what is asked: the whole stream, or one value."""

CARD_WIDTH = 9.6
"""Inches, of a card by itself: three panels beside each other."""

LEFT, COLUMN = 0.015, 0.168
"""Where the columns of a card begin, and how far they are apart, of its width."""

ZERO = 0.5
"""Where 0 stands on a logarithmic axis of lags."""


def kind_of(card: Card) -> str:
    """Whether a card is of a recurrent cell, of a reference that is none, or of a control."""
    module, _, name = card["cell"]["cell"].rpartition(":")
    if module not in ("", "echo_jax.controls", "echo_jax.cells.known_memory"):
        return "recurrent"
    return "control" if name in CONTROLS else ("reference" if name in REFERENCES else "recurrent")


def names_of(cards: Sequence[Card]) -> list[str]:
    """A name for each card that no other of them has: with what differs, from the first that does.

    gru; shift-register, slots 2; shift-register, slots 6; lstm, quick 1 (3f2a91c4)
    """
    names = [_called(card, cards) for card in cards]
    arguments = [_arguments(card, cards) for card in cards]
    protocols = [protocol_words(card) for card in cards]
    digests = [f"card {card['digest'][:8]}" for card in cards]
    for words in (arguments, protocols, digests):
        pairs = zip(names, words, [names.count(name) > 1 for name in names], strict=True)
        names = [f"{name}, {more}" if more and twice else name for name, more, twice in pairs]
    return names


def _called(card: Card, cards: Sequence[Card]) -> str:
    """The name of a card, without its protocol where all of them have the same: lstm-full, lstm."""
    alike = {other["protocol_hash"] for other in cards} == {card["protocol_hash"]}
    name, protocol = str(card["name"]), card["protocol"]["name"]
    return name.removesuffix(f"-{protocol}") if alike else name


def _arguments(card: Card, cards: Sequence[Card]) -> str:
    """Those arguments of a card that another of its name has not, or differently."""
    others = [other["cell"]["args"] for other in cards if other["name"] == card["name"]]
    own = card["cell"]["args"]
    differing = [key for key in own if any(other.get(key) != own[key] for other in others)]
    return ", ".join(f"{key} {own[key]}" for key in differing)


def protocol_words(card: Card) -> str:
    """The name and version of the protocol of a card, and how its hash begins."""
    protocol = card["protocol"]
    return f"{protocol['name']} {protocol['version']} ({card['protocol_hash'][:8]})"


def number(value: float) -> str:
    """A number with three digits, all its whole ones, and two places at the most.

    14.2      5      0.05      10,902      -0.0003 is 0
    """
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    written = f"{value:.{1 if abs(value) >= 9.995 else 2}f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written


def estimate_words(estimate: Mapping[str, Any]) -> str:
    """The interval of an estimate: 14.0 to 14.9; nothing without one."""
    if estimate["low"] is None or estimate["high"] is None:
        return ""
    return f"{number(estimate['low'])} to {number(estimate['high'])}"


AT_LEAST = "\u2265\u2009"
"""The sign and the narrow space that `brief` puts before a number."""


def brief(words: str) -> str:
    """The words of a span with a sign for at least."""
    return words.replace("at least ", AT_LEAST)


def place(lag: float) -> float:
    """Where a lag stands on a logarithmic axis that has a place for 0, to the left of 1."""
    return lag if lag >= 1 else ZERO ** (1 - lag)


def card_figure(card: Card) -> Figure:
    """A card at a glance: what it is of, its numbers, and what they were read from."""
    figure = Figure((CARD_WIDTH, 6.2))
    _title(figure, card)
    for column, words in enumerate(big_numbers(card)):
        _big_number(figure, LEFT + column * COLUMN, *words)
    panels: Mapping[str, Any] = {
        "learning": ("Updates until 99%, by lag", _learning, (0, 0.06, 0.1, 0.46)),
        "capacity": ("Recalled bits, by lag", _bits, (2, 0.035, 0.405, 0.155)),
        "linear": ("Linear memory, r\u00b2, by lag", _linear, (2, 0.035, 0.1, 0.155)),
        "cause": ("Gradient, by steps back", _gradient, (4, 0.048, 0.1, 0.46)),
    }
    for row, (title, draw, (column, inset, bottom, height)) in panels.items():
        left = LEFT + column * COLUMN
        axes = figure.add_axes((left + inset, bottom, 2 * COLUMN - inset - 0.045, height))
        style_axes(axes)
        axes.tick_params(labelsize=9.5)
        _say(figure, left, bottom + height + 0.05, title, fontsize=11, fontweight="bold")
        if draw(axes, card):
            _key(axes, -inset / (2 * COLUMN - inset - 0.045))
        else:
            _not_measured(axes, card, row)
    return figure


def _title(figure: Figure, card: Card) -> None:
    """The name, and below it what a card depends on."""
    arguments = ", ".join(f"{key} {value}" for key, value in card["cell"]["args"].items())
    seeds = len(card["seeds"])
    parts = [arguments, f"protocol {protocol_words(card)}", f"{seeds} seed{'s' * (seeds != 1)}"]
    words = " \u00b7 ".join(part for part in parts if part)
    kind = kind_of(card).replace("reference", "reference, not recurrent")
    _say(figure, LEFT, 0.925, _shortened(card["name"], 42), fontsize=20, fontweight="bold")
    _say(figure, 0.98, 0.935, kind, fontsize=11, color=GREY, ha="right")
    _say(figure, LEFT, 0.875, _shortened(words, 105), fontsize=11, color=GREY)


def _say(figure: Figure, x: float, y: float, words: str, **style: Any) -> None:
    figure.text(x, y, words.replace("$", r"\$"), **{"fontsize": 10, "color": INK, **style})


def _shortened(words: str, width: int) -> str:
    """Words of at most so many characters, which end with dots where there were more."""
    return words if len(words) <= width else words[: width - 1].rstrip() + "\u2026"


def big_numbers(card: Card) -> list[tuple[str, str, str]]:
    """What a card comes to: a name, the number, and how sure it is, each in words."""
    rows = card["rows"]
    found = []
    for task in TASKS:
        span = rows[f"{task}_span"]
        words = (span_words, span_bounds)
        value, beside = (brief(say(span["0.99"])) if span else "" for say in words)
        found.append((f"{task} span, lags", value, beside))
    bits = rows["capacity"] and rows["capacity"]["exact"]
    value = number(bits["median"]) if bits and bits["median"] is not None else ""
    found.append(("bits in the state", value, estimate_words(bits) if bits else ""))
    return found + _prices(rows["price"])


def _prices(price: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """The parameters, the state and the step of a card, as `big_numbers`."""
    if not price:
        return [(name, "", "") for name in ("parameters", "bytes of state", "streaming step")]
    streaming, training = price["stream"].get("1"), price["train"].get("1")
    beside = "" if training is None else f"training {number(training)} \u00b5s"
    return [
        ("parameters", number(price["parameters"]), ""),
        ("bytes of state", number(price["state_bytes"]), "a stream"),
        ("streaming step", "" if streaming is None else f"{number(streaming)} \u00b5s", beside),
    ]


def _big_number(figure: Figure, x: float, name: str, value: str, beside: str) -> None:
    """A number that is seen first, between its name and its interval."""
    _say(figure, x, 0.8, name, fontsize=10.5, color=GREY)
    if value:
        _say(figure, x, 0.728, value, fontsize=21, fontweight="bold")
        _say(figure, x, 0.69, beside, fontsize=9.5, color=GREY)
    else:
        _say(figure, x, 0.74, "not measured", fontsize=12, color=GREY)


def _key(axes: Axes, left: float) -> None:
    """What the lines of a panel are, in a line above it."""
    handles, names = axes.get_legend_handles_labels()
    style: dict[str, Any] = {"ncols": 2, "fontsize": 9.5, "labelcolor": GREY, "frameon": False}
    style |= {"handlelength": 1.7, "handletextpad": 0.4, "columnspacing": 1, "borderpad": 0}
    axes.legend(handles, names, loc="lower left", bbox_to_anchor=(left, 1), **style)


def _not_measured(axes: Axes, card: Card, row: str) -> None:
    """The place of a panel that has nothing to show, and why."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    why = card["not_measured"].get(row, "")
    words = "not measured" + (f":\n{wrapped(why, 26)}" if why else "")
    if row == "cause" and (card["rows"]["cause"] or {}).get("verdict") == "no limit found":
        words = "no limit found:\nevery seed reached\nevery lag"
    axes.text(0.42, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=GREY)


def _learning(axes: Axes, card: Card) -> bool:
    """Updates until 99% by lag, on two logarithmic axes, those that never arrived on top."""
    learning = card["rows"]["learning"] or {}
    if not any(learning.get(task) for task in TASKS):
        return False
    budget = card["protocol"]["budget"]
    never = 1.7 * budget
    axes.set(xscale="log", yscale="log")
    for task, style in TASKS.items():
        _learning_line(axes, learning.get(task) or [], never, task, style)
    axes.axhline(budget, color=GREY, linestyle=":", linewidth=1.2)
    known = [row["median"] for rows in learning.values() for row in rows or [] if row["median"]]
    lows = [row["low"] for rows in learning.values() for row in rows or [] if row["low"]]
    axes.set_ylim(0.5 * min([budget / 10, *known, *lows]), 2.4 * budget)
    ticks = [y for y in _round_numbers(axes.get_ylim()) if y < 0.9 * budget]
    axes.set_yticks([*ticks, budget, never], [*map(number, ticks), number(budget), "never"])
    lags = [row["lag"] for rows in learning.values() for row in rows or []]
    axes.set_xlim(0.8 * min(lags), 1.25 * max(lags))
    _lag_ticks(axes, lags, (1, 2, 5) if max(lags) < 100 else (1, 3))
    return True


def _learning_line(
    axes: Axes, rows: Sequence[Mapping[str, Any]], never: float, task: str, style: tuple
) -> None:
    """The medians of a task with their intervals; hollow where it never arrived."""
    colour, marker, dashes = style
    side = 0.97 if task == "stream" else 1.03
    rows = [{**row, "lag": side * row["lag"]} for row in rows]
    for row in rows:
        if row["low"] is not None:
            high = never if row["high"] is None else row["high"]
            axes.plot([row["lag"]] * 2, [row["low"], high], color=colour, linewidth=5, alpha=0.3)
    reached = [(row["lag"], row["median"]) for row in rows if row["median"] is not None]
    lags, medians = zip(*reached, strict=True) if reached else ((), ())
    drawn: dict[str, Any] = {"color": colour, "marker": marker, "linewidth": 1.8, "markersize": 5}
    axes.plot(lags, medians, linestyle=dashes, label=task, **drawn)
    missed = [row["lag"] for row in rows if row["median"] is None]
    axes.plot(missed, [never] * len(missed), linestyle="", markerfacecolor="white", **drawn)


def _round_numbers(ends: tuple[float, float], steps: tuple[int, ...] = (1, 2, 5)) -> list[float]:
    """The 1, 2 and 5, or other steps, of each power of ten between two ends."""
    powers = range(int(np.floor(np.log10(ends[0]))), int(np.ceil(np.log10(ends[1]))))
    return [s * 10.0**p for p in powers for s in steps if ends[0] <= s * 10.0**p <= ends[1]]


def _lag_ticks(axes: Axes, lags: Sequence[float], steps: tuple[int, ...] = (1, 2, 5)) -> None:
    """Round lags below a logarithmic axis, and 0 at its place where the axis has one."""
    low, high = min([1, *lags]), max([2, *lags])
    ticks = _round_numbers((max(low, 1), high * 1.01), steps)
    axes.xaxis.set_major_locator(FixedLocator([ZERO] * (low < 1) + ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x) if x >= 1 else "0"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())


def _bits(axes: Axes, card: Card) -> bool:
    """Recalled bits by lag, between none and all of a token."""
    capacity = card["rows"]["capacity"]
    if not capacity:
        return False
    whole = log2(card["protocol"]["vocab_size"])
    by_lag = capacity["by_lag"]
    axes.fill_between(by_lag["lags"], 0, by_lag["median"], color=BLUE, alpha=0.15, linewidth=0)
    numbers = capacity["state_numbers"]
    label = f"state of {number(numbers)} number{'s' * (numbers != 1)}"
    axes.plot(by_lag["lags"], by_lag["median"], color=BLUE, linewidth=2, label=label)
    _unit_axis(axes, by_lag["lags"], whole, by_lag["median"])
    return True


def _linear(axes: Axes, card: Card) -> bool:
    """What a linear readout finds of each lag, trained and as it was initialised."""
    linear = card["rows"]["linear"]
    if not linear:
        return False
    by_lag = linear["by_lag"]
    colours = {"trained": (BLUE, "-"), "untrained": (GREY, (0, (4, 2)))}
    for name, (colour, dashes) in colours.items():
        total = linear[name]["median"]
        label = name if total is None else f"{name}: {number(total)}"
        style: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 2}
        axes.plot(by_lag["lags"], by_lag[name], label=label, **style)
    _unit_axis(axes, by_lag["lags"], 1.0, [*by_lag["trained"], *by_lag["untrained"]])
    return True


def _unit_axis(axes: Axes, lags: Sequence[float], whole: float, values: Sequence[float]) -> None:
    """From the floor, 0, to all that there is, with a little room below for what is below it."""
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set_xlim(lags[0] - 0.02 * (lags[-1] - lags[0] + 1), lags[-1] + 0.5)
    axes.set_ylim(min(-0.04 * whole, 1.05 * min(values)), 1.08 * max(whole, *values))
    axes.set_yticks([0, whole / 2, whole], ["0", number(whole / 2), number(whole)])
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _gradient(axes: Axes, card: Card) -> bool:
    """How far back the gradient of an answer reaches, before training and after."""
    cause = card["rows"]["cause"]
    if not cause or not cause.get("profile"):
        return False
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
    words = f"lag {number(cause['lag'])}:\n{cause['verdict']}"
    style: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "top"}
    axes.text(1, 0.98, words, color=INK, fontsize=10, linespacing=1.4, **style)
    return True


def _gradient_ticks(axes: Axes, lowest: float, zeros: bool) -> None:
    """Powers of ten, and a place for what is exactly 0 below them."""
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_minor_locator(NullLocator())
    every = max(1, round(-np.log10(lowest) / 5))
    powers = [10.0**-power for power in range(0, round(-np.log10(lowest)) + 1, every)]
    names = ["1" if p == 1 else f"$10^{{{np.log10(p):.0f}}}$" for p in powers]
    axes.set_yticks([lowest / 10] * zeros + powers, ["0"] * zeros + names)
    axes.grid(axis="y", color=RULE, linewidth=0.8)


def by_span(cards: Sequence[Card]) -> list[Card]:
    """Cards from the longest stream span to the shortest, then by hold span; unknown ones last."""
    return sorted(cards, key=lambda card: [-_median(card, task) for task in TASKS])


def _median(card: Card, task: str) -> float:
    """The median span of a task, a lower bound a little above its number, -1 if not measured."""
    span = card["rows"][f"{task}_span"]
    if not span:
        return -1
    found = reach(span["0.99"])
    return found.median + 0.5 * found.at_least


def spans_figure(cards: Sequence[Card]) -> Figure:
    """Both spans of all cells, the longest stream span on top.

    Args:
      cards: of one protocol, at least one.
    """
    cards = by_span(cards)
    room = 0.4 * len(cards)
    figure = Figure((WIDTH, room + 1.05))
    bottom = 0.6 / (room + 1.05)
    axes = figure.add_axes((0.295, bottom, 0.475, room / (room + 1.05)))
    style_axes(axes)
    axes.set(xscale="log", ylim=(len(cards) - 0.5, -0.5))
    end = cards[0]["protocol"]["ladder"][-1]
    axes.set_xlim(0.8 * ZERO, 1.9 * end)
    for row, (card, name) in enumerate(zip(cards, names_of(cards), strict=True)):
        _span_row(axes, row, card, name)
    _lag_ticks(axes, [0, *cards[0]["protocol"]["ladder"]])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(ZERO, color=GREY, linewidth=1.2)
    axes.axvline(end, color=GREY, linewidth=1.2, linestyle=":")
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.set_xlabel("longest lag of an unbroken ladder", fontsize=11, color=INK)
    _span_heads(axes, end)
    return figure


def _span_heads(axes: Axes, end: float) -> None:
    """What stands above the columns: the marks over the panel, two words over the numbers."""
    axes.legend(
        [axes.plot([], [], color=c, marker=m, linestyle="")[0] for c, m, _ in TASKS.values()],
        ["stream: every token of it", "hold: one value"],
        loc="lower left", bbox_to_anchor=(-0.65, 1), ncols=2, frameon=False, labelcolor=INK,
        fontsize=10, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
    at: dict[str, Any] = {"xycoords": "axes fraction", "annotation_clip": False, "color": GREY}
    ends = ("data", "axes fraction")
    for x, task in zip(SPAN_COLUMNS, TASKS, strict=True):
        annotate(axes, task, (x, 1), (0, 8), ha="right", **at)
    annotate(axes, "ladder ends", (end, 1), (0, 8), ha="right", **at | {"xycoords": ends})


SPAN_COLUMNS = (1.22, 1.46)
"""Where the numbers of both tasks end, in widths of the panel of spans."""


def _span_row(axes: Axes, row: int, card: Card, name: str) -> None:
    """The name of a cell, its two spans, and their numbers."""
    axes.axhline(row + 0.5, color=RULE, linewidth=0.8)
    at: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    kind = kind_of(card)
    own = card["name"] if name == card["name"] else name
    shown = _shortened(own, 27).replace("$", r"\$")
    rise = 0.14 if kind != "recurrent" else 0
    axes.text(-0.61, row - rise, shown, fontsize=10, color=INK, ha="left", **at)
    if kind != "recurrent":
        words = "control" if kind == "control" else "reference, not recurrent"
        axes.text(-0.61, row + 0.24, words, fontsize=9, color=GREY, ha="left", **at)
    for (task, style), x, shift in zip(TASKS.items(), SPAN_COLUMNS, (-0.16, 0.16), strict=True):
        span = card["rows"][f"{task}_span"]
        words = "\u2013"
        if span:
            _span_mark(axes, row + shift, reach(span["0.99"]), style)
            words = brief(span_words(span["0.99"]))
        axes.text(x, row, words, fontsize=10, color=INK, ha="right", **at)


def _span_mark(axes: Axes, y: float, found: Reach, style: tuple) -> None:
    """A dot and its interval; an arrow from a lower bound, a point at an interval that is open."""
    colour, marker, _ = style
    if found.low is not None and found.high is not None:
        low, high = place(found.low), place(found.high)
        axes.plot([low, high], [y, y], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt")
        if found.high_at_least:
            axes.plot(1.1 * high, y, ">", color=colour, markersize=8, alpha=0.4, linewidth=0)
    if found.at_least:
        start = place(found.median)
        arrow = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0}
        ends = ((1.75 * start, y), (start, y))
        axes.annotate("", *ends, arrowprops=arrow, annotation_clip=False)
    axes.plot(place(found.median), y, marker, color=colour, markersize=6.5, zorder=4)


def memory_functions_figure(cards: Sequence[Card]) -> Figure | None:
    """Recalled bits by lag, all cards over each other, each with its number on its line.

    None where no card has them.
    """
    names = dict(zip(map(id, cards), names_of(cards), strict=True))
    known = [card for card in cards if card["rows"]["capacity"]]
    known.sort(key=lambda card: -card["rows"]["capacity"]["exact"]["median"])
    if not known:
        return None
    figure = Figure((WIDTH, max(3.9, 1.1 + 0.24 * len(known))))
    axes = figure.add_axes((0.09, 0.15, 0.45, 0.8))
    style_axes(axes)
    whole = log2(known[0]["protocol"]["vocab_size"])
    curves = [card["rows"]["capacity"]["by_lag"] for card in known]
    longest = max(curve["lags"][-1] for curve in curves)
    known_bits = [bits for curve in curves for bits in curve["median"]]
    _unit_axis(axes, range(1, longest + 1), whole, known_bits)
    lines = list(_curves(axes, known))
    _badges(axes, [(curve["lags"], curve["median"]) for curve in curves])
    axes.set_xlabel("lag, steps back", fontsize=11, color=INK)
    axes.set_ylabel("recalled bits of a token", fontsize=11, color=INK)
    bits = [number(card["rows"]["capacity"]["exact"]["median"]) for card in known]
    words = [
        f"{i}: {_shortened(names[id(card)], 26)}, {total}".replace("$", r"\$")
        for i, (card, total) in enumerate(zip(known, bits, strict=True), 1)
    ]
    style: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.55, 0.98), "frameon": False}
    style |= {"fontsize": 10, "labelcolor": INK, "handlelength": 2.2, "title": "cell, sum of bits"}
    figure.legend(lines, words, alignment="left", title_fontproperties={"size": 10}, **style)
    return figure


def _curves(axes: Axes, cards: Sequence[Card]) -> Iterator[Any]:
    """A line a card: controls grey, others in colours whose second round has other dashes."""
    for i, card in enumerate(cards):
        by_lag = card["rows"]["capacity"]["by_lag"]
        control = kind_of(card) == "control"
        dashes = SERIES[(i + i // len(SERIES)) % len(SERIES)][2]
        style: dict[str, Any] = {
            "color": GREY if control else SERIES[i % len(SERIES)][0],
            "linestyle": dashes,
        }
        width = 1.3 if control else 2
        yield axes.plot(by_lag["lags"], by_lag["median"], linewidth=width, **style)[0]


def _badges(axes: Axes, curves: Sequence[tuple[Sequence[float], Sequence[float]]]) -> None:
    """A number on every line, where it is far from other lines and from other numbers."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    points = []
    for lags, values in curves:
        x = np.linspace(lags[0], lags[-1], 150)
        y = np.interp(x, lags, values)
        points.append(np.stack([(x - left) / (right - left), (y - bottom) / (top - bottom)], 1))
    badges: list[np.ndarray] = []
    for i, own in enumerate(points):
        others = [*points[:i], *points[i + 1 :]]
        apart = np.minimum(_distances(own, np.concatenate(others or [own + 1])), 0.06)
        crowd = np.minimum(_distances(own, np.array(badges or [own[0] + 9])), 0.09)
        inside = np.all((own > 0.03) & (own < 0.97), axis=1).astype(float)
        badges.append(own[np.argmax(apart + 3 * crowd + inside)])
        box = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": GREY}
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "zorder": 6}
        x, y = badges[-1]
        axes.text(x, y, str(i + 1), transform=axes.transAxes, color=INK, bbox=box, **style)


def _distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """From each point `[N, 2]` to the nearest of others `[M, 2]`, `[N]`."""
    return np.sqrt(((points[:, None] - others[None]) ** 2).sum(-1)).min(1)


def cost_figure(cards: Sequence[Card]) -> Figure | None:
    """Microseconds of a step against the stream span; equal bytes of state have one mark.

    None where no card has both.
    """
    names = names_of(cards)
    found = [
        (card["rows"]["price"], reach(card["rows"]["stream_span"]["0.99"]), name)
        for card, name in zip(cards, names, strict=True)
        if card["rows"]["price"] and card["rows"]["stream_span"]
    ]
    found = [each for each in found if each[0]["stream"].get("1")]
    if not found:
        return None
    figure = Figure((WIDTH, 4.6))
    axes = figure.add_axes((0.11, 0.13, 0.87, 0.75))
    style_axes(axes)
    axes.set(xscale="log", yscale="log")
    at = np.array([[price["stream"]["1"], place(span.median)] for price, span, _ in found])
    axes.set_xlim(0.7 * at[:, 0].min(), 1.6 * at[:, 0].max())
    axes.set_ylim(0.75 * ZERO, 2.2 * max(at[:, 1].max(), 2))
    _marked(axes, at, [price["state_bytes"] for price, _, _ in found])
    _label_points(axes, at, [_shortened(name, 27) for _, _, name in found])
    _cost_axes(axes)
    return figure


def _cost_axes(axes: Axes) -> None:
    """Ticks and words of the figure of costs."""
    axes.grid(color=RULE, linewidth=0.8)
    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))
    ticks = _round_numbers((1, axes.get_ylim()[1]))
    axes.set_yticks([ZERO, *ticks], ["0", *map(number, ticks)])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    label = "\u00b5s a step of one stream, streaming"
    axes.set_xlabel(label, fontsize=11, color=INK)
    axes.set_ylabel("stream span, lags", fontsize=11, color=INK)
    style: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.11, 1), "frameon": False}
    axes.legend(ncols=3, fontsize=10, labelcolor=INK, columnspacing=1.4, handlelength=1.6, **style)


def _marked(axes: Axes, at: np.ndarray, sizes: Sequence[int]) -> None:
    """The points, those of equal bytes of state with a mark of their own."""
    shared = sorted({size for size in sizes if sizes.count(size) > 1})[: len(SERIES)]
    for size, (colour, marker, _, _) in zip(shared, SERIES, strict=False):
        mine = at[[other == size for other in sizes]]
        label = f"{number(size)} bytes of state"
        style: dict[str, Any] = {"color": colour, "markersize": 8, "markeredgecolor": "white"}
        axes.plot(mine[:, 0], mine[:, 1], marker, label=label, **style)
    rest = at[[size not in shared for size in sizes]]
    if len(rest):
        style = {"markerfacecolor": "white", "markersize": 7}
        label = "a size of its own" if shared else "a cell"
        axes.plot(rest[:, 0], rest[:, 1], "o", color=GREY, label=label, **style)


def _label_points(axes: Axes, at: np.ndarray, names: Sequence[str]) -> None:
    """The name of each point beside it, with a line to it where it stands off.

    It covers no other point or name, and is nearer to its own point than to others, if that can be.
    """
    points = axes.transData.transform(at) * 72 / axes.figure.dpi
    left, bottom, right, top = np.asarray(axes.bbox.extents) * 72 / axes.figure.dpi
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    for i, ((x, y), place_, name) in enumerate(zip(points, at, names, strict=True)):
        width, height = 6.1 * len(name), 12
        spots = [
            (dx if side > 0 else -dx - width if side < 0 else -width / 2, dy - height / 2)
            for dy in (0, 11, -11, 22, -22, 33, -33)
            for side, dx in ((1, 9), (-1, 9), (0, 0))
            if side or dy
        ]
        boxes = [(x + dx, y + dy, x + dx + width, y + dy + height) for dx, dy in spots]
        costs = [
            sum(_overlap(box, other) for other in taken)
            + 30 * (_nearest(box, points) != i)
            + 1e3 * (box[0] < left or box[2] > right or box[1] < bottom or box[3] > top)
            + 0.5 * order
            for order, box in enumerate(boxes)
        ]
        best = int(np.argmin(costs))
        taken.append(boxes[best])
        dx, dy = spots[best]
        line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 4}
        style = {"fontsize": 10, "arrowprops": line if best > 1 else None}
        annotate(axes, name.replace("$", r"\$"), tuple(place_), (dx, dy + 3), **style)


def _nearest(box: Sequence[float], points: np.ndarray) -> int:
    """The point that is nearest to a box (left, bottom, right, top)."""
    inside = np.clip(points, box[:2], box[2:])
    return int(np.argmin(((points - inside) ** 2).sum(1)))


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """The area that two boxes (left, bottom, right, top) share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)
