"""Name the cells of cards for readers. Imports no jax."""

import re
from collections.abc import Sequence
from pathlib import PurePath

from echo_jax.cell_names import name_shown
from echo_jax.config import is_built_in
from echo_jax.memory.card_contents import Card
from echo_jax.memory.comparison.comparability import track


def cell_of(card: Card) -> str:
    """Return the name of the cell of `card` as after --cell, without block, module and file."""
    return PurePath(card.cell.name.rpartition(":")[2]).stem


def name_of(card: Card) -> str:
    """Return the name of the cell of `card` for readers: its title, if the cell is of echo_jax."""
    is_ours = is_built_in(card.cell.name) or is_control(card)
    return name_shown(cell_of(card)) if is_ours else cell_of(card)


def label_of(card: Card) -> str:
    """Return the name that `card` was given, or its cell's name if the card has a default name.

    A user gives a card a name by `--name`, or by renaming its folder.
    """
    block = "block-" if track(card).startswith("block") else ""
    args = [f"-{name}-{x}" for name, x in card.cell.args.items()]
    parts = [re.escape(re.sub(r"[^\w.-]+", "-", x)) for x in (f"{block}{cell_of(card)}", *args)]
    more = "|".join([*parts[1:], r"-state-bytes-\d+", re.escape(f"-{card.numbers.digest}")])
    more += f"|-{card.task.name}" if card.task else ""
    by_default = re.fullmatch(f"{parts[0]}({more})*", card.name)
    return name_of(card) if by_default else card.name


def is_control(card: Card) -> bool:
    """Return True if the cell of `card` is a control: its memory is known, or it is untrained."""
    return "known_memory:" in card.cell.name


def labels_of(cards: Sequence[Card]) -> list[str]:
    """Return a label for each of `cards`, see `label_of`.

    Where labels are equal, they also state the arguments of the cell. Where this leaves labels
    equal, they are the names of the cards.
    """
    given = [" ".join(f"{key} {x}" for key, x in card.cell.args.items()) for card in cards]
    labels = [label_of(card) for card in cards]
    whole = [f"{a} {b}".strip() for a, b in zip(labels, given, strict=True)]
    forms = labels, whole, [card.name for card in cards]
    return [
        next((form[i] for form in forms if form.count(form[i]) == 1), card.name)
        for i, card in enumerate(cards)
    ]
