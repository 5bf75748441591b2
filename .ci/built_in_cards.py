"""Write the small cards that come with the package, from those of docs/cards.

Usage: python .ci/built_in_cards.py, after a card there was made or removed.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from echo_jax import atomic_files
from echo_jax.memory.card import Card
from echo_jax.memory.pages.built_in_cards import FILE, read_folder
from echo_jax.memory.rows import Row

ROOT = Path(__file__).parents[1]


def encoded(whole: Sequence[tuple[Card, list[Row]]]) -> bytes:
    """The content of the file, from cards of the package's cells; a line for each."""
    lines = [msgspec.json.encode(card) for card, _ in whole if card.cell.source is None]
    return b"[\n" + b",\n".join(lines) + b"\n]\n"


if __name__ == "__main__":
    place = ROOT / "echo_jax" / "memory" / "pages" / FILE
    atomic_files.write_bytes(place, encoded(read_folder(ROOT / "docs" / "cards")))
