"""docs/cards/readings.json: what a run of each published card answers about fixed streams.

By lag it is seed 0 of all cards; those of `FADING` are asked while the picture fades, too. By key,
where some seeds associate and some do not, it is the one with the median bits, the lower of two, of
those in the block.

    python .ci/readings.py

A run that is there stays, so the same command goes on where it was stopped. Each is made again on
this machine. On another kind of processor the training of some cells, as of the GRU, takes another
turn, so the file states the bits of the very run; it is refused where it cannot be the published
one.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from msgspec import UNSET

from echo_jax.cells.state_numbers import flat_state
from echo_jax.engine.grid import Execution
from echo_jax.memory.by_key.key_measurement import fixed_pairs
from echo_jax.memory.by_key.key_rows_and_bits import KeyRow
from echo_jax.memory.by_lag.lag_rows_and_bits import LagRow
from echo_jax.memory.card.make_card import THREADS
from echo_jax.memory.card.train_and_score import (
    CardRun,
    compile_run,
    named_cell,
    train,
    weights_digest,
)
from echo_jax.memory.card_contents import Card, bits_of, rows_that_count
from echo_jax.memory.comparison.built_in_cards import read_folder
from echo_jax.memory.face_answers import (
    PAIRS,
    Fading,
    ReadCard,
    Readings,
    encoded,
    fading_stream,
    halves,
)
from echo_jax.memory.measurement import AnswersAtOnce, by_steps
from echo_jax.memory.pages.face_picture import SHOWN
from echo_jax.memory.protocol import STANDARD
from echo_jax.storage import atomic_files

FOLDER = Path(__file__).parents[1] / "docs" / "cards"
FILE = FOLDER / "readings.json"
BYTES = 400  # of the largest state
FADING = {*SHOWN} | {
    f"block-{x}-state-bytes-400" for x in ("PresentInput", "gla", "AttentionCache")
}
"""Cards whose picture fades: those that the page shows first, and those of the lesson by name."""

APART = 2
"""Bits of this run and the published one, at most; between kinds of processors it is no
further from the seeds of its card than these are from each other."""


def main() -> None:
    """Make the readings that are not there, and write the file after each."""
    Execution(None, progress=False).start_jax(1, THREADS)
    there = FILE.exists() and msgspec.json.decode(FILE.read_bytes(), type=Readings)
    whole = there or Readings()
    fixed = fixed_pairs(STANDARD, 0)
    whole.places, whole.values = (x[:, -PAIRS:].tolist() for x in (fixed.tokens, fixed.targets))
    for card, rows in read_folder(FOLDER, STANDARD):
        if card.cell.source or card.state_bytes > BYTES:
            continue
        for (question, updates), usual in rows_that_count(rows, card).items():
            cells = whole.cells if question == "by lag" else whole.by_key
            of_page = question == "by lag" or card.name.startswith("block-")
            is_there = any(cell.card == card.name and is_whole(cell) for cell in cells)
            if updates == STANDARD.updates and of_page and not is_there:
                by_bits = sorted(usual, key=lambda row: bits_of([row], STANDARD).mean)
                drawn = usual[0] if question == "by lag" else by_bits[(len(by_bits) - 1) // 2]
                cells[:] = [cell for cell in cells if cell.card != card.name]
                cells.append(read_again(card, usual, drawn))
                cells.sort(key=lambda cell: cell.card)
                atomic_files.write_bytes(FILE, msgspec.json.encode(whole) + b"\n")


def is_whole(cell: ReadCard) -> bool:
    """True where nothing of a reading is missing, of the cards that fade or of others."""
    return cell.card not in FADING or (cell.fading or cell.surprise) is not UNSET


def read_again(
    card: Card, usual: Sequence[LagRow | KeyRow], published: LagRow | KeyRow
) -> ReadCard:
    """The reading of a run that is made again; SystemExit where it has other bits."""
    named = named_cell(card.cell.name, card.cell.args, None, STANDARD)
    run = CardRun(card.cell, STANDARD, published.configuration, published.seed, named.cell)
    programs = compile_run(run)
    row, params = train(run, programs, lambda _: None)
    before, now = (bits_of([x], STANDARD).mean for x in (published, row))
    print(f"{row.key} of {card.name}: {now:.2f} bits, {before:.2f} published", flush=True)
    possible = [before] if row.device == published.device else bits_of(usual, STANDARD).by_seed
    margin = max(APART, max(possible) - min(possible))
    if not min(possible) - margin <= now <= max(possible) + margin:
        sys.exit(f"{card.name} is another run here: use the software that its card names")
    told = dict[str, Any]()
    if card.name in FADING:
        sets = programs.draw(np.int32(run.seed), weights_digest(params))
        if isinstance(row, LagRow):
            told["fading"] = fading(programs.measurement, params, sets.calibration)
        else:
            told["surprise"] = encoded_surprise(programs.at_once(params, sets).nats[0])
    return ReadCard(
        card=card.name, bits=round(now, 4), **msgspec.structs.asdict(row.reading), **told
    )


def fading(measurement: Any, params: Any, calibration: jax.Array) -> Fading:
    """The answers about `fading_stream` after each step from 64 on."""
    net, asked = measurement.network, measurement.protocol.asked
    first, last = asked[0], asked[-1]
    streams = jnp.concatenate([calibration, fading_stream()[None]])

    def after_each(params: Any) -> AnswersAtOnce:
        """The answers and their nats, `[S, N]`."""
        steps = slice(first, last + 1)
        read = partial(by_steps, net, asked=steps)
        states, _ = read(params, streams, lambda state, _: flat_state(net.cell, state, 1)[0])
        reference = states[:-1, :: asked.step]

        def after(step: jax.Array) -> AnswersAtOnce:
            logits = measurement.logits(params, states[:, step - first], reference)
            return measurement.after(step, logits, streams)

        return jax.tree.map(lambda x: x[:, 0], jax.lax.map(after, jnp.arange(first, last + 1)))

    return packed_fading(*jax.jit(after_each)(params))


def packed_fading(answers: np.ndarray, certainty: np.ndarray, nats: np.ndarray) -> Fading:
    """The fading of values, certainties (0 .. 1) and nats after each step, `[29, 64]`."""
    in_reach = np.triu(np.ones(answers.shape, bool))  # lag n of the picture's after s < n steps
    values, areas, told = (np.asarray(x)[in_reach] for x in (answers, certainty, nats))
    return Fading(halves(values.astype(np.uint8)), encoded(255 * areas), encoded_surprise(told))


def encoded_surprise(nats: np.ndarray) -> str:
    """Nats as bytes, in 16ths of a bit."""
    return encoded(16 / np.log(2) * np.asarray(nats))


if __name__ == "__main__":
    main()
