"""The page on which cards are explored: one HTML file without a library, a request or a server.

It is made of the files of the folder `explore`; the curves of all seeds are JSON in the page.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from echo_jax.memory import card as cards
from echo_jax.memory.answers_to_bits import accuracy_of_list
from echo_jax.memory.card import Card
from echo_jax.memory.pages.table import is_control, labels_of, nominal_bytes
from echo_jax.memory.pages.told_apart import place, track
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.rows import KeyRow, LagRow, Row
from echo_jax.report.html_page import assembled
from echo_jax.report.number_formats import number, plain

PAGE = "explore.html"


def page(whole: Sequence[tuple[Card, list[Row]]]) -> str:
    """The page of some cards and their rows."""
    return assembled(Path(__file__).with_name("explore") / PAGE, data_of(whole))


def data_of(whole: Sequence[tuple[Card, list[Row]]]) -> dict[str, Any]:
    """The data of the page: cards by track and size, their curves and bits by seed."""
    kinds: dict[tuple[str, int], list[tuple[Card, list[Row]]]] = {}
    for card, rows in whole:
        kinds.setdefault((track(card), nominal_bytes(card.state_bytes)), []).append((card, rows))
    found = list[dict[str, Any]]()
    for (of_track, most), alike in merged(kinds):
        names = labels_of([card for card, _ in alike])
        least = min(card.state_bytes for card, _ in alike)
        first = f"{number(least)} to" if least < 0.9 * most else "about"
        kind = f"{of_track}, {first} {number(most)} bytes"
        for (card, rows), name in zip(alike, names, strict=True):
            found.append({"kind": kind, "cell": name} | card_data(card, rows))
    protocol = whole[0][0].numbers
    return {
        "title": "The memory of recurrent cells, to explore",
        "updates": protocol.updates,
        "pairs": list(protocol.pairs),
        "list": plain([accuracy_of_list(k, protocol.values) for k in protocol.pairs], ".3f"),
        "cards": found,
    }


def merged(kinds: Mapping[tuple[str, int], list[Any]]) -> list[tuple[tuple[str, int], list[Any]]]:
    """Kinds of cards, those with most first; controls alone in their size join the most there."""
    most = sorted(kinds, key=lambda kind: (-len(kinds[kind]), place(kind[0]), kind[1]))
    found: dict[tuple[str, int], list[Any]] = {}
    for kind in most:
        alone = all(is_control(card) for card, _ in kinds[kind])
        same = [x for x in found if x[0] == kind[0]]
        found.setdefault(same[0] if alone and same else kind, []).extend(kinds[kind])
    return [*found.items()]


def card_data(card: Card, rows: Sequence[Row]) -> dict[str, Any]:
    """A card: its size, and for each question and number of updates the bits of its seeds."""
    found: dict[str, dict[str, Any]] = {"by lag": {}, "by key": {}}
    for (question, updates), of in cards.whole_seeds(rows, card).items():
        found[question][str(updates)] = measured(of, card.numbers)
    return {
        "page": f"{card.name}/card.md",
        "anchor": is_control(card),
        "bytes": card.state_bytes,
        "parameters": card.parameters,
        "lag": found["by lag"] or None,
        "key": found["by key"] or None,
    }


def measured(rows: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    """The bits and the curve of each seed, from the rows of a question and number of updates."""
    bits = cards.bits_of(rows, protocol)
    chosen = cards.best_of_seeds(rows, protocol)
    digits = ".2f" if isinstance(bits, cards.BitsByLag) else ".3f"  # as far as a pixel shows
    return {
        "bits": plain(bits.by_seed, ".4f"),
        "curves": plain([curve(row, protocol) for row in chosen], digits),
        "bound": bits.at_least,
    }


def curve(row: Row, protocol: Protocol) -> np.ndarray:
    """The bits of each lag, or the share of right answers at each K."""
    if isinstance(row, LagRow):
        return cards.lag_bits(row.final, protocol)
    assert isinstance(row, KeyRow)  # no card of a task is on the page
    return cards.accuracy(row.final, row)
