"""The minimal gated recurrent unit."""

import chex
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.scan import is_tokens, scan_over_time


class MinGRUCell(nn.RNNCellBase):
    """The minimal gated recurrent unit (Feng et al. 2024, "Were RNNs all we needed?").

        z  = sigmoid(x W_z + b_z)
        h~ = x W_h + b_h
        h' = (1 - z) h + z h~

    This is the plain variant; that which the paper computes in the logarithm keeps h~ positive by
    another nonlinearity. The output is h'.

    Parameters: `kernel` `[F, 2H]` glorot-uniform over its fused shape, z before h~, and `bias`
    `[2H]`, zeros.

    Attributes:
      features: H, the units. The carry is h, float32 `[B, H]`.
    """

    features: int

    @nn.compact
    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]`, usually one-hot, to the next carry and output."""
        shape = (inputs.shape[-1], 2 * self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
        bias = self.param("bias", nn.initializers.zeros, shape[1:])
        return self.step(carry, self.gate(inputs @ kernel + bias))

    def gate(self, projected: chex.Array) -> chex.Array:
        """From x W + b to what is kept of the state beside what is added: 1 - z and z h~."""
        z, candidate = jnp.split(projected, 2, axis=-1)
        return jnp.concatenate([nn.sigmoid(-z), nn.sigmoid(z) * candidate], axis=-1)

    def step(self, h: chex.Array, gated: chex.Array) -> tuple[chex.Array, chex.Array]:
        """From h `[B, H]` and what `gate` gives, `[B, 2H]`, to the next h, twice."""
        kept, added = jnp.split(gated, 2, axis=-1)
        h = kept * h + added
        return h, h

    def project(self, inputs: chex.Array) -> chex.Array:
        """All that does not depend on the state, of `gate`: `[..., 2H]`."""
        kernel: chex.Array = self.get_variable("params", "kernel")
        bias: chex.Array = self.get_variable("params", "bias")
        if is_tokens(inputs):
            return self.gate(kernel + bias)[inputs]
        return self.gate(inputs @ kernel + bias)

    def unroll(
        self, carry: chex.Array, projected: chex.Array, mask: chex.Array | None
    ) -> tuple[chex.Array, chex.Array]:
        """All steps, by `scan_over_time`."""
        return scan_over_time(self.step, carry, projected, mask, unroll=1)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """The zero state for inputs of this shape, `[B, F]`."""
        del rng
        return jnp.zeros((*input_shape[:-1], self.features))

    @property
    def num_feature_axes(self) -> int:
        """The axes of an input that are features, not batch."""
        return 1
