"""The figure of one memory card: its name, its numbers, and the curves of what was measured."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf, log2
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from echo_jax.memory_benchmark.spans import Climb, mean_span
from echo_jax.memory_cards import card_text
from echo_jax.memory_cards.card_text import ASKED, Card, climbs_in, counted, ladder_name, ladders_of
from echo_jax.memory_cards.schema import Row
from echo_jax.report.number_formats import three_digits
from echo_jax.report.styles import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RULE,
    annotate,
    style_axes,
    wrapped,
)

FIRST: dict[str, Any] = {"color": BLUE, "linestyle": "-", "linewidth": 2}
SECOND: dict[str, Any] = {"color": ORANGE, "linestyle": (0, (5, 2)), "linewidth": 2}
UNTRAINED: dict[str, Any] = {"color": GREY, "linestyle": (0, (4, 2)), "linewidth": 2}

CARD_WIDTH, MARGIN, PANEL_HEIGHT = 9.6, 0.15, 2.4  # inches

References = Mapping[str, Mapping[str, Sequence[Climb]]]
"""The climbs of other cells, by ladder and by the name of the cell."""


class Panel(NamedTuple):
    """A panel of a card: its name in ids, its title, and what draws it."""

    name: str
    title: str
    draw: Callable[[Axes], None]


def card_figure(card: Card, references: References | None = None) -> Figure:
    """One card: its name, its numbers, and a panel for each ladder and each other curve.

    The curves of `references` stand in grey behind those of the card.
    """
    panels, numbers = panels_of(card, references), card_text.big_numbers(card)
    across, top = 2 if len(panels) in (1, 2, 4) else 3, 2.05 if numbers else 0.85
    figure = Figure((CARD_WIDTH, top + PANEL_HEIGHT * -(-len(panels) // across)))
    _title(figure, card)
    room = (CARD_WIDTH - 2 * MARGIN) / max(len(numbers), 5)
    for column, (name, value, beside) in enumerate(numbers):
        x = MARGIN + column * room
        _say(figure, x, 1.32, wrapped(name, 15), color=GREY, va="bottom")
        _say(figure, x, 1.67, value, fontsize=19 if len(value) < 8 else 15, fontweight="bold")
        _say(figure, x, 1.74, wrapped(beside, 16), fontsize=9.5, color=GREY, va="top")
    room = (CARD_WIDTH - 2 * MARGIN) / across
    for number, panel in enumerate(panels):
        x, y = MARGIN + number % across * room, top + number // across * PANEL_HEIGHT
        _say(figure, x, y + 0.27, panel.title, fontsize=11, fontweight="bold")
        _draw(figure, panel, (x, y + 0.55), (room - 0.2, PANEL_HEIGHT - 0.6))
    return figure


def panels_of(card: Card, references: References | None = None) -> list[Panel]:
    """The panels of what was measured: a ladder each, bits, linear memory, gradient, copies."""
    rows, known = card["rows"], references or {}
    panels = []
    for ladder, span in ladders_of(card):
        if card_text.none_reached(span):
            continue
        draw = partial(_ladder, ladder=ladder, span=span, others=known.get(ladder["name"], {}))
        panels.append(Panel(ladder["name"], card_text.capital(ladder_name(ladder)), draw))
    if networks := (rows["bits"] or {}).get("networks"):
        draw = partial(_bits, networks=networks, card=card)
        panels.append(Panel("bits", "Recalled bits, by lag", draw))
    if linear := rows["linear"]:
        panels.append(
            Panel("linear", "Linear memory, r\u00b2, by lag", partial(_linear, linear=linear))
        )
    if (cause := rows["cause"]) and cause["profile"]:
        panels.append(Panel("cause", "Gradient, by steps back", partial(_gradient, cause=cause)))
    if copy := rows["copy"]:
        panels.append(Panel("copy", "Nats per recalled symbol, by T", partial(_copy, copy=copy)))
    return panels


def _draw(
    figure: Figure, panel: Panel, corner: tuple[float, float], size: tuple[float, float]
) -> None:
    """Draw a panel and its ticks in a rectangle, its key above; inches from the upper left."""
    (across, whole), (left, below) = figure.get_size_inches(), (0.55, 0.4)
    x, y, width, height = corner[0] + left, corner[1] + size[1], size[0] - left, size[1] - below
    box = x / across, 1 - (y - below) / whole, width / across, height / whole
    axes = figure.add_axes(box)
    style_axes(axes)
    axes.tick_params(labelsize=9.5)
    panel.draw(axes)
    key: dict[str, Any] = {"ncols": 2, "fontsize": 9.5, "labelcolor": GREY, "frameon": False}
    key |= {"handlelength": 1.7, "handletextpad": 0.4, "columnspacing": 1, "borderpad": 0}
    axes.legend(loc="lower left", bbox_to_anchor=(-left / width, 1), **key)


def _title(figure: Figure, card: Card) -> None:
    """The name and the kind of the cell, its arguments, the protocol and the seeds."""
    arguments = ", ".join(f"{key} {value}" for key, value in card["cell"]["args"].items())
    protocol = f"protocol {card_text.protocol_words(card)}"
    words = " \u00b7 ".join(
        filter(None, [arguments, protocol, counted(len(card["seeds"]), "seed")])
    )
    kind = card_text.kind_of(card).replace("reference", "reference, not recurrent")
    _say(figure, MARGIN, 0.46, shortened(card["name"], 42), fontsize=20, fontweight="bold")
    _say(figure, CARD_WIDTH - MARGIN, 0.4, kind, fontsize=11, color=GREY, ha="right")
    _say(figure, MARGIN, 0.76, shortened(words, 105), fontsize=11, color=GREY)


def _say(figure: Figure, x: float, y: float, words: str, **style: Any) -> None:
    """Write words at a place, in inches from the upper left corner."""
    place = x / figure.get_figwidth(), 1 - y / figure.get_figheight()
    figure.text(*place, literal(words), **{"fontsize": 10, "color": INK, **style})


def literal(words: str) -> str:
    """Words in which a dollar sign does not begin a formula."""
    return words.replace("$", r"\$")


def shortened(words: str, width: int) -> str:
    """Words that end in an ellipsis if they are longer than `width` characters."""
    return words if len(words) <= width else words[: width - 1].rstrip() + "\u2026"


def falling(climbs: Sequence[Climb], first: int) -> tuple[list[float], list[float]]:
    """Corners x, y of the share of seeds that climbed so far up a ladder whose first rung is given.

    A seed counts as far as in `spans.mean_span`, so the curve falls halfway, in logarithms, from
    the last rung passed to the one missed. It ends with the first censored seed.

        4 seeds passed 8, of which 2 missed 12 and 2 missed 16 after 12:  1 to 9.8, 1/2 to 13.9, 0
    """
    end = known_until(climbs)
    falls = [mean_span([each], first).mean for each in climbs if each.missed is not None]
    drops = sorted(x for x in falls if x <= end)
    x = [first / 2, *np.repeat(drops, 2).tolist()]
    y = (1 - np.repeat(np.arange(len(drops) + 1), 2) / len(climbs)).tolist()
    return [*x, x[-1] if end == inf else max(x[-1], end)], y


def known_until(climbs: Sequence[Climb]) -> float:
    """The last rung of the first censored seed: of longer ones the share of seeds is not known."""
    return min((each.passed for each in climbs if each.missed is None), default=inf)


def _ladder(
    axes: Axes, ladder: Mapping[str, Any], span: Row, others: Mapping[str, Sequence[Climb]]
) -> None:
    """The falling curve of the seeds, the mean span, and the curves of others in grey."""
    first, climbs, unit = ladder["rungs"][0], climbs_in(span), ASKED[ladder["task"]][1]
    rung_axis(axes, ladder, [span])
    whole = counted(len(climbs), "seed")
    for theirs in others.values():
        axes.plot(*falling(theirs, first), color=GREY, linewidth=0.8, alpha=0.6)
    if others:
        axes.plot([], [], color=GREY, linewidth=0.8, label="built-in cells")
        _name_neighbours(axes, span, {x: mean_span(others[x], first).mean for x in others})
    axes.plot(*falling(climbs, first), **FIRST)
    mean_mark(axes, span, 0.5, {"color": INK, "label": "mean and interval"})
    axes.set_ylim(-0.04, 1.08)
    axes.set_yticks([0, 0.5, 1], ["0", f"{len(climbs) / 2:g}", whole])
    axes.set_xlabel(unit, fontsize=9.5, color=GREY, labelpad=1)


def _name_neighbours(axes: Axes, span: Row, others: Mapping[str, float]) -> None:
    """Name the cells whose mean spans are next on each side."""
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    below = [name for name in others if others[name] < span["mean"]]
    above = [name for name in others if others[name] > span["mean"]]
    for name in sorted(below, key=others.__getitem__)[-1:]:
        annotate(axes, name, (others[name], 0.25), (-3, 0), ha="right", va="center", bbox=paper)
    for name in sorted(above, key=others.__getitem__)[:1]:
        annotate(axes, name, (others[name], 0.75), (3, 0), va="center", bbox=paper)


def rung_axis(axes: Axes, ladder: Mapping[str, Any], spans: Sequence[Row]) -> list[int]:
    """A logarithmic axis of all rungs of a ladder that are in it or were tried; returns them."""
    rungs = sorted({*ladder["rungs"], *(line["rung"] for of in spans for line in of["rungs"])})
    axes.set(xscale="log", xlim=(0.6 * rungs[0], 1.5 * rungs[-1]))
    room = 0.3 * axes.figure.dpi / axes.bbox.width  # of a tick, as a share of the axis
    ticks, gap = [rungs[0]], room * np.log(2.5 * rungs[-1] / rungs[0])
    for rung in rungs[1:-1]:
        if min(np.log(rung / ticks[-1]), np.log(rungs[-1] / rung)) > gap:
            ticks.append(rung)
    ticks += rungs[1:][-1:]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    return rungs


def mean_mark(axes: Axes, span: Row, y: float, style: Mapping[str, Any]) -> None:
    """A mean span and its interval, with an arrow where it is a lower bound."""
    end, colour = axes.get_xlim()[1] if span["high"] is None else span["high"], style["color"]
    axes.plot([span["low"], end], [y, y], color=colour, linewidth=4, alpha=0.35)
    axes.plot([span["mean"]], [y], "o", markersize=6, zorder=4, linestyle="", **style)
    if span["at_least"]:
        axes.plot([end], [y], ">", markersize=6, clip_on=False, color=colour)


def _bits(axes: Axes, networks: Row, card: Card) -> None:
    """Recalled bits by lag, for each V from the network with the most lags."""
    most, styles = 0.0, iter((FIRST, SECOND))
    for ladder, _ in ladders_of(card):
        found = [of for name, of in networks.items() if name.startswith(f"{ladder['name']}, ")]
        for of in sorted(found, key=lambda each: len(each["by_lag"]))[-1:]:
            bits, name = np.maximum(of["by_lag"], 0).tolist(), f"V {ladder['vocab_size']}"
            label = f"{name}: {three_digits(of['exact']['median'])}"
            axes.plot(range(1, len(bits) + 1), bits, label=label, **next(styles))
            most = max(most, log2(ladder["vocab_size"]))
    _unit_axis(axes, most)


def _linear(axes: Axes, linear: Row) -> None:
    """The r squared of a linear readout by lag, of the trained and the untrained state."""
    by_lag = linear["by_lag"]
    for name, style in {"trained": FIRST, "untrained": UNTRAINED}.items():
        label = f"{name}: {three_digits(linear[name]['median'])}"
        axes.plot(by_lag["lags"], by_lag[name], label=label, **style)
    _unit_axis(axes, 1.0)


def _unit_axis(axes: Axes, whole: float) -> None:
    """A vertical axis from 0 to the largest possible value, over lags."""
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set_ylim(-0.05 * whole, 1.08 * whole)
    axes.set_yticks([0, whole / 2, whole], ["0", three_digits(whole / 2), three_digits(whole)])
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _gradient(axes: Axes, cause: Row) -> None:
    """The gradient by steps back, before and after training, with the verdict in the corner.

    A hollow mark at the bottom is a gradient of exactly 0.
    """
    profiles = {name: np.asarray(cause["profile"][name], float) for name in ("before", "after")}
    every = np.concatenate([*profiles.values()])
    positive = every[every > 0]
    lowest = max(10.0 ** np.floor(np.log10(min([0.1, *positive]))), 1e-9)
    for (name, values), style in zip(profiles.items(), (UNTRAINED, FIRST), strict=True):
        axes.plot(np.where(values > 0, values, np.nan), label=f"{name} training", **style)
        zeros = np.flatnonzero(values == 0)
        axes.plot(zeros, [0] * len(zeros), "o", color=style["color"], markerfacecolor="white")
    highest = max([1, *positive])
    axes.set_yscale("symlog", linthresh=lowest)
    axes.set_ylim(-0.3 * lowest, highest * (20 * highest / lowest) ** 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    decades = round(-np.log10(lowest))
    ticks = {1.0: "1"} | {10.0**-n: f"1e-{n}" for n in range(decades, 0, -max(1, decades // 3))}
    ticks |= {0.0: "0"} if (every == 0).any() else {}
    axes.set_yticks([*ticks], [*ticks.values()])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    words = wrapped(f"lag {three_digits(cause['lag'])}: {cause['verdict']}", 24)
    axes.text(1, 0.98, words, transform=axes.transAxes, color=INK, ha="right", va="top")


def _copy(axes: Axes, copy: Sequence[Row]) -> None:
    """The loss of a recalled symbol by the number of blanks, beside that without memory."""
    known = [(of["T"], of["recall"]) for of in copy if of["recall"]["median"] is not None]
    at, medians = [n for n, _ in known], [each["median"] for _, each in known]
    axes.set_xscale("log")
    axes.axhline(copy[0]["floor"], color=GREY, linestyle=":", label="without memory")
    for blanks, each in known:
        if each["low"] is not None and each["high"] is not None:
            axes.plot([blanks] * 2, [each["low"], each["high"]], color=BLUE, linewidth=5, alpha=0.3)
    axes.plot(at, medians, marker="o", label="median", **FIRST)
    axes.set_xticks([of["T"] for of in copy], [f"{of['T']:,}" for of in copy])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 1.15 * max([copy[0]["floor"], *medians]))
