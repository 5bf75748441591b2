"""The table of cards, and their numbers as tidy rows. No jax.

cards_table   cards that are compared ─► the table that is shown
section       all cards ─► tidy rows
side_by_side  a few cards as text, a column for each
tidy_runs     the runs of a card, a row for each lag or number of pairs
"""

import functools
import itertools
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from echo_jax.config import BLOCK_PREFIX
from echo_jax.memory.card import Card, protocol_of
from echo_jax.memory.card_rows import KeyRow, Row
from echo_jax.memory.pages.questions import BY_KEY, QUESTIONS, UNKNOWN
from echo_jax.memory.pages.told_apart import comparable, letters_of, track
from echo_jax.report import text_tables
from echo_jax.report.number_formats import number, three_digits
from echo_jax.report.section import Section
from echo_jax.report.text_tables import Table

SIZES = {
    "keys": "d_k",
    "values": "d_v",
    "state_bytes": "state, bytes",
    "conv_bytes": "convolutions, bytes",
    "constant_bytes": "constants, bytes",
    "parameters": "parameters",
    "us_per_step": "\u00b5s a step",
}
"""The fields of a card that say how large and fast a cell is, and the headings of their columns."""

BOUND = "\u2265: within 5% of the most that can be measured."
NOT_THERE = "3 of 4: seeds that are there, of those asked for."

MEANINGS = {
    "bits": "the mean over the seeds with Student's interval of 95%, which may reach below 0; "
    "\u2265 within 5% of the most that can be measured; 3 of 4 where seeds are not there yet",
    "letters": "cells that share one are not told apart (exact permutation test of the difference "
    "of means, Benjamini-Hochberg at 5%); within this table and column only",
    "on plateau": "seeds within 0.1 of the accuracy of a list of the values from 4 pairs on",
    "d_k, d_v": "sizes of a key and of a value of a matrix state",
    "convolutions, bytes": "the last inputs of a block's convolutions",
    "constants, bytes": "fixed arrays of the cell, which are not state",
    "\u00b5s a step": "the least of 100 times of a step of one stream, where the card was made; in "
    "the published cards the median of 7, which other work moved by half and more",
}
"""The meaning of the columns of `cards_table`."""


def section(cards: Sequence[Card], tables: Sequence[Table] = ()) -> Section:
    """A tidy row for each card and question, and tables of them."""
    tidy = {"": functools.partial(tidy_rows, cards)}
    return Section("cards", "Tables", tables=tables, tidy=tidy)


def cell_of(card: Card) -> str:
    """The name of the cell, without that of the block, a module or a file."""
    return PurePath(card.cell.name.removeprefix(BLOCK_PREFIX).rpartition(":")[2]).stem


def labels_of(cards: Sequence[Card]) -> list[str]:
    """A name for each card: its cell; where cells are equal with arguments, or that of the card."""
    given = [" ".join(f"{key} {x}" for key, x in card.cell.args.items()) for card in cards]
    cells = [cell_of(card) for card in cards]
    whole = [f"{a} {b}".strip() for a, b in zip(cells, given, strict=True)]
    forms = cells, whole, [card.name for card in cards]
    return [
        next((form[i] for form in forms if form.count(form[i]) == 1), card.name)
        for i, card in enumerate(cards)
    ]


def tidy_rows(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """A row for each card and each question that was measured, named as in card.json.

    n and asked are the seeds that are there and those asked for; unknown is None.
    """
    protocol_of(cards)  # or they are refused
    return [
        {
            "name": card.name,
            "cell": cell_of(card),
            "track": track(card),
            **{field: getattr(card, field) for field in SIZES},
            "question": question.field,
            **{name: getattr(bits, name) for name in ("mean", "low", "high", "at_least")},
            "n": len(bits.seeds),
            "asked": len(card.seeds),
            "on_plateau": card.on_plateau if question is BY_KEY else None,
        }
        for card in cards
        for question in QUESTIONS
        if (bits := question.of(card))
    ]


def tidy_runs(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """A row for each run, data set, and lag or number of pairs; none for a run without a score."""
    tidy = list[dict[str, Any]]()
    for row, data_set in itertools.product(rows, ("validation", "final")):
        score: Any = getattr(row, data_set)
        if score is None:
            continue
        run: dict[str, Any] = {"seed": row.seed, "rate": row.rate, "data_set": data_set}
        run["question"] = row.configuration.question
        if isinstance(row, KeyRow):
            run["schedule"] = row.schedule
            names = ("pairs", "right", "asked")
            numbers = zip(row.pairs, score, row.asked, strict=True)
        else:
            names = ("lag", "nats", "recalibrated")
            numbers = zip(
                range(1, len(score.nats) + 1), score.nats, score.recalibrated, strict=True
            )
        tidy += [run | dict(zip(names, each, strict=True)) for each in numbers]
    return tidy


def cards_table(cards: Sequence[Card]) -> Table:
    """A row for each card of a group; columns of which nothing is known are left out."""
    columns = {"cell": labels_of(cards)}
    for question in QUESTIONS:
        columns[question.words] = [question.text(card) for card in cards]
        columns[f"letters {question.name}"] = letters_of(cards, question)
    columns["on plateau"] = [plateau_text(card) for card in cards]
    for field, heading in SIZES.items():
        sizes = [getattr(card, field) for card in cards]
        columns[heading] = [three_digits(size) if size else UNKNOWN for size in sizes]
    known = {name: of for name, of in columns.items() if any(x not in (UNKNOWN, "") for x in of)}
    caption = " ".join([caption_of(cards), *cut_short(cards)])
    return Table(caption, list(known), list(zip(*known.values(), strict=True)))


def side_by_side(cards: Sequence[Card]) -> str:
    """A line for each column of the table of cards, and a column for each card."""
    _, *measures = zip(*cards_table(cards).texts, strict=True)
    lines = [("", *(card.name for card in cards)), ("seeds", *map(seeds_there, cards)), *measures]
    return text_tables.table(lines, left=range(len(cards) + 1))


def seeds_there(card: Card) -> str:
    """The seeds of the measure that has fewer, of those asked for: 8, or 3 of 8."""
    known = [question.of(card) for question in QUESTIONS if question.configured(card)]
    fewest = min([len(bits.seeds) if bits else 0 for bits in known], default=0)
    asked = len(card.seeds)
    return str(asked) if fewest == asked else f"{fewest} of {asked}"


def cut_short(cards: Sequence[Card]) -> list[str]:
    """Sentences on the measures of cards that reached a limit or lack seeds."""
    known = [(card, bits) for card in cards for q in QUESTIONS if (bits := q.of(card))]
    said = {
        BOUND: any(bits.at_least for _, bits in known),
        NOT_THERE: any(len(bits.seeds) < len(card.seeds) for card, bits in known),
    }
    return [sentence for sentence, applies in said.items() if applies]


def caption_of(cards: Sequence[Card]) -> str:
    """The track of a group, its bytes of state, and a protocol of one's own."""
    protocol = protocol_of(cards)
    size = " to ".join(dict.fromkeys(number(f(x.state_bytes for x in cards)) for f in (min, max)))
    where = "In the block" if track(cards[0]) == "block" else "Bare cells"
    apart = "" if comparable(cards) else ", several sizes or recipes, not to be compared"
    own = f" Protocol {protocol.name}, not the standard." if protocol.own else ""
    return f"{where}, {size} bytes of state{apart}.{own}"


def plateau_text(card: Card) -> str:
    """The seeds by key that are on the plateau, of those that are there."""
    if card.on_plateau is None or card.bits_by_key is None:
        return UNKNOWN
    return f"{card.on_plateau} of {len(card.bits_by_key.seeds)}"
