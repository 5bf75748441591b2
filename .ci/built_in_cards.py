"""Write the small cards that come with the package, from those of docs/cards.

Usage: python .ci/built_in_cards.py, after a card there was made or removed.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from echo_jax import atomic_files
from echo_jax.memory import card as cards
from echo_jax.memory.card import Card
from echo_jax.memory.pages.built_in_cards import FILE, is_default, read_folder
from echo_jax.memory.pages.questions import BY_LAG
from echo_jax.memory.protocol import PILOT_SEED, STANDARD
from echo_jax.memory.rows import Row

ROOT = Path(__file__).parents[1]


def encoded(whole: Sequence[tuple[Card, list[Row]]]) -> bytes:
    """The content of the file, from cards of the package's cells and rows; a line for each card."""
    whole = [(card, rows) for card, rows in whole if card.cell.source is None]
    small = [small_card(card, rows) for card, rows in whole]
    larger = [card for card, _ in whole if not is_default(card)]
    lines = map(msgspec.json.encode, [*small, *larger])
    return b"[\n" + b",\n".join(lines) + b"\n]\n"


def small_card(card: Card, rows: Sequence[Row]) -> Card:
    """A card with the runs of the default card alone.

    By lag there is one recipe, so a card by lag alone stays as it is.
    """
    if card.bits_by_lag and not card.bits_by_key:
        return card
    kept = {*map(STANDARD.by_key, STANDARD.default), *BY_LAG.configured(card)}
    pilot = [x for x in rows if x.seed >= PILOT_SEED]
    of_default = [x for x in rows if x.configuration in kept and x.seed < STANDARD.default_seeds]
    small = msgspec.structs.replace(
        card,
        seeds=sorted({x.seed for x in of_default}),
        configuration=[of for of in card.configuration if of in kept],
        remarks=[],
    )
    return cards.with_rows(small, [*pilot, *of_default])


if __name__ == "__main__":
    place = ROOT / "echo_jax" / "memory" / "pages" / FILE
    atomic_files.write_bytes(place, encoded(read_folder(ROOT / "docs" / "cards")))
