"""A card in a few lines, and several side by side. No jax."""

from collections.abc import Sequence

from echo_jax.memory.card import Card
from echo_jax.memory.pages.table import cards_table
from echo_jax.report import text_tables


def side_by_side(cards: Sequence[Card]) -> str:
    """A line for each column of the table of cards, and a column for each card."""
    _, *measures = zip(*cards_table(cards).texts, strict=True)
    lines = [("", *(card.name for card in cards)), ("seeds", *map(seeds_there, cards)), *measures]
    return text_tables.table(lines, left=range(len(cards) + 1))


def seeds_there(card: Card) -> str:
    """The seeds that have both measures, of those asked for: 8, or 3 of 8."""
    both = [len(bits.seeds) if bits else 0 for bits in (card.bits_by_lag, card.bits_by_key)]
    asked = len(card.seeds)
    return str(asked) if min(both) == asked else f"{min(both)} of {asked}"
