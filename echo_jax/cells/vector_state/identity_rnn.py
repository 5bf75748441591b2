"""The rectified RNN whose recurrent matrix starts as the identity."""

import chex
import jax.numpy as jnp
from flax import linen as nn


class IdentityRNNCell(nn.RNNCellBase):
    """A rectified RNN with an identity initial recurrent matrix (Le, Jaitly & Hinton 2015).

        h' = relu(x W + h U + b)

    At the start a non-negative state stays constant, except for what the input adds. The carry and
    the output are h, float32 `[B, H]`.

    Parameters: `kernel` W `[F, H]`, normal with standard deviation 0.001; `recurrent_kernel` U
    `[H, H]`, the identity; `bias` b `[H]`, zeros.

    Attributes:
      features: H, the units.
    """

    features: int
    num_feature_axes = 1

    @nn.compact
    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]`, usually one-hot, to h' twice."""
        units = self.features
        kernel = self.param("kernel", nn.initializers.normal(1e-3), (inputs.shape[-1], units))
        recurrent_kernel = self.param("recurrent_kernel", lambda _: jnp.eye(units))
        bias = self.param("bias", nn.initializers.zeros, (units,))
        h = nn.relu(inputs @ kernel + carry @ recurrent_kernel + bias)
        return h, h

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """The zero state for inputs of shape `[B, F]`."""
        del rng
        return jnp.zeros((*input_shape[:-1], self.features))
