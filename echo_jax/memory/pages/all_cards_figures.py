"""The figures of all cards: a panel for each cell, and bits by lag against updates. No jax."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from echo_jax.memory.card import BitsByKey, Card, protocol_of
from echo_jax.memory.pages.built_in_cards import anchors
from echo_jax.memory.pages.card_figure import (
    BACKGROUND,
    DASHES,
    REFERENCE,
    WIDTH,
    key_axis,
    list_line,
    thin,
)
from echo_jax.memory.pages.questions import BY_LAG, Question
from echo_jax.memory.pages.table import is_control, labels_of
from echo_jax.report.charts import NotebookFigure, add_panel, draw_lines
from echo_jax.report.line_names import Line, names_at_right, shortened
from echo_jax.report.number_formats import number, three_digits
from echo_jax.report.styles import BLUE, GREY, INK, RULE, SERIES, style_axes

NARROWEST = 1.6  # inches of a figure for each panel beside others
ROOM = 1.22  # inches: the height of a row of panels
LEFT = 0.66  # the margins
BELOW = 0.42
TITLE = 0.3  # of it what the title of a panel takes

WIDEST = 4.2  # inches of one panel alone, or of two side by side


def panels_figure(cards: Sequence[Card], question: Question) -> NotebookFigure:
    """A panel for each card with a question, those with most bits first; the others in grey."""
    protocol_of(cards)  # or they are refused
    shown = sorted(cards, key=lambda card: -question.mean(card))
    across = min(len(shown), int(WIDTH / NARROWEST))
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
    figure.text(0.5, 0.05 / height, question.x_label, **style)
    sideways: dict[str, Any] = {"rotation": 90, "va": "center", "ha": "left"}
    figure.text(0.04 / width, 0.5, question.y_label, **style | sideways)
    return figure


def _panel(axes: Axes, card: Card, question: Question, cards: Sequence[Card]) -> None:
    bits = question.known(card)
    if isinstance(bits, BitsByKey):
        axes.set(ylim=(0, 1.04), yticks=[0, 1])
        axes.set_yticklabels(["0", "100%"])
        key_axis(axes, bits.pairs)
        lines = [list_line(bits.pairs, card.numbers)]
    else:
        lags = card.numbers.lags
        most = math.log2(card.numbers.symbols)
        axes.set(xlim=(0, lags + 1), xticks=[1, lags // 2, lags])
        axes.set(ylim=(0, most + 0.15), yticks=[0, most])
        lines = [question.line(anchor) for anchor in anchors(card).values()]
    for line, dashes in zip(lines, DASHES, strict=False):
        axes.plot(*line, linestyle=dashes, **REFERENCE | {"linewidth": 0.9})
    others = [thin(question.line(other)) for other in cards if other is not card]
    draw_lines(axes, others, BACKGROUND | {"linewidth": 0.5})
    x, y = question.line(card)
    axes.fill_between(x, y, color=BLUE, alpha=0.16, linewidth=0, zorder=3)
    axes.plot(x, y, color=BLUE, linewidth=1.8, zorder=4)


def budgets_figure(cards: Sequence[Card]) -> NotebookFigure:
    """The mean bits by lag against updates, a line for each card; controls in grey and dashed."""
    height = 5.2
    figure = NotebookFigure((WIDTH, height))
    axes = figure.add_axes((0.62 / WIDTH, 0.55 / height, 1 - 2.8 / WIDTH, 1 - 0.75 / height))
    style_axes(axes)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    protocol_of(cards)  # or they are refused
    labels = labels_of(cards)
    lines = dict(zip(labels, map(budgets_line, cards), strict=True))
    order = sorted(lines, key=lambda name: -lines[name][1][-1])
    controls = {x for x, card in zip(labels, cards, strict=True) if is_control(card)}
    styles = itertools.cycle(SERIES)
    colours = dict[str, str]()
    for name in order:
        colour, marker, dashes = (GREY, "", "--") if name in controls else next(styles)
        look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": dashes}
        axes.plot(*lines[name], markersize=4, linewidth=1.3, **look)
        colours[name] = colour
    every = [x for _, y in lines.values() for x in y]
    ticks = sorted({x for line in lines.values() for x in line[0]})
    axes.set(xscale="log", xlim=(ticks[0] / 1.1, ticks[-1] * 1.05))
    axes.set(yscale="log", ylim=(0.8 * min(every), 1.2 * max(every)))
    axes.set_xticks(ticks, [number(x) for x in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: three_digits(y)))
    axes.yaxis.set_minor_locator(NullLocator())
    ends = {name: (lines[name][0][-1], lines[name][1][-1]) for name in order}
    names_at_right(axes, ends, colours)
    axes.set_xlabel("updates", fontsize=9.5, color=INK)
    axes.set_ylabel("bits by lag", fontsize=9.5, color=INK)
    return figure


def budgets_line(card: Card) -> Line:
    """The mean bits by lag of a card at each of its numbers of updates."""
    points = {updates: bits.mean for updates, bits in BY_LAG.measured(card)}
    return sorted(points), [points[updates] for updates in sorted(points)]
