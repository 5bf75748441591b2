"""The raw rows of the capacity networks: `bits` of each V, and `linear` of the first.

A network has a head for each of M lags. M is doubled until the last quarter of them adds little.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from echo_jax.memory_benchmark.measures import linear_capacity
from echo_jax.memory_benchmark.measures.capacity import CapacityTraining
from echo_jax.memory_benchmark.parallel_runs import RawRow
from echo_jax.memory_benchmark.seed_climb import SeedClimb
from echo_jax.memory_benchmark.training import Run
from echo_jax.report.number_formats import plain


def rows(climbs: Sequence[SeedClimb]) -> Iterator[RawRow]:
    """The raw rows of the networks around the cell of some climbs, at the rates found there."""
    protocol = climbs[0].training.protocol
    asked = [
        climb
        for climb in climbs
        if climb.training.task == "lag"
        and climb.training.ladder.vocab_size in protocol.capacity_vocabs
    ]
    for climb in asked:
        yield from _of_vocab(climb, with_linear=climb is asked[0])


def _of_vocab(climb: SeedClimb, with_linear: bool) -> Iterator[RawRow]:
    """The rows of one V: networks of more and more lags."""
    protocol, lags = climb.training.protocol, climb.training.protocol.capacity_lags
    while True:
        training = CapacityTraining(climb.training, lags)
        runs = [
            Run(seed, lags, each.rate or protocol.rates[0]) for seed, each in climb.climbs().items()
        ]
        climb.parallel.tell(f"capacity: V {climb.training.ladder.vocab_size}, {lags} lags")
        params = climb.parallel.train(training, runs, protocol.capacity_updates).params
        climb.parallel.interrupts.check()
        found = climb.parallel.measure(training.recalled_bits, runs, params)
        for i, run in enumerate(runs):
            yield _row(training, run, {name: bits[i] for name, bits in found.items()})
        if with_linear and lags == protocol.capacity_lags:
            yield from linear_capacity.rows(training, climb.parallel, runs, params)
        tails = np.sum(np.nan_to_num(found["exact"][:, -lags // 4 :]), axis=1)
        if np.median(tails) < protocol.capacity_tail or lags >= protocol.capacity_most:
            return
        lags = min(2 * lags, protocol.capacity_most)


def _row(training: CapacityTraining, run: Run, bits: dict[str, Any]) -> RawRow:
    """The raw row `bits` of one network."""
    row: RawRow = {"kind": "bits", "ladder": training.ladder.name, "seed": run.seed}
    row |= {"rate": run.rate, "lags": training.lags}
    row |= {name: plain(each, ".6f") for name, each in bits.items()}
    return row | {"state_numbers": training.state_size}
