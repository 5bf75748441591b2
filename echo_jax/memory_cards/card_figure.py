"""The figure of one memory card: its name, its numbers, and the curves behind them."""

from collections.abc import Callable, Mapping, Sequence
from math import log2
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from echo_jax.memory_cards.card_text import Card, big_numbers, counted, kind_of, protocol_words
from echo_jax.report.number_formats import three_digits
from echo_jax.report.styles import BLUE, GREY, INK, ORANGE, RULE, style_axes, tell, wrapped

TASKS = {"stream": (BLUE, "o", "-"), "hold": (ORANGE, "s", (0, (5, 2)))}
"""Colour, marker and dashes of a task."""

TRAINED: dict[str, Any] = {"color": BLUE, "linestyle": "-", "linewidth": 2}
UNTRAINED: dict[str, Any] = {"color": GREY, "linestyle": (0, (4, 2)), "linewidth": 2}

CARD_WIDTH = 9.6  # inches

LEFT, COLUMN = 0.015, 0.168
"""Start of the six columns of a card, and the width of each, as shares of the width of the card."""


def card_figure(card: Card) -> Figure:
    """One card: its name, its numbers, and the curves behind them."""
    figure = Figure((CARD_WIDTH, 6.2))
    _title(figure, card)
    for column, (name, value, beside) in enumerate(big_numbers(card)):
        x = LEFT + column * COLUMN
        _say(figure, x, 0.8, name, fontsize=10.5, color=GREY)
        if value:
            _say(figure, x, 0.728, value, fontsize=21, fontweight="bold")
            _say(figure, x, 0.69, beside, fontsize=9.5, color=GREY)
        else:
            _say(figure, x, 0.74, "not measured", fontsize=12, color=GREY)
    for name, (column, inset, bottom, height) in PLACES.items():
        left, width = LEFT + column * COLUMN, 2 * COLUMN - inset - 0.045
        axes = figure.add_axes((left + inset, bottom, width, height))
        _say(figure, left, bottom + height + 0.05, PANELS[name][0], fontsize=11, fontweight="bold")
        _panel(axes, card, name, -inset / width)
    return figure


def panel_figure(card: Card, name: str) -> Figure | None:
    """One panel of a card, for a page; None if the card has nothing to draw there."""
    if not _has(card, name):
        return None
    figure = Figure((3.5, 2.4))
    _panel(figure.add_axes((0.17, 0.11, 0.79, 0.72)), card, name, -0.17 / 0.79)
    return figure


def _has(card: Card, name: str) -> bool:
    summary = card["rows"][name]
    return bool(summary and (name != "cause" or summary["profile"]))


def _panel(axes: Axes, card: Card, name: str, left: float) -> None:
    """Draw a panel, with its key above, from `left` in widths of the panel; or why it is empty."""
    style_axes(axes)
    axes.tick_params(labelsize=9.5)
    if not _has(card, name):
        return _no_curve(axes, card, name)
    PANELS[name][1](axes, card["rows"][name], card)
    key: dict[str, Any] = {"ncols": 2, "fontsize": 9.5, "labelcolor": GREY, "frameon": False}
    key |= {"handlelength": 1.7, "handletextpad": 0.4, "columnspacing": 1, "borderpad": 0}
    axes.legend(loc="lower left", bbox_to_anchor=(left, 1), **key)
    return None


def _title(figure: Figure, card: Card) -> None:
    """The name and the kind of the cell, its arguments, the protocol and the seeds."""
    arguments = ", ".join(f"{key} {value}" for key, value in card["cell"]["args"].items())
    parts = [arguments, f"protocol {protocol_words(card)}", counted(len(card["seeds"]), "seed")]
    words = " \u00b7 ".join(filter(None, parts))
    kind = kind_of(card).replace("reference", "reference, not recurrent")
    _say(figure, LEFT, 0.925, shortened(card["name"], 42), fontsize=20, fontweight="bold")
    _say(figure, 0.98, 0.935, kind, fontsize=11, color=GREY, ha="right")
    _say(figure, LEFT, 0.875, shortened(words, 105), fontsize=11, color=GREY)


def _say(figure: Figure, x: float, y: float, words: str, **style: Any) -> None:
    figure.text(x, y, literal(words), **{"fontsize": 10, "color": INK, **style})


def literal(words: str) -> str:
    """Words in which a dollar sign does not begin a formula."""
    return words.replace("$", r"\$")


def shortened(words: str, width: int) -> str:
    """Words that end in an ellipsis if they are longer than `width` characters."""
    return words if len(words) <= width else words[: width - 1].rstrip() + "\u2026"


def _no_curve(axes: Axes, card: Card, name: str) -> None:
    """The reason why a panel is empty."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    why = card["not_measured"].get(name, "")
    words = "not measured" + (f":\n{wrapped(why, 26)}" if why else "")
    if name == "cause" and (card["rows"]["cause"] or {}).get("verdict") == "no limit found":
        words = "no limit found:\nevery seed reached\nevery lag"
    axes.text(0.42, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=GREY)


def _learning(axes: Axes, learning: Any, card: Card) -> None:
    """Median updates by lag with their intervals; hollow marks on top, at "never", for the rest."""
    budget = card["protocol"]["budget"]
    never = 1.7 * budget
    axes.set(xscale="log", yscale="log")
    for task, (colour, marker, dashes) in TASKS.items():
        side = 0.97 if task == "stream" else 1.03
        for line in learning[task]:
            if line["low"] is not None:
                ends = [line["low"], never if line["high"] is None else line["high"]]
                axes.plot([side * line["lag"]] * 2, ends, color=colour, linewidth=5, alpha=0.3)
        style: dict[str, Any] = {"color": colour, "marker": marker, "linewidth": 1.8}
        reached = [line for line in learning[task] if line["median"] is not None]
        at, updates = [side * line["lag"] for line in reached], [line["median"] for line in reached]
        axes.plot(at, updates, linestyle=dashes, label=task, markersize=5, **style)
        for line in learning[task]:
            median = never if line["median"] is None else line["median"]
            words = "never" if line["median"] is None else f"{median:,.0f} updates"
            tell(axes, [side * line["lag"]], [median], [f"{task}, lag {line['lag']}: {words}"])
        at = [side * line["lag"] for line in learning[task] if line["median"] is None]
        style |= {"linestyle": "", "markerfacecolor": "white", "markersize": 5}
        axes.plot(at, [never] * len(at), **style)
    axes.axhline(budget, color=GREY, linestyle=":", linewidth=1.2)
    lines = [*learning["stream"], *learning["hold"]]
    known = [line[name] for line in lines for name in ("median", "low") if line[name]]
    axes.set_ylim(0.5 * min([budget / 10, *known]), 2.4 * budget)
    ticks = [y for y in round_numbers(axes.get_ylim()) if y < 0.6 * budget]
    axes.set_yticks([*ticks, budget, never], [*map(three_digits, [*ticks, budget]), "never"])
    lags = [line["lag"] for line in lines]
    lag_ticks(axes, lags, (1, 2, 5) if max(lags) < 100 else (1, 3))
    axes.set_xlim(0.8 * min(lags), 1.25 * max(lags))


def round_numbers(ends: tuple[float, float], steps: tuple[int, ...] = (1, 2, 5)) -> list[float]:
    """These multiples of powers of ten between two ends."""
    powers = range(int(np.floor(np.log10(ends[0]))), int(np.ceil(np.log10(ends[1]))))
    return [s * 10.0**p for p in powers for s in steps if ends[0] <= s * 10.0**p <= ends[1]]


def lag_ticks(axes: Axes, lags: Sequence[float], steps: tuple[int, ...] = (1, 2, 5)) -> None:
    """Ticks at round lags, and at 0 if it is among the lags."""
    ticks = [0] * (min(lags) < 1) + round_numbers(
        (max(min(lags), 1), max([2, *lags]) * 1.01), steps
    )
    axes.set_xticks(ticks, [three_digits(tick) for tick in ticks])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())


def _bits(axes: Axes, capacity: Any, card: Card) -> None:
    lags, bits = capacity["by_lag"]["lags"], capacity["by_lag"]["median"]
    label = f"state of {counted(capacity['state_numbers'], 'number')}"
    axes.fill_between(lags, 0, bits, color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(lags, bits, color=BLUE, linewidth=2, label=label)
    told = zip(lags, bits, strict=True)
    tell(axes, lags, bits, [f"lag {lag}: {three_digits(each)} bits" for lag, each in told])
    unit_axis(axes, lags, log2(card["protocol"]["vocab_size"]), bits)


def _linear(axes: Axes, linear: Any, _: Card) -> None:
    """The r squared of a linear readout by lag, of the trained and the untrained state."""
    by_lag = linear["by_lag"]
    for name, style in {"trained": TRAINED, "untrained": UNTRAINED}.items():
        total = linear[name]["median"]
        label = name if total is None else f"{name}: {three_digits(total)}"
        axes.plot(by_lag["lags"], by_lag[name], label=label, **style)
        told = zip(by_lag["lags"], by_lag[name], strict=True)
        words = [f"{name}, lag {lag}: r\u00b2 {three_digits(each)}" for lag, each in told]
        tell(axes, by_lag["lags"], by_lag[name], words)
    unit_axis(axes, by_lag["lags"], 1.0, [*by_lag["trained"], *by_lag["untrained"]])


def unit_axis(axes: Axes, lags: Sequence[float], whole: float, values: Sequence[float]) -> None:
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
    every = np.concatenate([*profiles.values()])
    positive = every[every > 0]
    lowest = 10.0 ** np.floor(np.log10(positive.min())) if len(positive) else 0.1
    for (name, values), style in zip(profiles.items(), (UNTRAINED, TRAINED), strict=True):
        drawn = np.where(values > 0, values, np.nan)
        axes.plot(drawn, label=f"{name} training", **style)
        told = [f"{name} training, {k} back: {each:.2g}" for k, each in enumerate(values)]
        tell(axes, range(len(values)), values.tolist(), told)
        zeros = np.flatnonzero(values == 0)
        axes.plot(zeros, [0] * len(zeros), "o", color=style["color"], markerfacecolor="white")
    highest = max([1, *positive])
    axes.set_yscale("symlog", linthresh=lowest)
    axes.set_ylim(-0.3 * lowest, highest * (20 * highest / lowest) ** 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_minor_locator(NullLocator())
    decades = round(-np.log10(lowest))
    powers = range(0, decades + 1, max(1, round(decades / 5)))
    zero = bool((every == 0).any())  # a tick of its own, below all others
    raised = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"
    exponents = ("".join(raised[int(digit)] for digit in str(power)) for power in powers)
    names = [f"10\u207b{each}" if each != raised[0] else "1" for each in exponents]
    axes.set_yticks([0] * zero + [10.0**-power for power in powers], ["0"] * zero + names)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    words = f"lag {three_digits(cause['lag'])}:\n{cause['verdict']}"
    corner: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "top"}
    axes.text(1, 0.98, words, color=INK, fontsize=10, linespacing=1.4, **corner)


PANELS: Mapping[str, tuple[str, Callable[[Axes, Any, Card], None]]] = {
    "learning": ("Updates until 99%, by lag", _learning),
    "capacity": ("Recalled bits, by lag", _bits),
    "linear": ("Linear memory, r\u00b2, by lag", _linear),
    "cause": ("Gradient, by steps back", _gradient),
}
"""The title of each panel of a card, and what draws it."""

PLACES: Mapping[str, tuple[int, float, float, float]] = {
    "learning": (0, 0.06, 0.1, 0.46),
    "capacity": (2, 0.035, 0.405, 0.155),
    "linear": (2, 0.035, 0.1, 0.155),
    "cause": (4, 0.048, 0.1, 0.46),
}
"""Where panels stand on a card: their column, and as shares of the card the room for numbers to the
left, the bottom and the height."""
