"""What a cell costs: parameters, bytes of state, microseconds a step on this machine."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from echo_jax.core import network
from echo_jax.core.network import Network, Params
from echo_jax.memory_benchmark import lag_training, tasks
from echo_jax.memory_benchmark.lag_training import Setting
from echo_jax.memory_benchmark.protocol import Protocol

BATCHES = (1, 16)
"""Streams side by side."""

REPEATS = 7
"""Times that each is timed, after one that is not."""

STEPS = 960
"""Steps of a timed stream, and about those of the updates timed together."""


def price_row(net: Network, protocol: Protocol) -> dict[str, Any]:
    """The raw row of the price: of the stream network of a cell, see `docs/card.md`.

    `train` is an update, divided by the steps of its sequences; `stream` one step of a network in
    use, fed one token of each stream at a time in a compiled loop. Microseconds, of all repeats.
    """
    params = lag_training.init(net, protocol, _setting()).params
    carry = network.zero_carry(net, 1)
    return {
        "kind": "price",
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "state_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(carry)),
        "train": {str(b): _train(net, protocol, b) for b in BATCHES},
        "stream": {str(b): _stream(net, protocol, params, b) for b in BATCHES},
    }


def _setting() -> Setting:
    return Setting(jnp.int32(0), jnp.int32(1), jnp.float32(0.001), jnp.bool_(True))


def _train(net: Network, protocol: Protocol, batch: int) -> list[float]:
    """Microseconds a step of training."""
    length = protocol.shortest_stream
    shape, updates = (batch, length), STEPS // length
    keys = jax.random.split(jax.random.key(0), updates)
    drawn = [tasks.draw_stream(key, shape, 1, protocol.vocab_size) for key in keys]
    asked = jax.tree.map(lambda *x: jnp.stack(x), *drawn)

    def several(state: Any, asked: Any) -> Any:
        """So many updates."""
        return jax.lax.scan(
            lambda state, x: lag_training.update(net, protocol, jnp.float32(0.001), state, x),
            state,
            asked,
        )

    return _timed(several, (lag_training.init(net, protocol, _setting()), asked), updates * length)


def _stream(net: Network, protocol: Protocol, params: Params, batch: int) -> list[float]:
    """Microseconds a step in use: a token of each stream in, an answer of each out."""
    shape = (STEPS, batch)
    tokens = tasks.random_tokens(jax.random.key(0), shape, protocol.vocab_size)

    def whole(params: Params, tokens: Any) -> Any:
        """Every step by itself: nothing of a later input is known before."""

        def step(carry: Any, x: Any) -> Any:
            carry, outputs = network.unroll(net, params, carry, x[:, None], None)
            return carry, jnp.argmax(network.read_out(net, params, outputs[0]), axis=-1)

        return jax.lax.scan(step, network.zero_carry(net, batch), tokens)

    return _timed(whole, (params, tokens), STEPS)


def _timed(function: Callable[..., Any], arguments: tuple, steps: int) -> list[float]:
    """Microseconds a step, of every repeat."""
    program = jax.jit(function).lower(*arguments).compile()
    jax.block_until_ready(program(*arguments))
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        taken.append(round(1e6 * (time.perf_counter() - start) / steps, 3))
    return taken
