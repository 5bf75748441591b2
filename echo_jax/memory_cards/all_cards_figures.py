"""Figures of all memory cards of a track: the curves of the ladders, and recall against size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from echo_jax.memory_cards.all_cards_table import (
    Place,
    Tables,
    labels_of,
    ladders_on,
    leaders,
    places,
)
from echo_jax.memory_cards.card_figure import (
    falling,
    literal,
    mean_mark,
    rung_axis,
    shortened,
)
from echo_jax.memory_cards.card_text import (
    ASKED,
    Card,
    capital,
    climbs_in,
    ladder_name,
)
from echo_jax.memory_cards.summary import total_bytes
from echo_jax.report.number_formats import three_digits
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

SIZES = {
    "bytes": ("bytes of state and convolutions", total_bytes),
    "parameters": ("trained parameters", lambda cost: cost["parameters"]),
}
"""The quantities that recall is drawn against: the label, and its value of the cost of a card."""


def curves_figure(cards: Sequence[Card]) -> Figure | None:
    """A panel for each ladder with a row for each card of one protocol; None without a ladder.

    A row has the falling curve of the share of seeds, and the mean span with its interval at the
    foot of the curve. Blue and filled are the cell that goes furthest, and those not told apart.
    """
    ladders, labels = ladders_on(cards), labels_of(cards)
    if not ladders:
        return None
    across, width = min(len(ladders), 4), WIDTH
    rows, left, above = 0.32 * len(cards) + 0.1, 1.3, 0.8  # inches
    height = above + -(-len(ladders) // across) * (rows + 1) - 0.45
    figure, room = Figure((width, height)), (width - left - 0.05) / across
    for number, ladder in enumerate(ladders):
        x, y = left + number % across * room, above + number // across * (rows + 1)
        box = x / width, 1 - (y + rows) / height, (room - 0.12) / width, rows / height
        axes = figure.add_axes(box)
        _curves(axes, ladder, cards)
        names = [literal(shortened(each, 16)) * (number % across == 0) for each in labels]
        axes.set_yticks(range(len(cards)), names)
    furthest: dict[str, Any] = {"color": BLUE, "label": "goes furthest, or not told apart"}
    for style in (furthest, {"color": GREY, "markerfacecolor": "white", "label": "others"}):
        axes.plot([], [], "o", **style)
    key: dict[str, Any] = {"frameon": False, "handletextpad": 0.3, "columnspacing": 1.2}
    figure.legend(loc="upper left", ncols=2, fontsize=9.5, labelcolor=INK, borderpad=0, **key)
    return figure


def _curves(axes: Axes, ladder: Mapping[str, Any], cards: Sequence[Card]) -> None:
    """The curves of all cards on one ladder, the first card on top."""
    name, asked = ladder["name"], ladder_name(ladder)
    style_axes(axes)
    known = [(card["rows"]["ladders"] or {}).get(name) for card in cards]
    rung_axis(axes, ladder, [span for span in known if span])
    best = {id(each.card) for each in leaders(places(cards, name))}
    for row, (card, span) in enumerate(zip(cards, known, strict=True)):
        axes.axhline(row, color=RULE, linewidth=0.8)
        if span:
            colour, face = (BLUE, BLUE) if id(card) in best else (GREY, "white")
            x, share = falling(climbs_in(span), ladder["rungs"][0])
            y = row - 0.72 * np.array(share)
            axes.fill_between(x, row, y, color=colour, alpha=0.14, linewidth=0)
            axes.plot(x, y, color=colour, linewidth=1.4)
            mean_mark(axes, span, row, {"color": colour, "markerfacecolor": face})
    axes.set_ylim(len(cards) - 0.7, -1)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(wrapped(capital(asked), 15), fontsize=10, color=INK, loc="left")
    axes.set_xlabel(ASKED[ladder["task"]][1], fontsize=9.5, color=GREY, labelpad=1)


def recall_figure(tables: Tables, against: str) -> Figure | None:
    """The mean span by key of the cells of some tables against one of `SIZES`; None without any.

    Of the key ladder with the largest V; a mark for each table.
    """
    cards = [card for of_table in tables.values() for card in of_table]
    of_key = [each for each in ladders_on(cards) if each["task"] == "key"]
    ladder: Any = max(of_key, key=lambda each: each["vocab_size"], default={"name": ""})
    label, size = SIZES[against]
    points: list[tuple[str, float, Place]] = [
        (caption, size(each.card["rows"]["price"]), each)
        for caption, of_table in tables.items()
        for each in places(of_table, ladder["name"])
        if each.card["rows"]["price"]
    ]
    if not points:
        return None
    shown = list(dict.fromkeys(caption for caption, *_ in points))
    width = WIDTH
    figure, top = Figure((width, 5.4)), 0.97 - 0.04 * len(shown)
    axes = figure.add_axes((0.65 / width, 0.1, 1 - 0.75 / width, top - 0.1))
    style_axes(axes)
    at = np.array([[x, each.span["mean"]] for _, x, each in points])
    axes.set(xscale="log", xlim=(0.6 * at[:, 0].min(), 1.9 * at[:, 0].max()))
    axes.set(yscale="log", ylim=(0.5 * ladder["rungs"][0], 1.6 * ladder["rungs"][-1]))
    for caption, style in zip(shown, SERIES, strict=False):
        _points(axes, caption, [each[1:] for each in points if each[0] == caption], style[:2])
    _name_points(axes, at, [shortened(each.label, 27) for *_, each in points])
    axes.grid(color=RULE, linewidth=0.8)
    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: three_digits(x)))
    axes.set_yticks(ladder["rungs"], [f"{rung}" for rung in ladder["rungs"]])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel(label, fontsize=11, color=INK)
    axes.set_ylabel(f"mean span {ladder_name(ladder)}: keys", fontsize=11, color=INK)
    key: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1), "frameon": False}
    axes.legend(fontsize=9.5, labelcolor=INK, handletextpad=0.2, **key)
    return figure


def _points(
    axes: Axes, caption: str, points: Sequence[tuple[float, Place]], style: tuple[str, str]
) -> None:
    """The points of one table with their intervals."""
    colour, marker = style
    for x, (_, span, _) in points:
        end = axes.get_ylim()[1] if span["high"] is None else span["high"]
        axes.plot([x, x], [span["low"], end], color=colour, linewidth=1, alpha=0.5)
    at = [x for x, _ in points], [each.span["mean"] for _, each in points]
    white: dict[str, Any] = {"markersize": 7, "markeredgecolor": "white"}
    axes.plot(*at, marker, color=colour, label=wrapped(caption, 44), **white)


def _name_points(axes: Axes, at: np.ndarray, names: Sequence[str]) -> None:
    """Names beside points, as near as they cover nothing; those without room are left out.

    Points at one place share a name.
    """
    scale = 72 / axes.figure.dpi
    points, panel = axes.transData.transform(at) * scale, np.array(axes.bbox.extents) * scale
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in points]
    shared: dict[tuple[float, ...], list[int]] = {}
    for i, place in enumerate(points):
        near = (each for each in shared if np.abs(place - each).max() < 4)
        shared.setdefault(next(near, tuple(place)), []).append(i)
    moves = [(side, n) for rise in range(0, 90, 6) for n in (rise, -rise) for side in (1, -1)]
    for (x, y), group in sorted(shared.items(), reverse=True):
        words = literal(",\n".join(names[i] for i in group))
        width, height = 5.8 * max(map(len, words.split("\n"))), 11.5 * len(group)
        for side, rise in moves:
            left = x + 8 if side > 0 else x - 8 - width
            box = Bbox.from_bounds(left, y + rise - height / 2, width, height)
            inside = (box.min > panel[:2]).all() and (box.max < panel[2:]).all()
            if inside and not box.count_overlaps(taken):
                taken.append(box)
                line = {"arrowstyle": "-", "color": GREY, "relpos": ((1 - side) / 2, 0.5)}
                style = {"ha": "left" if side > 0 else "right", "va": "center", "fontsize": 9.5}
                arrow = line if abs(rise) > 6 else None
                annotate(
                    axes, words, tuple(at[group[0]]), (8 * side, rise), arrowprops=arrow, **style
                )
                break
