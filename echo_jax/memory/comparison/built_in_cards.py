"""Read the cards of the built-in cells, which come with the package, and the cards in a folder.

`built_in_cards.json` has every committed card; `.ci/built_in_cards.py` writes it. Imports no jax.
"""

import functools
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import msgspec

from echo_jax.config import BLOCK_PREFIX
from echo_jax.exceptions import ConfigError
from echo_jax.memory import card_contents as cards
from echo_jax.memory.all_questions import Row
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG
from echo_jax.memory.card_contents import Card, protocol_of
from echo_jax.memory.comparison.card_names import cell_of, name_of
from echo_jax.memory.comparison.comparability import comparable, kind, size_of, size_text
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.question import Question

FILE = "built_in_cards.json"

ANCHORS = "ProjectedRegister", "OrthogonalReservoir", "PresentInput"
"""The cells that the bits by lag of a card are compared with."""

VARIANTS = {"numbers", "dtype"}  # options of a register that is not the one of `ANCHORS`


@functools.cache
def built_in_cards() -> Sequence[Card]:
    """Return the cards that come with the package, sorted by name."""
    text = resources.files("echo_jax.memory.comparison").joinpath(FILE).read_bytes()
    return msgspec.json.decode(text, type=list[Card])


def nearest(card: Card, question: Question) -> dict[str, Card]:
    """Return a card of each other built-in cell, nearest in size to `card`, by the cells' names.

    Only cards with bits by `question` are returned, and with the track, protocol and task of
    `card`.
    """
    plain = [x for x in built_in_cards() if not VARIANTS & x.cell.args.keys() and x.bits(question)]
    same = [x for x in plain if kind(x) == kind(card) and x.cell != card.cell]
    away = {id(x): abs(size_of(x) - size_of(card)) for x in same}
    best_last = sorted(same, key=lambda x: (-away[id(x)], -len(x.cell.args), len(x.seeds)))
    return {cell_of(x): x for x in best_last}


def anchors(card: Card) -> dict[str, Card]:
    """Return the cards of `ANCHORS` that are nearest in size to `card`, by their cells' names.

    The name of a card that is not comparable with `card` states its size too.
    """
    found = nearest(card, BY_LAG)
    known = [found[cell] for cell in ANCHORS if cell in found]
    return {
        name_of(x) if comparable([x, card]) else f"{name_of(x)}, {size_text(x)}": x for x in known
    }


def read_folder(folder: Path, protocol: Protocol | None = None) -> list[tuple[Card, list[Row]]]:
    """Return the cards in the folders of `folder`, each with its rows.

    Cards without rows are left out. If a `protocol` is given, only its cards are returned. Raises
    ConfigError if no card is left.
    """
    whole = [cards.read(path.parent) for path in sorted(folder.glob("*/card.json"))]
    measured = [x for x in whole if x[1] and protocol in (None, x[0].numbers)]
    if not measured:
        kind = " of this {protocol}" if protocol else ""
        rule = f"has no card{kind} with rows, a folder NAME with card.json and rows.jsonl"
        raise ConfigError(None, folder, rule, "make a card with echo-jax card")
    return measured


def names_of(card: Card) -> set[str]:
    """Return the names by which a reader knows `card`: its own, and those of its cell.

    The cell has a name in tables, with and without its arguments, and a name as after --cell. In a
    block, the names of the cell may begin with block: too.
    """
    args = [f"{key} {x}" for key, x in card.cell.args.items()]
    cell = {cell_of(card), name_of(card), " ".join([name_of(card), *args]), card.cell.bare}
    return {card.name, *cell, *(f"{BLOCK_PREFIX}{x}" for x in cell if card.cell.in_block)}


def named_cards(name: str) -> list[Card]:
    """Return the built-in cards with `name` among their `names_of`.

    Raises ConfigError if there is no such card.
    """
    named = [x for x in built_in_cards() if isinstance(name, str) and name in names_of(x)]
    if not named:
        known = ", ".join(sorted({cell_of(card) for card in built_in_cards()}))
        fix = f"use one of {known}, or the name of a cell in tables, such as register"
        raise ConfigError(None, f"card {name!r}", "is not built in", fix)
    return named


def beside(names: Sequence[str], own: Sequence[Card]) -> list[Card]:
    """Return the built-in cards that `names` name, except cards named as in `own`.

    If some cards of a cell can be compared with a card of `own`, only these cards of the cell are
    returned. Raises ConfigError if a name has no card, or if the cards, together with `own`, have
    several protocols.
    """
    found = dict[int, Card]()
    for name in names:
        named = named_cards(name)
        alike = [x for x in named if any(comparable([x, other]) for other in own)]
        found |= {id(x): x for x in alike or named}
    protocol_of([*own, *found.values()])  # or they are refused
    return [card for card in found.values() if card.name not in {x.name for x in own}]
