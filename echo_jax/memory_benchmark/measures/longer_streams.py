"""The networks that passed a lag, on streams far longer than those of training."""

from collections.abc import Iterator

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.scan import Carry
from echo_jax.core import network
from echo_jax.core.data import Purpose
from echo_jax.core.loss import correct, mean_where
from echo_jax.core.network import Params
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.parallel_runs import RawRow
from echo_jax.memory_benchmark.seed_climb import SeedClimb
from echo_jax.memory_benchmark.tasks import Sequences
from echo_jax.memory_benchmark.training import LadderTraining, Run
from echo_jax.report.number_formats import plain


def accuracies(training: LadderTraining, length: int, run: Run, params: Params) -> chex.Array:
    """Accuracy over the last L steps of streams of k L steps, k = 1 .. max(beyond), float32.

    By the steps of the cell alone, whatever form over time it has.
    """
    net, longest = training.by_steps, max(training.protocol.beyond)
    key = jax.random.fold_in(training.data_key(run, Purpose.EVALUATION), 2**31 - 2)
    parts, of_part = training.parts(length)
    shape = parts * of_part, longest * length
    asked = training.draw(key, *shape, run.rung)
    parts = jax.tree.map(lambda x: jnp.stack(jnp.split(x, longest, axis=1)), asked)

    def part(carry: Carry, asked: Sequences) -> tuple[Carry, chex.Array]:
        """The accuracy on one part of the stream, and the carry after it."""
        carry, outputs = network.unroll(net, params, carry, asked.tokens, None)
        logits = jnp.swapaxes(network.read_out(net, params, outputs), 0, 1)
        return carry, mean_where(correct(logits, asked.targets), asked.scored)

    first = net.initial_state(params, shape[0])
    return jax.lax.scan(part, first, parts)[1]


def rows(climb: SeedClimb) -> Iterator[RawRow]:
    """The raw rows `beyond`: the seeds that passed the last lag that at least half climbed to."""
    climbs = climb.climbs()
    lag, _ = spans.span_of_half(climbs)
    if lag is None:
        return
    training, times = climb.training, list(climb.training.protocol.beyond)
    climb.parallel.tell(f"beyond: streams up to {max(times)} times as long")
    length = training.length(lag)
    seeds, found = climb.measure(lambda run, params: accuracies(training, length, run, params), lag)
    for seed, by_factor in zip(seeds, found, strict=True):
        if climbs[seed].passed >= lag:
            row = {"kind": "beyond", "seed": seed, "lag": lag, "length": length, "times": times}
            yield row | {"accuracy": plain(by_factor[np.array(times) - 1], ".6f")}
    climb.parallel.interrupts.check()
