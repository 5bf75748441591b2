"""The LSTM written in four ways that must have equal bits: other gate orders, units, libraries.

Each is `echo_jax.cells.vector_state.lstm` with other arrays: its gates stand in another order, or
it stores c times 30 or c / 30, so that a measure that depends on how a cell is written shows it.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.interface import Cell

HIDDEN = 50


def lstm_step(params, state, x, order, scale):
    """One step from a state `[B, 2, H]` of scale c and h."""
    c, h = state[:, 0] / scale, state[:, 1]
    gates = jnp.split(x @ params["W"] + h @ params["U"] + params["b"], 4, axis=-1)
    i, f, g, o = (gates[order.index(name)] for name in "ifgo")
    c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
    h = nn.sigmoid(o) * jnp.tanh(c)
    return jnp.stack([scale * c, h], axis=1), h


def lstm_init(key, inputs, hidden, order):
    """Glorot-uniform W, orthogonal U, a bias of 1 for the forget gate."""
    for_w, for_u = jax.random.split(key)
    return {
        "W": nn.initializers.glorot_uniform()(for_w, (inputs, 4 * hidden)),
        "U": nn.initializers.orthogonal()(for_u, (hidden, 4 * hidden)),
        "b": (jnp.arange(4 * hidden) // hidden == order.index("f")).astype(jnp.float32),
    }


@dataclasses.dataclass(frozen=True)
class OtherOrder(Cell):
    """A cell of the package's own interface, with gates o g f i."""

    features: int = HIDDEN

    def init(self, key, input_size):
        return lstm_init(key, input_size, self.features, "ogfi")

    def initial_state(self, params, batch_size, input_size):
        return jnp.zeros((batch_size, 2, self.features))

    def step(self, params, state, x):
        return lstm_step(params, state, x, "ogfi", 1.0)


class LargeLinen(nn.RNNCellBase):
    """A Linen class that stores 30 c."""

    features: int = HIDDEN
    num_feature_axes = 1

    @nn.compact
    def __call__(self, carry, inputs):
        params = self.param("lstm", lstm_init, inputs.shape[-1], self.features, "ifgo")
        return lstm_step(params, carry, inputs, "ifgo", 30.0)

    @nn.nowrap
    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], 2, self.features))


class SmallFunctions:
    """Plain functions that store c / 30."""

    @staticmethod
    def init(key, input_size):
        return lstm_init(key, input_size, HIDDEN, "ifgo")

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 2, HIDDEN))

    @staticmethod
    def step(params, state, x):
        return lstm_step(params, state, x, "ifgo", 1 / 30)
