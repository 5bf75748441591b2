"""Write echo_jax/memory_cards/built_in_climbs.json from the cards in docs/cards.

Usage: python .ci/built_in_climbs.py, after cards were added. A test compares the two.
"""

import json
from pathlib import Path

from echo_jax.memory_cards import card_file, placing

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write the file, a line for each cell."""
    paths = sorted((ROOT / "docs" / "cards").glob("*.json"))
    cards = [card_file.read(path) for path in paths]
    lines = []
    for track, cells in placing.table_of(cards).items():
        of_track = (f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in cells.items())
        lines.append(f"{json.dumps(track)}: {{\n" + ",\n".join(of_track) + "\n}")
    path = ROOT / "echo_jax" / "memory_cards" / "built_in_climbs.json"
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
