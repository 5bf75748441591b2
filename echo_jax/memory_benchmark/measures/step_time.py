"""The cost of a cell: parameters, bytes of state, microseconds per step on this machine."""

import functools
import time
from collections.abc import Callable, Collection
from typing import Any

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.state_size import state_bytes
from echo_jax.config import GENERATOR
from echo_jax.core import network
from echo_jax.core.data import uniform_tokens
from echo_jax.core.network import Params
from echo_jax.core.training import TrainState
from echo_jax.memory_benchmark.training import LadderTraining, Run

RUN = Run(seed=0, rung=1, rate=0.001)

STEPS, REPEATS = 960, 7
"""Steps that are timed together, about, and timed repeats, after one that is not timed."""


def cost_row(training: LadderTraining, input_sizes: Collection[int]) -> dict[str, Any]:
    """The raw row `price` of the network of a ladder; microseconds per step of all repeats.

    The state is the largest that the cell has with inputs of any of the sizes, of all ladders.

    train   an update, divided by the steps of its sequences
    stream  a step of a trained network that is fed one token of each stream at a time
    """
    net, length = training.network, training.length(1)
    start, updates = jax.jit(training.init)(RUN), STEPS // length

    def train(state: TrainState, batches: Any) -> Any:
        return training.update_on(batches, training.loss, RUN, state)

    def answer(params: Params, tokens: chex.Array) -> Any:
        """The answers to a stream, a step at a time."""

        def step(carry: Any, x: Any) -> Any:
            carry, outputs = network.unroll(net, params, carry, x[:, None], None)
            return carry, jnp.argmax(network.read_out(net, params, outputs[0]), axis=-1)

        return jax.lax.scan(step, net.initial_state(params, tokens.shape[1]), tokens)

    parameters = sum(leaf.size for leaf in jax.tree.leaves(start.params))
    held = max(state_bytes(training.cell, size) for size in input_sizes)
    row: dict[str, Any] = {"kind": "price", "parameters": parameters}
    row |= {"state_bytes": held.cell, "convolution_bytes": held.convolution}
    row |= {"train": {}, "stream": {}}
    for batch in (1, 16):
        batches, tokens = jax.jit(functools.partial(_drawn, training, batch))()
        row["train"][str(batch)] = _timed(train, (start, batches), updates * length)
        row["stream"][str(batch)] = _timed(answer, (start.params, tokens), STEPS)
    return row


def _drawn(training: LadderTraining, batch: int) -> tuple[Any, chex.Array]:
    """The batches of all timed updates, and the tokens of some streams side by side."""
    key, length = jax.random.key(0, impl=GENERATOR), training.length(1)
    keys = jax.random.split(key, STEPS // length)
    batches = jax.vmap(lambda key: training.draw(key, batch, length, 1))(keys)
    return batches, uniform_tokens(key, (STEPS, batch), training.ladder.vocab_size)


def _timed(function: Callable[..., Any], arguments: tuple, steps: int) -> list[float]:
    """Microseconds per step of every repeat."""
    program = jax.jit(function).lower(*arguments).compile()
    jax.block_until_ready(program(*arguments))
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        times.append(round(1e6 * (time.perf_counter() - start) / steps, 3))
    return times
