"""Write the small cards and the readings that come with the package, from those of docs/cards.

Usage: python .ci/built_in_cards.py, after a card there was made or removed.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from echo_jax.memory.all_questions import Row
from echo_jax.memory.card_contents import Card
from echo_jax.memory.comparison.built_in_cards import FILE, read_folder
from echo_jax.memory.face_answers import Readings
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
    cards, readings = memory / "comparison" / FILE, memory / "pages" / BUILT_IN
    atomic_files.write_bytes(cards, encoded(read_folder(published)))
    atomic_files.write_bytes(readings, of_lstm((published / READINGS).read_bytes()))
