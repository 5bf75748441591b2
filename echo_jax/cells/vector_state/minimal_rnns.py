"""The minimal gated RNNs of Feng et al. 2024, "Were RNNs all we needed?": minGRU and minLSTM.

Their gates see the input alone, so the whole projection is done before the scan. The scan keeps
one step per iteration: in unrolled steps XLA recomputes the earlier steps for each later one.
"""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.scan import Mask, in_parallel, is_tokens, scan_over_time
from echo_jax.cells.vector_state.linear_recurrence import (
    DiagonalCell,
    DiagonalTerms,
    diagonal_parallel,
)


class MinGRUCell(nn.RNNCellBase):
    """The minimal gated recurrent unit (Feng et al. 2024, section 3.1).

        z  = sigmoid(x W_z + b_z)
        h~ = x W_h + b_h
        h' = (1 - z) h + z h~

    This is the paper's plain variant; its log-space variant applies a nonlinearity to h~ that keeps
    it positive. The carry and the output are h, float32 `[B, H]`.

    Parameters: `kernel` `[F, 2H]`, W_z beside W_h, glorot-uniform over the fused shape; `bias`
    `[2H]`, zeros.

    Attributes:
      features: H, the units.
    """

    features: int
    num_feature_axes = 1

    @nn.compact
    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]`, usually one-hot, to h' twice."""
        shape = (inputs.shape[-1], 2 * self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
        bias = self.param("bias", nn.initializers.zeros, shape[1:])
        return self.step(carry, self.gate(inputs @ kernel + bias))

    def gate(self, projected: chex.Array) -> chex.Array:
        """The terms 1 - z and z h~ side by side, `[..., 2H]`, from x W + b of the same shape."""
        z, candidate = jnp.split(projected, 2, axis=-1)
        return jnp.concatenate([nn.sigmoid(-z), nn.sigmoid(z) * candidate], axis=-1)

    def step(self, h: chex.Array, gated: chex.Array) -> tuple[chex.Array, chex.Array]:
        """The next h, twice, from h `[B, H]` and the terms of `gate`, `[B, 2H]`."""
        kept, added = jnp.split(gated, 2, axis=-1)
        h = kept * h + added
        return h, h

    def project(self, inputs: chex.Array) -> chex.Array:
        """The terms of `gate` for all inputs, `[..., 2H]`; for tokens they are rows of a table."""
        kernel: chex.Array = self.get_variable("params", "kernel")
        bias: chex.Array = self.get_variable("params", "bias")
        if is_tokens(inputs):
            return self.gate(kernel + bias)[inputs]
        return self.gate(inputs @ kernel + bias)

    def scan(
        self, carry: chex.Array, inputs: chex.Array, mask: Mask
    ) -> tuple[chex.Array, chex.Array]:
        """All steps, one by one or in parallel."""
        gated = self.project(inputs)
        if in_parallel():
            kept, added = jnp.split(gated, 2, axis=-1)
            h = diagonal_parallel(carry, kept, added, mask)
            return h[-1], h
        return scan_over_time(self.step, carry, gated, mask, unroll=1)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """The zero state for inputs of shape `[B, F]`."""
        del rng
        return jnp.zeros((*input_shape[:-1], self.features))


class MinLSTMParams(NamedTuple):
    """The weights W of forget gate, input gate and candidate, `[F, H]`, and their biases `[H]`."""

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

    This is the paper's plain variant. State and output are h, float32 `[B, H]`. W is
    glorot-uniform, b is zero, as in minGRU.

    Attributes:
      features: H, the units.
    """

    features: int

    def init(self, key: chex.PRNGKey, input_size: int) -> MinLSTMParams:
        """Glorot-uniform weights and zero biases."""
        glorot, shape = jax.nn.initializers.glorot_uniform(), (input_size, self.features)
        weights = (glorot(each, shape) for each in jax.random.split(key, 3))
        return MinLSTMParams(*weights, *[jnp.zeros(self.features)] * 3)

    def input_size(self, params: MinLSTMParams) -> int:
        """F, the features of an input."""
        return len(params.W_f)

    def project(self, params: MinLSTMParams, x: chex.Array) -> DiagonalTerms:
        """The terms f / (f + i) and i h~ / (f + i)."""
        log_f = jax.nn.log_sigmoid(x @ params.W_f + params.b_f)
        log_i = jax.nn.log_sigmoid(x @ params.W_i + params.b_i)
        candidate = x @ params.W_h + params.b_h
        kept = jax.nn.sigmoid(log_f - log_i)  # f / (f + i), also where both are below 1e-38
        return DiagonalTerms(kept, jax.nn.sigmoid(log_i - log_f) * candidate)
