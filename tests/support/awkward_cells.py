"""Cells that are honest and awkward to check, as plain functions: all are to be accepted."""

import jax
import jax.numpy as jnp
import numpy as np

UNITS = 4


def vectors(xs, size):
    """One-hot vectors of tokens; vectors as they are."""
    return jax.nn.one_hot(xs, size) if jnp.issubdtype(xs.dtype, jnp.integer) else xs


class DecayByTime:
    """A running mean: the decay depends on the time, an integer that is part of the state."""

    @staticmethod
    def init(key, input_size):
        return jax.random.normal(key, (input_size, UNITS))

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS)), jnp.zeros(batch_size, jnp.int32)

    @staticmethod
    def step(params, state, x):
        h, time = state
        share = 1 / (1 + time[:, None].astype(jnp.float32))
        h = (1 - share) * h + share * jnp.tanh(x @ params)
        return (h, time + 1), h

    @staticmethod
    def scan(params, state, xs, mask=None):
        h, time = state
        there = jnp.ones(xs.shape[:2], int) if mask is None else mask.astype(int)
        times = time + jnp.cumsum(there, axis=0)
        added = there[..., None] * jnp.tanh(vectors(xs, len(params)) @ params)
        sums = time[:, None] * h + jnp.cumsum(added, axis=0)
        means = sums / times[..., None]
        return (means[-1], times[-1]), means


RESERVOIR = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)


class Reservoir:
    """An echo state network: weights in its code, and frozen ones that its key draws."""

    @staticmethod
    def init(key, input_size):
        keys = jax.random.split(key)
        return {
            "frozen": jax.random.normal(keys[0], (input_size, 16)),
            "read": jax.random.normal(keys[1], (16, UNITS)),
        }

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 16))

    @staticmethod
    def step(params, state, x):
        driven = x @ jax.lax.stop_gradient(params["frozen"])
        state = jnp.tanh(0.2 * state @ RESERVOIR + driven)
        return state, state @ params["read"]


@jax.tree_util.register_pytree_node_class
class Weights:
    """Parameters as an object of a class of their own."""

    def __init__(self, weights):
        self.weights = weights

    def tree_flatten(self):
        return (self.weights,), None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        return cls(*leaves)


class WeightsInAnObject:
    """A leaky sum whose parameters are no dictionary."""

    @staticmethod
    def init(key, input_size):
        return Weights(jax.random.normal(key, (input_size, UNITS)))

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS))

    @staticmethod
    def step(params, state, x):
        state = 0.5 * state + x @ params.weights
        return state, state
