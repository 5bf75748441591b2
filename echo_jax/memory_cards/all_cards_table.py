"""All memory cards, sorted into tables whose rows can be compared, and the rows of each table."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from echo_jax.config import BLOCK
from echo_jax.memory_benchmark.published_cards import ORDER
from echo_jax.memory_benchmark.spans import are_disjoint
from echo_jax.memory_cards import card_file
from echo_jax.memory_cards.card_text import (
    ASKED,
    AT_LEAST,
    NOT_MEASURED,
    Card,
    bounds,
    kind_of,
    ladder_name,
    ladders_of,
    names_of,
    nats,
    none_passed,
    none_reached,
    span_words,
    was_too_long,
)
from echo_jax.memory_cards.compare_two import mean_span_of
from echo_jax.memory_cards.schema import Row
from echo_jax.report.number_formats import number, three_digits
from echo_jax.report.page import Entry, Table

STATE_BYTES = 440
"""Most bytes of state of a recurrent cell in a table of equal state: 400 and a tenth."""

ONE, MORE, KEYS, LARGER = CAPTIONS = (
    "Equal state: at most 440 bytes in one layer",
    "Equal state: at most 440 bytes in several layers together",
    "The key task alone, with larger states",
    "States of more than 440 bytes",
)
"""The tables of a track, the main one first."""

PUBLISHED = {
    "block": {
        ONE: "blocks of one layer with 400 bytes",
        MORE: "blocks of several layers with 400 bytes in all",
        KEYS: "the key task with 4,000 bytes",
    },
    "cell": {ONE: "bare cells of 400 bytes"},
}
"""The tables of the published page, and a short name of each, by track.

Each has a row for every built-in cell.
"""

SIZES = {"state, bytes": "state_bytes", "convolutions, bytes": "convolution_bytes",
         "parameters": "parameters"}  # fmt: skip
"""The headings of sizes, and their names in a card."""

MEANINGS = {
    "cell": "A reference is not recurrent and sees a window of the past; of a control the memory "
    "is known. Neither is ranked.",
    **{
        words: f"The geometric mean span over the seeds, in {unit}, and its 95% interval."
        for words, unit in ASKED.values()
    },
    "bits held": "The most bits that were shown to be held between two steps: the median over the "
    "seeds of a lower bound, with its interval.",
    "state, bytes": "What the cells of all layers carry from step to step, for one stream.",
    "convolutions, bytes": "What the convolutions of a block carry beside it.",
    "parameters": "Trained numbers, those of the block and the readout included.",
    "updates": "Updates of all seeds, rungs and learning rates together.",
}
"""The meaning of the columns; the headings of ladders go on with their V."""

MISSING, NOT_RUN, COST, BLANK = (
    Entry(words, None) for words in (NOT_MEASURED, "not run yet", "not run: cost", "")
)

Tables = Mapping[str, list[Card]]
"""The cards of tables by their captions."""


class Sorted(NamedTuple):
    """Cards by where they stand on the page; within a list those that remember most come first.

    tracks      by track, block first, its tables
    copies      of copy memory, the smallest loss first
    others      lists of cards of other protocols
    protocol_1  of protocol 1, which are left out
    """

    tracks: dict[str, Tables]
    copies: list[Card]
    others: list[list[Card]]
    protocol_1: list[Card]

    @property
    def shown(self) -> list[Card]:
        """All cards on the page."""
        of_tracks = [each for tables in self.tracks.values() for each in tables.values()]
        return [card for cards in [*of_tracks, self.copies, *self.others] for card in cards]

    def main(self, track: str) -> list[Card]:
        """The cards of the main table of a track; none if there is no such table."""
        return next(iter(self.tracks.get(track, {}).values()), [])


def sort_out(cards: Sequence[Card]) -> Sorted:
    """Sort cards by protocol, and those of a track by layers and bytes of state.

    The protocol of a track is `full`, or the one of most cards where there is none of `full`;
    beside it stand those of `keys`.
    """
    old = [card for card in cards if card_file.is_protocol_1(card)]
    new = sorted((card for card in cards if not card_file.is_protocol_1(card)), key=_by_span)
    found = Sorted({}, [card for card in new if card["protocol"]["name"] == "copy"], [], old)
    found.copies.sort(key=_hardest_recall)
    count = Counter(card["protocol_hash"] for card in new)
    for track in ("block", "cell"):
        groups: dict[tuple[Any, ...], list[Card]] = {}
        for card in new:
            name, hash_ = card["protocol"]["name"], card["protocol_hash"]
            rank = {"full": 0, "keys": 2}.get(name, 1), -count[hash_], hash_
            if card["protocol"]["track"] == track and name != "copy":
                groups.setdefault(rank, []).append(card)
        order = sorted(groups)
        together = order[:1] + [rank for rank in order[1:] if rank[0] == 2][:1]
        found.others.extend(groups[rank] for rank in order if rank not in together)
        known = [card for rank in together for card in groups[rank]]
        tables = {each: [card for card in known if _caption(card) == each] for each in CAPTIONS}
        if known:
            found.tracks[track] = {each: tables[each] for each in CAPTIONS if tables[each]}
    return found


def _by_span(card: Card) -> list[float]:
    """The mean spans of all ladders, negated."""
    found = card["rows"]["ladders"] or {}
    known = (found.get(ladder["name"]) for ladder in card["protocol"]["ladders"])
    return [-_key(span) if span else 0.0 for span in known]


def _key(span: Row) -> float:
    """The sort key of a mean span: a lower bound stands just above its number."""
    return span["mean"] * (1 + 1e-6 * span["at_least"])


def _hardest_recall(card: Card) -> float:
    """The loss of a recalled symbol at the longest T; infinite without one."""
    loss = card["rows"]["copy"][-1]["recall"]["median"] if card["rows"]["copy"] else None
    return math.inf if loss is None else loss


def _caption(card: Card) -> str:
    """The table of a card in its track."""
    if card["protocol"]["name"] == "keys":
        return KEYS
    state = (card["rows"]["price"] or {}).get("state_bytes", 0)
    if state > STATE_BYTES and kind_of(card) == "recurrent":
        return LARGER
    return MORE if card["cell"]["args"].get("layers", 1) != 1 else ONE


def labels_of(cards: Sequence[Card]) -> list[str]:
    """A different name for each card of a table: its cell, with arguments where cells are equal."""
    forms = [[card["cell"]["cell"].rpartition(":")[2] for card in cards]]
    given = [" ".join(f"{k} {v}" for k, v in card["cell"]["args"].items()) for card in cards]
    forms += [[f"{a} {b}".strip() for a, b in zip(forms[0], given, strict=True)], names_of(cards)]
    return [
        next((form[i] for form in forms if form.count(form[i]) == 1), forms[-1][i])
        for i in range(len(cards))
    ]


class Place(NamedTuple):
    """A card on one ladder: its label, its summary there, and the card."""

    label: str
    span: Row
    card: Card

    @property
    def cell(self) -> str:
        """The name of the cell, without that of the block."""
        return self.card["cell"]["cell"].removeprefix(BLOCK)


def ladders_on(cards: Sequence[Card]) -> list[Mapping[str, Any]]:
    """The ladders of the protocol of the first card that at least one card was measured on."""
    measured = {name for card in cards for name in card["rows"]["ladders"] or {}}
    ladders = cards[0]["protocol"]["ladders"] if cards else []
    return [ladder for ladder in ladders if ladder["name"] in measured]


def places(cards: Sequence[Card], ladder: str) -> list[Place]:
    """The recurrent cells among the cards that reached a rung of a ladder, the furthest first."""
    found = [
        Place(label, card["rows"]["ladders"][ladder], card)
        for label, card in zip(labels_of(cards), cards, strict=True)
        if kind_of(card) == "recurrent"
        and ladder in (card["rows"]["ladders"] or {})
        and not none_reached(card["rows"]["ladders"][ladder])
    ]
    return sorted(found, key=lambda each: -_key(each.span))


def differ(first: Place, second: Place) -> bool:
    """True if the intervals of two cells are disjoint."""
    return are_disjoint(mean_span_of(first.span), mean_span_of(second.span))


def leaders(found: Sequence[Place]) -> list[Place]:
    """The first of some places, and those that are not told apart from it; none if none passed."""
    if not found or none_passed(found[0].span):
        return []
    return [found[0], *(each for each in found[1:] if not differ(found[0], each))]


def cards_table(cards: Sequence[Card], caption: str, not_run: Sequence[str] = ()) -> Table:
    """A table with a row for each card, and one for each cell that was not run.

    Columns of which nothing is known are left out, and convolutions that no cell has.
    """
    rows = [_row(card, label) for card, label in zip(cards, labels_of(cards), strict=True)]
    asked = cards[0]["protocol"]["ladders"] if cards else []
    first = ["cell", *map(ladder_name, asked), "bits held", *SIZES, "updates"]
    headings = [
        heading
        for heading in dict.fromkeys([*first, *(heading for row in rows for heading in row)])
        if any(str(row.get(heading, MISSING)) not in (NOT_MEASURED, "0") for row in rows)
    ]
    entries: list[list[str | Entry]] = [
        [row.get(heading, MISSING) for heading in headings] for row in rows
    ]
    blank = [NOT_RUN, *[BLANK] * len(headings)][: len(headings) - 1]
    entries += [[cell, *blank] for cell in not_run]
    return Table(caption, headings, entries)


def _row(card: Card, label: str) -> dict[str, str | Entry]:
    """The entries of a card by their headings."""
    kind, summary = kind_of(card), card["rows"]
    row: dict[str, str | Entry] = {"cell": _beside(label, kind * (kind != "recurrent"))}
    for ladder, span in ladders_of(card):
        mean, interval = span_words(span, AT_LEAST)
        row[ladder_name(ladder)] = Entry(_beside(mean, interval), span["mean"])
    for of in card["protocol"]["ladders"]:
        climbed = (summary["ladders"] or {}).get(of["name"])
        if was_too_long(card, of["name"]) and (climbed is None or none_reached(climbed)):
            row[ladder_name(of)] = COST
    if held := (summary["bits"] or {}).get("held"):
        bits = f"{AT_LEAST}{three_digits(held['median'])}"
        row["bits held"] = Entry(_beside(bits, bounds(held, three_digits)), held["median"])
    if cost := summary["price"]:
        row |= {heading: _count(cost[name]) for heading, name in SIZES.items()}
    if ladders := summary["ladders"]:
        row["updates"] = _count(sum(span["updates"] for span in ladders.values()))
    for of in summary["copy"] or []:
        recall = of["recall"]
        words = _beside(nats(recall["median"]), bounds(recall, nats, "infinite"))
        row[f"recall, T {of['T']:,}"] = Entry(words, recall["median"])
    return row


def _count(value: int) -> Entry:
    return Entry(number(value), value)


def _beside(text: str, more: str) -> str:
    """A text with an interval or a remark in brackets."""
    return f"{text} ({more})" if more else text


def not_run(cards: Sequence[Card]) -> list[str]:
    """The cells of the published table that have no card among these."""
    known = {card["cell"]["cell"].removeprefix(BLOCK) for card in cards}
    return [cell for cell in ORDER if cell not in known]
