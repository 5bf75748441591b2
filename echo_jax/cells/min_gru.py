"""The minimal gated recurrent unit.

No matrix product depends on its state, so the whole projection is done before the scan. Its scan
keeps one step per iteration: in unrolled steps XLA recomputes the earlier steps for each later one.
"""

import chex
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.scan import Mask, is_tokens, scan_over_time


class MinGRUCell(nn.RNNCellBase):
    """The minimal gated recurrent unit (Feng et al. 2024, "Were RNNs all we needed?").

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
        """All steps, by `scan_over_time`."""
        return scan_over_time(self.step, carry, self.project(inputs), mask, unroll=1)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """The zero state for inputs of shape `[B, F]`."""
        del rng
        return jnp.zeros((*input_shape[:-1], self.features))
