"""docs/cards/readings.json: what seed 0 of each published card by lag answers about fixed streams.

    python .ci/readings.py

A run that is there stays, so the same command goes on where it was stopped. Each is made again on
this machine. On another kind of processor the training of some cells, as of the GRU, takes another
turn, so the file states the bits of the very run; it is refused where it cannot be the published
one.
"""

import sys
from pathlib import Path

import msgspec

from echo_jax import atomic_files
from echo_jax.grid.running import Running
from echo_jax.memory.card import Card, lag_bits, rows_that_count
from echo_jax.memory.make_card import THREADS
from echo_jax.memory.pages.built_in_cards import read_folder
from echo_jax.memory.protocol import STANDARD
from echo_jax.memory.reading import ReadCard, Readings, fixed_streams
from echo_jax.memory.rows import LagRow
from echo_jax.memory.train_and_score import CardRun, compile_run, make_row, named_cell

FOLDER = Path(__file__).parents[1] / "docs" / "cards"
FILE = FOLDER / "readings.json"
BYTES = 400  # of the largest state
APART = 2
"""Bits by lag of this run and the published one, at most; between kinds of processors it is no
further from the seeds of its card than these are from each other."""


def main() -> None:
    """Make the readings that are not there, and write the file after each."""
    Running(None, progress=False).start_jax(1, THREADS)
    cells = msgspec.json.decode(FILE.read_bytes(), type=Readings).cells if FILE.exists() else []
    for card, rows in read_folder(FOLDER, STANDARD):
        usual = rows_that_count(rows, card).get(("by lag", STANDARD.updates), [])
        published = [row for row in usual if row.seed == 0]
        there = card.name in {cell.card for cell in cells}
        ours = card.cell.source is None
        if ours and published and card.state_bytes <= BYTES and not there:
            cells = sorted([*cells, read_again(card, published[0])], key=lambda cell: cell.card)
            whole = Readings(fixed_streams().tolist(), cells)
            atomic_files.write_bytes(FILE, msgspec.json.encode(whole) + b"\n")


def read_again(card: Card, published: LagRow) -> ReadCard:
    """The reading of a run that is made again; SystemExit where it has other bits."""
    named = named_cell(card.cell.name, card.cell.args, None, STANDARD)
    run = CardRun(card.cell, STANDARD, published.configuration, 0, named.cell)
    row = make_row(run, compile_run(run), lambda _: None)
    before, now = (float(lag_bits(x.final, STANDARD).sum()) for x in (published, row))
    print(f"{card.name}: {now:.2f} bits, {before:.2f} published", flush=True)
    possible = [before] if row.device == published.device else card.bits_by_lag.by_seed
    margin = max(APART, max(possible) - min(possible))
    if not min(possible) - margin <= now <= max(possible) + margin:
        sys.exit(f"{card.name} is another run here: use the software that its card names")
    fields = msgspec.structs.asdict(row.reading)
    return ReadCard(card=card.name, bits=round(now, 4), **fields)


if __name__ == "__main__":
    main()
