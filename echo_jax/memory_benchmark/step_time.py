"""The cost of a cell: parameters, bytes of state, microseconds per step on this machine."""

import functools
import time
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from echo_jax.config import GENERATOR
from echo_jax.core import network
from echo_jax.core.data import uniform_tokens
from echo_jax.core.network import Params
from echo_jax.core.training import TrainState
from echo_jax.memory_benchmark.lag_training import LagTraining, Run

RUN = Run(seed=0, lag=1, rate=0.001)

STEPS, REPEATS = 960, 7
"""Steps that are timed together, about, and timed repeats, after one that is not timed."""


def cost_row(training: LagTraining) -> dict[str, Any]:
    """The raw row `price` of the stream network of a cell; microseconds per step of all repeats.

    train   an update, divided by the steps of its sequences
    stream  a step of a trained network that is fed one token of each stream at a time
    """
    net, length = training.network, training.protocol.shortest_stream
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
    state = jax.eval_shape(lambda: net.initial_state(start.params, 1))
    state_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    row: dict[str, Any] = {"kind": "price", "parameters": parameters, "state_bytes": state_bytes}
    row |= {"train": {}, "stream": {}}
    for batch in (1, 16):
        batches, tokens = jax.jit(functools.partial(_drawn, training, batch))()
        row["train"][str(batch)] = _timed(train, (start, batches), updates * length)
        row["stream"][str(batch)] = _timed(answer, (start.params, tokens), STEPS)
    return row


def _drawn(training: LagTraining, batch: int) -> tuple[Any, chex.Array]:
    """The batches of all timed updates, and the tokens of some streams side by side."""
    key, length = jax.random.key(0, impl=GENERATOR), training.protocol.shortest_stream
    keys = jax.random.split(key, STEPS // length)
    batches = jax.vmap(lambda key: training.draw(key, (batch, length), 1))(keys)
    return batches, uniform_tokens(key, (STEPS, batch), training.protocol.vocab_size)


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
