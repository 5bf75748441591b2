"""The figures of all cards: a small panel for each cell, and bits by key against state. No jax."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from echo_jax.memory.card import BitsByKey, Card, protocol_of
from echo_jax.memory.pages.card_figure import (
    BACKGROUND,
    LIST,
    WIDTH,
    hatch,
    key_axis,
    list_line,
    thin,
)
from echo_jax.memory.pages.questions import BY_KEY, Question
from echo_jax.memory.pages.table import cell_of, labels_of
from echo_jax.memory.pages.told_apart import of_one_kind
from echo_jax.report.charts import NotebookFigure, add_panel, draw_lines
from echo_jax.report.line_names import names_at_right, shortened
from echo_jax.report.number_formats import number, three_digits
from echo_jax.report.styles import BLUE, GREY, INK, ORANGE, RULE, SERIES, annotate, style_axes

ACROSS = 5
ROOM = 1.22  # inches: the height of a row of panels
LEFT = 0.5  # the margins
BELOW = 0.42
TITLE = 0.3  # of it what the title of a panel takes

WIDEST = 4.2  # inches of one panel alone, or of two side by side

LEAST = 0.5  # the fewest bits on a logarithmic axis; fewer stand there


def panels_figure(cards: Sequence[Card], question: Question) -> NotebookFigure:
    """A panel for each card with a question, those with most bits first; the others in grey."""
    protocol_of(cards)  # or they are refused
    shown = sorted(cards, key=lambda card: -question.mean(card))
    across = min(ACROSS, len(shown))
    height = -(-len(shown) // across) * ROOM + BELOW
    room = min((WIDTH - LEFT - 0.1) / across, WIDEST / min(across, 2))
    width = LEFT + 0.1 + across * room
    figure = NotebookFigure((width, height))
    for place, (card, name) in enumerate(zip(shown, labels_of(shown), strict=True)):
        row, column = divmod(place, across)
        x = LEFT + column * room
        size = (room - 0.22, ROOM - TITLE - 0.06)
        axes = add_panel(figure, x, row * ROOM + TITLE, size, labels=8.5)
        axes.tick_params(length=2.5)
        _panel(axes, card, question, shown)
        title: dict[str, Any] = {"transform": axes.transAxes, "va": "bottom", "fontsize": 9}
        axes.text(-0.02, 1.04, shortened(name, 19), color=INK, **title)
        bold: dict[str, Any] = {"color": BLUE, "ha": "right", "fontweight": "bold"}
        axes.text(1.02, 1.04, question.mean_text(card), **bold, **title)
        axes.tick_params(labelleft=column == 0, labelbottom=place + across >= len(shown))
    style: dict[str, Any] = {"fontsize": 9.5, "color": INK, "ha": "center", "va": "bottom"}
    figure.text(0.5, 0.05 / height, question.axis, **style)
    return figure


def _panel(axes: Axes, card: Card, question: Question, cards: Sequence[Card]) -> None:
    """The curve of a card above its area, hatched where it was cut short, and the others'."""
    bits = question.known(card)
    if isinstance(bits, BitsByKey):
        axes.set(ylim=(0, 1.04), yticks=[0, 1])
        axes.set_yticklabels(["0", "100%"])
        key_axis(axes, bits.pairs)
        axes.plot(*list_line(bits.pairs, card.numbers), **LIST)
    else:
        lags = card.numbers.lags
        most = math.log2(card.numbers.symbols)
        axes.set(xlim=(0, lags + 1), xticks=[1, lags // 2, lags])
        axes.set(ylim=(0, most + 0.15), yticks=[0, most])
    others = [thin(question.line(other)) for other in cards if other is not card]
    draw_lines(axes, others, BACKGROUND | {"linewidth": 0.5})
    x, y = question.line(card)
    axes.fill_between(x, y, color=BLUE, alpha=0.16, linewidth=0, zorder=3)
    hatch(axes, card, question)
    axes.plot(x, y, color=BLUE, linewidth=1.8, zorder=4)
    if question is BY_KEY and card.on_plateau:
        words = f"plateau:\n{card.on_plateau} of {len(bits.seeds)}"
        style: dict[str, Any] = {"ha": "right", "va": "top", "fontsize": 8.5, "color": ORANGE}
        axes.text(1, 0.96, words, transform=axes.transAxes, **style)


def state_figure(cards: Sequence[Card]) -> NotebookFigure:
    """Bits by key against the bytes of state, a line for each cell with several sizes."""
    height = 4.9
    figure = NotebookFigure((WIDTH, height))
    axes = figure.add_axes((0.62 / WIDTH, 0.55 / height, 1 - 2.5 / WIDTH, 1 - 0.75 / height))
    style_axes(axes)
    axes.grid(color=RULE, linewidth=0.8)
    cards = sorted(cards, key=lambda card: card.state_bytes)
    lines = _by_cell(cards)
    sizes = [card.state_bytes for card in cards]
    axes.set(xscale="log", xlim=(min(sizes) / 1.6, max(sizes) * 1.25))
    bits = [max(BY_KEY.mean(card), LEAST) for card in cards]
    axes.set(yscale="log", ylim=(0.6 * min(bits), 2.2 * max(*bits, 20)))
    _square_line(axes, min(sizes), max(sizes), math.log2(protocol_of(cards).values))
    styles = iter(SERIES * len(lines))
    colours = {name: _cell_line(axes, of, styles) for name, of in lines.items()}
    named = {x: of for x, of in lines.items() if not of_one_kind([*of, cards[0]])} or lines
    names_at_right(axes, {name: _end(of) for name, of in named.items()}, colours)
    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 4)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: three_digits(y)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("bytes of state", fontsize=9.5, color=INK)
    axes.set_ylabel("bits by key", fontsize=9.5, color=INK)
    return figure


def _by_cell(cards: Sequence[Card]) -> dict[str, list[Card]]:
    """Cards, by size, of each cell; the cells with most bits at their largest size first."""
    found: dict[str, list[Card]] = {}
    for card in cards:
        found.setdefault(cell_of(card), []).append(card)
    order = sorted(found, key=lambda name: (-found[name][-1].state_bytes, -_end(found[name])[1]))
    return {name: found[name] for name in order}


def _end(cards: Sequence[Card]) -> tuple[float, float]:
    return cards[-1].state_bytes, max(BY_KEY.mean(cards[-1]), LEAST)


def _square_line(axes: Axes, smallest: float, largest: float, value_bits: float) -> None:
    """The bits of K = d_k values in a square matrix of float32 with K keys, of so many bytes."""
    sizes = np.array([smallest / 1.6, largest * 1.25])
    bits = value_bits * np.sqrt(sizes / 4)
    axes.plot(sizes, bits, **LIST)
    middle = math.sqrt(sizes[0] * sizes[1])
    at = middle, value_bits * math.sqrt(middle / 4)
    annotate(axes, "K = d_k", at, (-4, 9), ha="right", fontsize=9, color=GREY)


def _cell_line(axes: Axes, cards: Sequence[Card], styles: Any) -> str:
    """The points of a cell, open where cut short, with intervals; a line where it has several."""
    several = len(cards) > 1
    colour, marker, _ = next(styles) if several else (GREY, "o", "-")
    measured = [BY_KEY.known(card) for card in cards]
    x = [card.state_bytes for card in cards]
    y = [max(bits.mean, LEAST) for bits in measured]
    for at, bits in zip(x, measured, strict=True):
        if bits.low is not None and bits.high is not None:
            ends = [max(bits.low, LEAST), max(bits.high, LEAST)]
            axes.plot([at, at], ends, color=colour, linewidth=2.5, alpha=0.3)
    look: dict[str, Any] = {"markersize": 5.5 if several else 4, "linewidth": 1.6}
    axes.plot(x, y, color=colour, marker=marker, zorder=4 if several else 3, **look)
    cut = [BY_KEY.is_cut_short(card) for card in cards]
    look |= {"linewidth": 0, "markerfacecolor": "white", "zorder": 5}
    axes.plot(np.array(x)[cut], np.array(y)[cut], color=colour, marker=marker, **look)
    return colour
