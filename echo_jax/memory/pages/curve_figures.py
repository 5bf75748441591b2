"""Draw the figures of cards. Imports no jax.

card_figure     the forgetting curve and the recall curve of a card. Behind them, in grey, are the
                curves of the built-in cells of its size; by key also what the convolution of a
                block alone holds, and a list of the values
panels_figure   several cards by one question, with a panel for each cell
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from echo_jax.config import is_built_in
from echo_jax.memory.all_questions import WITH_CURVES, Row
from echo_jax.memory.by_key.key_rows_and_bits import BY_KEY, accuracy_of_list
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG
from echo_jax.memory.card_contents import Card, protocol_of, rows_that_count
from echo_jax.memory.comparison.built_in_cards import anchors, nearest
from echo_jax.memory.comparison.card_names import label_of, labels_of, name_of
from echo_jax.memory.comparison.comparability import size_of, size_text, track
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.question import Question
from echo_jax.report import charts
from echo_jax.report.number_formats import counted, number
from echo_jax.report.styles import BLUE, GREY, INK, PALE, RULE

WIDTH = 8.4  # inches
HEIGHT = 4.3
BACKGROUND: dict[str, Any] = {"color": PALE, "linewidth": 0.9}
OWN: dict[str, Any] = {"color": BLUE, "linewidth": 2.2, "zorder": 4}
SEED: dict[str, Any] = {"color": BLUE, "linewidth": 0.8, "alpha": 0.4, "zorder": 3}
REFERENCE: dict[str, Any] = {"color": GREY, "linewidth": 1.2}
DASHES = [(0, pattern) for pattern in ((4, 2), (1, 1.5), (6, 2, 1, 2), (2, 3))]
"""The dashes of the lines that a card is compared with, in the order of these lines."""

PEERS = "other cells"
OF_PANEL = "the cell of the panel"
LIST = "a list of the values"
"""The names of lines in legends; a list of the values knows the values, but no keys."""

NAMED = 4  # grey lines that have a name, from the one with most bits to that with fewest

NARROWEST = 1.9  # inches of a figure for each panel beside others: a name and its bits
ROOM = 1.22  # inches: the height of a row of panels
LEFT = 0.66  # the margins
BELOW = 0.55  # without the legend
LEGEND = 0.18  # of a line of it
TITLE = 0.3  # of it what the title of a panel takes

WIDEST = 4.2  # inches of one panel alone, or of two side by side


def card_figure(card: Card, rows: Sequence[Row]) -> charts.NotebookFigure:
    """Return the figure of `card`; the forgetting curve of each seed is drawn from its `rows`."""
    panels = [question for question in WITH_CURVES if card.bits(question)]
    width = WIDTH if len(panels) > 1 else 0.7 * WIDTH
    figure = charts.NotebookFigure((width, HEIGHT))
    _say(figure, 0.15, 0.36, charts.shortened(card.name, 46), fontsize=16, fontweight="bold")
    below = charts.shortened(subtitle(card), int(14 * width))
    _say(figure, 0.15, 0.62, below, fontsize=9.5, color=GREY)
    room = width / max(len(panels), 1)
    for place, question in enumerate(panels):
        x = place * room + 0.68
        axes = charts.add_panel(figure, x, 1.2, (room - 0.78, HEIGHT - 1.2 - 0.9), labels=9)
        DRAWN[question](axes, card, rows)
        words = card.known(question).text(len(card.seeds), question.words)
        _say(figure, x - 0.53, 1.04, words, fontweight="bold")
    return figure


def subtitle(card: Card) -> str:
    """Return the cell of `card`, its track, its sizes and its number of seeds, in words."""
    of_track = track(card)
    where = f"in the {of_track}" if of_track.startswith("block") else of_track
    parts = [f"{name_of(card)}, {where}", f"state of {size_text(card)}"]
    if card.parameters:
        parts.append(f"{number(card.parameters)} parameters")
    if drawn := max(len(bits.seeds) if (bits := card.bits(q)) else 0 for q in WITH_CURVES):
        parts.append(f"{counted(drawn, 'seed')} (thin lines)")
    return " \u00b7 ".join(parts)


def peers(card: Card, question: Question) -> list[Card]:
    """Return the cards of built-in cells that are drawn behind the curve of `card` by `question`.

    The sizes of these cards are within 10% of the size of `card`. If there is no such card, cards
    of all sizes are returned.
    """
    known = [x for x in nearest(card, question).values() if is_built_in(x.cell.name)]
    near = [x for x in known if abs(size_of(x) - size_of(card)) <= 0.1 * size_of(card)]
    return near or known


def draw_by_lag(axes: Axes, card: Card, rows: Sequence[Row]) -> None:
    """Draw the forgetting curve of `card` on `axes`, over a thin curve for each seed in `rows`."""
    protocol = card.numbers
    lags = protocol.lags
    most = math.log2(protocol.symbols)
    usual = rows_that_count(rows, card).get((BY_LAG.name, protocol.updates), [])
    seeds = [(range(1, lags + 1), row.curve(protocol).tolist()) for row in usual]
    axes.set(xlim=(0, lags + 1), ylim=(-0.05, most + 0.3), yticks=range(int(most) + 1))
    axes.set_xticks(sorted({1, *(lags * i // 4 for i in range(1, 5))} - {0}))
    axes.axhline(most, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
    axes.set_xlabel("steps back", fontsize=9.5, color=INK)
    axes.set_ylabel("bits about that token", fontsize=9.5, color=INK)
    _draw(axes, card, BY_LAG, seeds, reference_lines(card, BY_LAG))


def draw_by_key(axes: Axes, card: Card, _: Sequence[Row]) -> None:
    """Draw the recall curve of `card` on `axes`, over a thin curve for each of its seeds."""
    bits = card.bits_by_key
    assert bits is not None
    axes.set(ylim=(-0.02, 1.05), yticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_yticklabels(["0", "25%", "50%", "75%", "100%"])
    key_axis(axes, bits.pairs)
    axes.set_xlabel("pairs of a key and a value", fontsize=9.5, color=INK)
    axes.set_ylabel("values recalled", fontsize=9.5, color=INK)
    references = reference_lines(card, BY_KEY)
    if alone := nearest(card, BY_KEY).get("PresentInput"):
        references[name_of(alone)] = alone.known(BY_KEY).line
    _draw(axes, card, BY_KEY, [(bits.pairs, curve) for curve in bits.curves], references)


DRAWN = {BY_LAG: draw_by_lag, BY_KEY: draw_by_key}


def _draw(
    axes: Axes,
    card: Card,
    question: Question,
    seeds: Sequence[charts.Line],
    references: Mapping[str, charts.Line],
) -> None:
    """Draw the curve of `card` on `axes` over the curves of its `seeds`, peers and `references`.

    The peers have bits by `question`. The curves of the card and of a few peers are named, and a
    legend names the references and the grey lines of the peers.
    """
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    known = sorted(peers(card, question), key=lambda other: -other.mean(question))
    others = {name_of(other): thin(other.known(question).line) for other in known}
    charts.draw_lines(axes, others.values(), BACKGROUND | {"label": PEERS if others else None})
    for (name, line), dashes in zip(references.items(), DASHES, strict=False):
        axes.plot(*line, label=name, linestyle=dashes, **REFERENCE)
    if axes.get_legend_handles_labels()[1]:
        below: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (-0.1, -0.18), "ncols": 2}
        axes.legend(**below, frameon=False, fontsize=charts.SIZE, labelcolor=GREY, columnspacing=1)
    charts.draw_lines(axes, seeds, SEED)
    axes.plot(*card.known(question).line, **OWN)
    own = label_of(card)
    names = list(others)
    places = np.linspace(0, len(names) - 1, min(NAMED, len(names))).round().astype(int)
    shown = [names[i] for i in places if names[i] != own]
    unnamed = [line for name, line in others.items() if name not in shown]
    named = {own: card.known(question).line} | {name: others[name] for name in shown}
    charts.name_lines(axes, named, [*unnamed, *references.values()], own)


def panels_figure(cards: Sequence[Card], question: Question) -> charts.NotebookFigure:
    """Return a figure of `cards` by `question`, with a panel for each card.

    The card with the most bits comes first. In each panel, the curves of the other cards are grey.
    A legend names the lines that all panels share.
    """
    protocol_of(cards)  # or they are refused
    shown = sorted(cards, key=lambda card: -card.mean(question))
    across = min(len(shown), int(WIDTH / NARROWEST))
    room = min((WIDTH - LEFT - 0.1) / across, WIDEST / min(across, 2))
    width = LEFT + 0.1 + across * room
    names = [OF_PANEL, *reference_lines(shown[0], question), PEERS]
    whole = sum(len(name) + 9 for name in names) * charts.LETTER * charts.SIZE / 72
    columns = len(names) if whole < width else 2
    below = BELOW + -(-len(names) // columns) * LEGEND
    height = -(-len(shown) // across) * ROOM + below
    figure = charts.NotebookFigure((width, height))
    for place, (card, name) in enumerate(zip(shown, labels_of(shown), strict=True)):
        row, column = divmod(place, across)
        x = LEFT + column * room
        size = (room - 0.22, ROOM - TITLE - 0.06)
        axes = charts.add_panel(figure, x, row * ROOM + TITLE, size, labels=8.5)
        axes.tick_params(length=2.5)
        _panel(axes, card, question, shown)
        title: dict[str, Any] = {"transform": axes.transAxes, "va": "bottom", "fontsize": 9}
        axes.text(-0.02, 1.04, charts.shortened(name, 19), color=INK, **title)
        bold: dict[str, Any] = {"color": BLUE, "ha": "right", "fontweight": "bold"}
        axes.text(1.02, 1.04, card.known(question).mean_text, **bold, **title)
        axes.tick_params(labelleft=column == 0, labelbottom=place + across >= len(shown))
    style: dict[str, Any] = {"fontsize": 9.5, "color": INK, "ha": "center", "va": "bottom"}
    figure.text(0.5, (below - 0.37) / height, question.x_label, **style)
    sideways: dict[str, Any] = {"rotation": 90, "va": "center", "ha": "left"}
    # In the middle of the panels, unless its upper end would be cut off.
    middle = min((below + height) / 2, height - 0.75)
    figure.text(0.04 / width, middle / height, question.y_label, **style | sideways)
    look: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 0.0), "ncols": columns}
    look |= {"frameon": False, "fontsize": charts.SIZE, "labelcolor": GREY, "columnspacing": 1.4}
    figure.legend(*figure.axes[0].get_legend_handles_labels(), **look)
    return figure


def _panel(axes: Axes, card: Card, question: Question, cards: Sequence[Card]) -> None:
    x, y = card.known(question).line
    axes.fill_between(x, y, color=BLUE, alpha=0.16, linewidth=0, zorder=3)
    axes.plot(x, y, color=BLUE, linewidth=1.8, zorder=4, label=OF_PANEL)
    PANELS[question](axes, card)
    references = reference_lines(card, question)
    for (name, line), dashes in zip(references.items(), DASHES, strict=False):
        axes.plot(*line, label=name, linestyle=dashes, **REFERENCE | {"linewidth": 0.9})
    others = [thin(other.known(question).line) for other in cards if other is not card]
    shared = {"linewidth": 0.5, "label": PEERS if others else None}
    charts.draw_lines(axes, others, BACKGROUND | shared)


def reference_lines(card: Card, question: Question) -> dict[str, charts.Line]:
    """Return the lines that `card` is compared with by `question`, by name.

    By lag these are the anchors; by key it is a list of the values.
    """
    if question is BY_LAG:
        return {name: anchor.known(BY_LAG).line for name, anchor in anchors(card).items()}
    bits = card.bits_by_key
    assert bits is not None
    return {LIST: list_line(bits.pairs, card.numbers)}


def lag_panel(axes: Axes, card: Card) -> None:
    """Set up `axes` as a panel of `card` by lag."""
    lags = card.numbers.lags
    most = math.log2(card.numbers.symbols)
    axes.set(xlim=(0, lags + 1), xticks=[1, lags // 2, lags])
    axes.set(ylim=(0, most + 0.15), yticks=[0, most])


def key_panel(axes: Axes, card: Card) -> None:
    """Set up `axes` as a panel of `card` by key."""
    bits = card.bits_by_key
    assert bits is not None
    axes.set(ylim=(0, 1.04), yticks=[0, 1])
    axes.set_yticklabels(["0", "100%"])
    key_axis(axes, bits.pairs)


PANELS = {BY_LAG: lag_panel, BY_KEY: key_panel}


def thin(line: charts.Line) -> charts.Line:
    """Return `line` with 20 to 30 of its points if it has 40 or more: every third of 64 lags."""
    x, y = line
    every = max(len(x) // 20, 1)
    return x[::every], y[::every]


def list_line(pairs: Sequence[int], protocol: Protocol) -> charts.Line:
    """Return the recall curve of a list of the values: the `pairs`, and the accuracy at each.

    `protocol` states how many different values there are.
    """
    return pairs, [accuracy_of_list(k, protocol.values) for k in pairs]


def key_axis(axes: Axes, pairs: Sequence[int]) -> None:
    """Give `axes` a logarithmic axis of `pairs`, with ticks at powers of 2 and at the last."""
    ticks = [k for k in pairs if k & (k - 1) == 0 and 1.6 * k < pairs[-1]] + [pairs[-1]]
    axes.set_xscale("log")
    axes.set_xlim(0.92 * pairs[0], 1.08 * pairs[-1])
    axes.set_xticks(ticks, [str(k) for k in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _say(figure: Figure, x: float, y: float, words: str, **style: Any) -> None:
    """Write `words` at `x` and `y`, in inches from the upper left corner of `figure`."""
    place = x / figure.get_figwidth(), 1 - y / figure.get_figheight()
    figure.text(*place, words, **{"fontsize": 10, "color": INK, **style})
