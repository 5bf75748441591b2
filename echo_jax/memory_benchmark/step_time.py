"""The cost of a cell: parameters, bytes of state, microseconds per step on this machine."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from echo_jax.core import network
from echo_jax.core.data import uniform_tokens
from echo_jax.core.network import Params
from echo_jax.memory_benchmark.lag_training import LagTraining, Run

RUN, BATCHES = Run(seed=0, lag=1, rate=0.001), (1, 16)

STEPS, REPEATS = 960, 7
"""Steps that are timed together, about, and timed repeats, after one that is not timed."""


def cost_row(training: LagTraining) -> dict[str, Any]:
    """The raw row `price` of the stream network of a cell; microseconds per step of all repeats.

    train   an update, divided by the steps of its sequences
    stream  a step of a trained network that is fed one token of each stream at a time
    """
    params, carry = training.init(RUN).params, training.network.zero_carry(1)
    return {
        "kind": "price",
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "state_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(carry)),
        "train": {str(batch): _training_times(training, batch) for batch in BATCHES},
        "stream": {str(batch): _inference_times(training, params, batch) for batch in BATCHES},
    }


def _training_times(training: LagTraining, batch: int) -> list[float]:
    length = training.protocol.shortest_stream
    updates = STEPS // length
    keys = jax.random.split(jax.random.key(0), updates)
    batches = jax.vmap(lambda key: training.draw(key, (batch, length), 1))(keys)
    return _timed(
        lambda state, batches: training.update_on(batches, training.loss, RUN, state),
        (training.init(RUN), batches),
        updates * length,
    )


def _inference_times(training: LagTraining, params: Params, batch: int) -> list[float]:
    net = training.network
    tokens = uniform_tokens(jax.random.key(0), (STEPS, batch), training.protocol.vocab_size)

    def whole(params: Params, tokens: Any) -> Any:
        def step(carry: Any, x: Any) -> Any:
            carry, outputs = network.unroll(net, params, carry, x[:, None], None)
            return carry, jnp.argmax(network.read_out(net, params, outputs[0]), axis=-1)

        return jax.lax.scan(step, net.zero_carry(batch), tokens)

    return _timed(whole, (params, tokens), STEPS)


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
