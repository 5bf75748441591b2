"""A cell that is honest and awkward to store, as plain functions."""

import jax
import jax.numpy as jnp

UNITS = 4


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
