"""The time of a step of a cell, as a card states it."""

import functools
import timeit

import jax
import numpy as np

from echo_jax.cells.interface import Cell
from echo_jax.config import GENERATOR
from echo_jax.core import network
from echo_jax.memory import scoring
from echo_jax.memory.protocol import Protocol

TIMED_STEPS, TIMES = 240, 100
"""Steps of one stream that are timed together, and how often: the least time counts."""


def step_microseconds(cell: Cell, protocol: Protocol) -> float:
    """The least time of a step of one stream by key, microseconds; other work moves it little."""
    net = network.around(cell, protocol.tokens, protocol.values)
    params = jax.jit(lambda: network.init_params(net, jax.random.key(0, impl=GENERATOR)))()
    tokens = np.arange(TIMED_STEPS, dtype=np.int32)[None] % protocol.tokens
    by_steps = functools.partial(scoring.by_steps, net, read=lambda _, output: output)
    program = jax.jit(by_steps).lower(params, tokens).compile()
    run = functools.partial(program, params, tokens)
    times = timeit.repeat(lambda: jax.block_until_ready(run()), repeat=TIMES, number=1)
    return round(1e6 * min(times) / TIMED_STEPS, 2)
