"""Make the cards of docs/calibration/budget-9000: three times the updates, by lag and V = 2 alone.

Usage: python .ci/longer_budget.py CELL [CELL ...], such as lstm simple; a quarter of an hour each.
A run of 9,000 updates begins with that of 3,000, so each card stands beside the full one.
"""

import dataclasses
import sys
import time
from pathlib import Path

from echo_jax import machine
from echo_jax.commands import card_making
from echo_jax.host import compilation_cache
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark.chosen_cell import choose_sized
from echo_jax.memory_benchmark.protocol import CELL_FULL, CELL_LADDERS
from echo_jax.memory_cards import card_file

OUT = Path(__file__).parents[1] / "docs" / "calibration" / "budget-9000"
CHOSEN = dataclasses.replace(
    CELL_FULL, name="full-9000", budget=9000, ladders=CELL_LADDERS[:1], rows=("ladders",)
)


def main(names: list[str]) -> None:
    """Measure and write the cards that are not there yet."""
    machine.use_cpu_devices(None)
    compilation_cache.use_compilation_cache(True)
    OUT.mkdir(exist_ok=True)
    for name in names:
        cell, _ = choose_sized(name, "", 400, CHOSEN)
        identity = card_making.identity_of(cell.card_name(CHOSEN, 0), cell, CHOSEN, 0)
        if card_making.card_there(OUT, identity):
            continue
        start = time.perf_counter()

        def tell(words: str, start: float = start) -> None:
            print(f"{time.perf_counter() - start:6.0f} s  {words}", flush=True)

        card_file.write(card_making.measured(identity, cell, CHOSEN, Interrupts(), tell), OUT)


if __name__ == "__main__":
    main(sys.argv[1:])
