"""The minimal gated RNNs of Feng et al. 2024, "Were RNNs all we needed?": minGRU and minLSTM.

Their gates see the input alone, so the whole projection is done before the scan.
"""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.linear_layers import linen_key
from echo_jax.cells.vector_state.linear_recurrence import DiagonalCell, DiagonalTerms


class MinGRUParams(NamedTuple):
    """The parameters of `MinGRUCell`.

    W  the weights W_z beside W_h, `[F, 2H]`
    b  the biases b_z beside b_h, `[2H]`
    """

    W: chex.Array
    b: chex.Array


@dataclasses.dataclass(frozen=True)
class MinGRUCell(DiagonalCell):
    """The minimal gated recurrent unit (Feng et al. 2024, section 3.1).

        z  = sigmoid(x W_z + b_z)
        h~ = x W_h + b_h
        h' = (1 - z) h + z h~

    This is the paper's plain variant; the log-space variant applies a nonlinearity that keeps h~
    positive. State and output are h, float32 `[B, H]`, zeros at the start. Initially, W is
    glorot-uniform over its whole shape, and b is zero.

    Attributes:
      features: H, the number of units.
    """

    features: int

    def init(self, key: chex.PRNGKey, input_size: int) -> MinGRUParams:
        glorot = jax.nn.initializers.glorot_uniform()
        both = 2 * self.features
        return MinGRUParams(glorot(linen_key(key, 1), (input_size, both)), jnp.zeros(both))

    def project(self, params: MinGRUParams, x: chex.Array) -> DiagonalTerms:
        z, candidate = jnp.split(x @ params.W + params.b, 2, axis=-1)
        # 1 - sigmoid(z) is 0 in float32 from z = 17 on, where sigmoid(-z) is 4e-8.
        return DiagonalTerms(jax.nn.sigmoid(-z), jax.nn.sigmoid(z) * candidate)


class MinLSTMParams(NamedTuple):
    """The parameters of `MinLSTMCell`.

    W_f, W_i, W_h  the weights of the forget gate, the input gate and the candidate h~, `[F, H]`
    b_f, b_i, b_h  their biases, `[H]`
    """

    W_f: chex.Array
    W_i: chex.Array
    W_h: chex.Array
    b_f: chex.Array
    b_i: chex.Array
    b_h: chex.Array


@dataclasses.dataclass(frozen=True)
class MinLSTMCell(DiagonalCell):
    """The minimal LSTM (Feng et al. 2024, section 3.2).

        f  = sigmoid(x W_f + b_f)
        i  = sigmoid(x W_i + b_i)
        h~ = x W_h + b_h
        h' = f / (f + i) h + i / (f + i) h~

    This is the paper's plain variant. State and output are h, float32 `[B, H]`, zeros at the start.
    Initially, each W is glorot-uniform, and the biases are zero.

    Attributes:
      features: H, the number of units.
    """

    features: int

    def init(self, key: chex.PRNGKey, input_size: int) -> MinLSTMParams:
        glorot = jax.nn.initializers.glorot_uniform()
        shape = (input_size, self.features)
        weights = (glorot(each, shape) for each in jax.random.split(key, 3))
        return MinLSTMParams(*weights, *[jnp.zeros(self.features)] * 3)

    def project(self, params: MinLSTMParams, x: chex.Array) -> DiagonalTerms:
        log_f = jax.nn.log_sigmoid(x @ params.W_f + params.b_f)
        log_i = jax.nn.log_sigmoid(x @ params.W_i + params.b_i)
        candidate = x @ params.W_h + params.b_h
        kept = jax.nn.sigmoid(log_f - log_i)  # f / (f + i), also where both are below 1e-38
        return DiagonalTerms(kept, jax.nn.sigmoid(log_i - log_f) * candidate)
