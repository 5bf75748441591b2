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
from echo_jax.memory.card import Card, lag_bits
from echo_jax.memory.make_card import THREADS
from echo_jax.memory.named_cell import named_cell
from echo_jax.memory.pages.built_in_cards import read_folder
from echo_jax.memory.protocol import STANDARD
from echo_jax.memory.reading import ReadCard, Readings, fixed_streams
from echo_jax.memory.rows import LagRow
from echo_jax.memory.train_and_score import CardRun, compile_run, make_row

FOLDER = Path(__file__).parents[1] / "docs" / "cards"
FILE = FOLDER / "readings.json"
BYTES = 400  # of the largest state
APART = 2
"""Bits by lag of the run made here and of the published one, at most; on another kind of processor
beyond those of the lowest and the highest seed of the card."""


def main() -> None:
    """Make the readings that are not there, and write the file after each."""
    Running(None, progress=False).start_jax(1, THREADS)
    made = {cell.card: cell for cell in there()}
    for card, rows in read_folder(FOLDER, STANDARD):
        published = [x for x in rows if isinstance(x, LagRow) and x.seed == 0]
        published = [x for x in published if x.updates == STANDARD.updates]
        if published and card.state_bytes <= BYTES and card.name not in made:
            made[card.name] = read_again(card, published[0])
            cells = [made[name] for name in sorted(made)]
            readings = Readings(fixed_streams().tolist(), cells)
            atomic_files.write_bytes(FILE, readings.encoded())


def there() -> list[ReadCard]:
    """The readings in the file; none without one."""
    return msgspec.json.decode(FILE.read_bytes(), type=Readings).cells if FILE.exists() else []


def read_again(card: Card, published: LagRow) -> ReadCard:
    """The reading of a run that is made again; SystemExit where it has other bits."""
    named = named_cell(card.cell.name, card.cell.args, None, STANDARD)
    run = CardRun(card.cell, STANDARD, published.configuration, 0, named.cell)
    row = make_row(run, compile_run(run), lambda _: None)
    before, now = (float(lag_bits(x.final, STANDARD).sum()) for x in (published, row))
    print(f"{card.name}: {now:.2f} bits, {before:.2f} published", flush=True)
    whole = card.bits_by_lag
    bounds = [before, before]
    if row.device != published.device and whole and whole.low is not None:
        bounds = [whole.low, whole.high]
    if not bounds[0] - APART <= now <= bounds[1] + APART:
        sys.exit(f"{card.name} is another run here: use the software that its card names")
    fields = msgspec.structs.asdict(row.reading)
    return ReadCard(card=card.name, bits=round(now, 4), **fields)


if __name__ == "__main__":
    main()
