"""The networks that learned a lag, on streams far longer than those of training."""

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
from echo_jax.memory_benchmark.lag_training import LagTraining, Run
from echo_jax.memory_benchmark.parallel_runs import RawRow
from echo_jax.memory_benchmark.tasks import Sequences
from echo_jax.memory_benchmark.train_ladder import TrainLadder
from echo_jax.report.number_formats import plain


def accuracies(training: LagTraining, length: int, run: Run, params: Params) -> chex.Array:
    """Accuracy over the last L steps of streams of k L steps, k = 1 .. max(beyond), float32."""
    longest = max(training.protocol.beyond)
    key = jax.random.fold_in(training.data_key(run, Purpose.EVALUATION), 2**31 - 2)
    shape = (training.protocol.evaluation["stream"], longest * length)
    asked = training.draw(key, shape, run.lag)
    parts = jax.tree.map(lambda x: jnp.stack(jnp.split(x, longest, axis=1)), asked)

    def part(carry: Carry, asked: Sequences) -> tuple[Carry, chex.Array]:
        """The accuracy on one part of the stream, and the carry after it."""
        carry, outputs = network.unroll(training.network, params, carry, asked.tokens, None)
        logits = jnp.swapaxes(network.read_out(training.network, params, outputs), 0, 1)
        return carry, mean_where(correct(logits, asked.targets), asked.scored)

    first = training.network.initial_state(params, shape[0])
    return jax.lax.scan(part, first, parts)[1]


def rows(ladder: TrainLadder) -> Iterator[RawRow]:
    """The raw rows `beyond`: the seeds that learned the last lag that at least half did."""
    lag, _ = ladder.halves()
    if lag is None:
        return
    training, times = ladder.training, list(ladder.training.protocol.beyond)
    ladder.parallel.tell(f"beyond: streams up to {max(times)} times as long")
    length = training.length(lag)
    found = ladder.measure(lambda run, params: accuracies(training, length, run, params), lag)
    for seed, by_factor in zip(ladder.parallel.seeds, found, strict=True):
        if seed in ladder.successes(lag):
            row = {"kind": "beyond", "seed": seed, "lag": lag, "length": length, "times": times}
            yield row | {"accuracy": plain(by_factor[np.array(times) - 1], ".6f")}
    ladder.parallel.interrupts.check()
