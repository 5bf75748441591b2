"""Write what follows from the cards of docs/cards: what comes with the package, and their pages.

The package gets the small cards and the readings; beside each card its page and figure are made.

Usage: python .ci/built_in_cards.py, after a card was made or removed, or pages are drawn otherwise.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from echo_jax.memory.all_questions import Row
from echo_jax.memory.card_contents import Card
from echo_jax.memory.comparison.built_in_cards import FILE, read_folder
from echo_jax.memory.face_answers import Readings
from echo_jax.memory.pages import card_pages
from echo_jax.memory.pages.face_picture import BUILT_IN, READINGS
from echo_jax.storage import atomic_files

ROOT = Path(__file__).parents[1]
LSTM = "lstm-state-bytes-400"


def encoded(whole: Sequence[tuple[Card, list[Row]]]) -> bytes:
    """The content of the file, from cards of the package's cells; a line for each."""
    lines = [msgspec.json.encode(card) for card, _ in whole if card.cell.source is None]
    return b"[\n" + b",\n".join(lines) + b"\n]\n"


def of_lstm(readings: bytes) -> bytes:
    """The readings of the LSTM, in the block and without, from those of all cards."""
    cells = msgspec.json.decode(readings, type=Readings).cells
    of_lstm = [x for x in cells if x.card.removeprefix("block-") == LSTM]
    still = [msgspec.structs.replace(x, fading=msgspec.UNSET) for x in of_lstm]
    return msgspec.json.encode(still) + b"\n"


if __name__ == "__main__":
    published, memory = ROOT / "docs" / "cards", ROOT / "echo_jax" / "memory"
    whole = read_folder(published)
    atomic_files.write_bytes(memory / "comparison" / FILE, encoded(whole))
    readings = of_lstm((published / READINGS).read_bytes())
    atomic_files.write_bytes(memory / "pages" / BUILT_IN, readings)
    for card, rows in whole:
        for name in ("card.md", "card.svg"):  # made anew, whoever wrote them
            (published / card.name / name).unlink(missing_ok=True)
        card_pages.draw(published / card.name, card, rows)
