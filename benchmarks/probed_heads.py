"""The bits of heads that are fitted afterwards, beside those of the heads trained with the cell.

python benchmarks/probed_heads.py lru lstm gru    # cells of 400 bytes in the block, minutes each

The runs are those of seed 0 of the published cards; both are scored on the same final streams.
"""

import argparse
import functools
from pathlib import Path

import jax
import numpy as np

import echo_jax
from echo_jax.cells.interface import Cell
from echo_jax.memory import card_contents
from echo_jax.memory.by_lag.lag_measurement import LagMeasurement, draw_streams
from echo_jax.memory.by_lag.lag_rows_and_bits import lag_bits
from echo_jax.memory.card.train_and_score import named_cell
from echo_jax.memory.measurement import RunInputs, Sets, init, train_updates
from echo_jax.memory.protocol import STANDARD, Protocol

CARDS = Path(__file__).parents[1] / "docs" / "cards"


def own_and_probed(
    cell: Cell, protocol: Protocol, rate: float, updates: int, streams: int
) -> tuple[float, float]:
    """The bits by lag of trained heads, and of a probe of so many streams beside 2 x 512.

    The network is that of seed 0 after some updates, of the first so many at a rate by cosine.
    """
    measurement = LagMeasurement(cell, protocol)
    run = RunInputs(np.int32(0), np.float32(rate), np.int32(updates))
    state = jax.jit(functools.partial(init, measurement))(run)
    train = jax.jit(functools.partial(train_updates, measurement))
    for _ in range(updates // protocol.updates_at_once):
        state, _ = train(run, state)
    params = state.params
    keys = jax.random.split(jax.random.key(9), 3)
    sizes = streams, protocol.streams, protocol.streams
    drawn = [draw_streams(protocol, key, rows) for key, rows in zip(keys, sizes, strict=True)]
    nats = jax.jit(measurement.score)(params, Sets(drawn[1], *drawn[1:])).final
    own = lag_bits(nats, protocol).sum()
    tokens = np.concatenate(drawn)
    states = np.zeros((*tokens.shape, measurement.numbers), np.float32)
    asked = jax.jit(measurement.states)
    pieces = np.split(tokens, range(protocol.streams, len(tokens), protocol.streams))
    states[:, list(protocol.asked)] = np.concatenate([asked(params, piece) for piece in pieces])
    at = list(protocol.asked)
    found = echo_jax.probe(states, tokens, protocol.lags, at=at, scored=protocol.streams)
    return float(own), float(found.by_lag["bits"].sum())


def main() -> None:
    """Print a line for each cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="+", help="built-in cells, such as lru")
    for name in parser.parse_args().cells:
        made, _ = card_contents.read(CARDS / f"block-{name}-state-bytes-400")
        (rate,) = {x.rate for x in made.configuration if x.question == "by lag"}
        cell = named_cell(made.cell.name, made.cell.args).cell
        own, probed = own_and_probed(cell, STANDARD, rate, STANDARD.updates, 12 * STANDARD.streams)
        print(f"{name}: heads {own:.1f} bits, probe {probed:.1f}, ratio {probed / own:.3f}")


if __name__ == "__main__":
    main()
