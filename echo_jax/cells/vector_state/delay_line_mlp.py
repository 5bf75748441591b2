"""A multilayer perceptron on the last D inputs, as a cell."""

import chex
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.interface import Mask, is_tokens, scan_over_time


class DelayLineMLP(nn.RNNCellBase):
    """One layer of rectified units on the last D inputs: the feed-forward baseline.

        y_t = relu(x_t W_0 + x_(t-1) W_1 + ... + x_(t-D+1) W_(D-1) + b)

    After a window of D steps from a zero carry, the output is that of a multilayer perceptron on
    the window. The carry is the transposed form of the delay line: what the inputs so far add to
    the next D-1 outputs, float32 `[B, D-1, H]`.

    The parameters are `kernel`, `[D, F, H]`, which starts glorot-uniform over `[D F, H]`, and
    `bias`, `[H]`, which starts at zero.

    Attributes:
      features: H, the number of units.
      delay_line: D, the number of inputs that an output depends on.
    """

    features: int
    delay_line: int = 1
    num_feature_axes = 1
    sized_by = ("delay_line", "features")

    @nn.compact
    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """Return the next carry and the output `[B, H]` after a step from inputs `[B, F]`."""
        shape = (self.delay_line, inputs.shape[-1], self.features)

        def glorot(key: chex.PRNGKey) -> chex.Array:
            flat = (shape[0] * shape[1], shape[2])
            return nn.initializers.glorot_uniform()(key, flat).reshape(shape)

        kernel = self.param("kernel", glorot)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return self.step(carry, jnp.einsum("bf,dfh->bdh", inputs, kernel).at[:, 0].add(bias))

    def step(self, line: chex.Array, projected: chex.Array) -> tuple[chex.Array, chex.Array]:
        """Return the next `line`, and the output `[B, H]`: relu of the sum that is now complete.

        `line` is the carry, `[B, D-1, H]`. `projected` is what the input adds to this output and to
        the next D-1 outputs, `[B, D, H]`.
        """
        waiting = jnp.concatenate([line, jnp.zeros_like(projected[:, :1])], axis=1) + projected
        # The line holds sums and no inputs, so that all products are made before the scan.
        return waiting[:, 1:], nn.relu(waiting[:, 0])

    def project(self, inputs: chex.Array) -> chex.Array:
        """Return what inputs add to their own output and to the next D-1 outputs, `[..., D, H]`.

        The inputs are `[..., F]`, or tokens `[...]`.
        """
        kernel: chex.Array = self.get_variable("params", "kernel")
        bias: chex.Array = self.get_variable("params", "bias")
        if is_tokens(inputs):
            # `kernel[:, inputs]` is `[D, ..., H]`, as a gather leaves D in front.
            terms = jnp.moveaxis(kernel[:, inputs], 0, -2)
        else:
            terms = jnp.einsum("...f,dfh->...dh", inputs, kernel)
        # An output sums the terms of D inputs: the bias comes in once, with its own input.
        return terms.at[..., 0, :].add(bias)

    def scan(
        self, carry: chex.Array, inputs: chex.Array, mask: Mask
    ) -> tuple[chex.Array, chex.Array]:
        return scan_over_time(self.step, carry, self.project(inputs), mask)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """Return an empty delay line for inputs of the shape `input_shape`, `[B, F]`.

        `rng` is not used.
        """
        return jnp.zeros((*input_shape[:-1], self.delay_line - 1, self.features))
