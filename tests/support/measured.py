"""A small score of a cell of functions, made by `learning.by_steps` as every score is."""

import types
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells import user_cell_check
from echo_jax.cells.adapters.adapt import adapt
from echo_jax.echo.network import Network
from echo_jax.memory import learning

SIZE, STREAMS, STEPS = 4, 3, 6
NAME = "cells_of_tests:cell"


class Measured(NamedTuple):
    """States after each step and outputs `[N, T, ...]`, bytes of a state and of constants."""

    states: object
    outputs: np.ndarray
    state_bytes: int
    constant_bytes: int


def init(key, input_size):
    return {"kernel": jax.random.normal(key, (input_size, SIZE))}


def initial_state(params, batch_size, input_size):
    return jnp.zeros((batch_size, SIZE))


def honest(params, state, x):
    state = jnp.tanh(x @ params["kernel"] + 0.5 * jnp.roll(state, 1, axis=-1))
    return state, state


def fed(change):
    """The honest step on changed inputs."""
    return lambda params, state, x: honest(params, state, change(x))


def cell_of(step=honest, **functions):
    """The cell of a step and of other functions, in which all else is honest."""
    of = {"init": init, "initial_state": initial_state, "step": step, **functions}
    return adapt(types.SimpleNamespace(**of))


def lowered(cell):
    """The checked program, and its arguments."""
    user_cell_check.check_shapes(cell, NAME, SIZE)
    params = cell.init(jax.random.key(0), SIZE)
    tokens = np.random.default_rng(0).integers(SIZE, size=(STREAMS, STEPS))
    arguments = {"cell": params}, jnp.asarray(tokens)
    network = Network(cell, None, SIZE, SIZE, SIZE)
    scored = lambda *of: learning.by_steps(network, *of, lambda *found: found)  # noqa: E731
    return user_cell_check.check_program(cell, NAME, scored, *arguments), arguments


def measure(cell):
    """What is scored of a cell; ConfigError if it is refused."""
    of, arguments = lowered(cell)
    (states, outputs), carried = jax.device_get(of.lowered.compile()(*arguments))
    return Measured(states, outputs[:, :, 0], carried, of.constant_bytes)
