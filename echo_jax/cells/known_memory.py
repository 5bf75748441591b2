"""Cells whose memory is known before it is measured: what a measure must find in them.

cell               carry               known answer
CausalConvolution  `[B, window-1, F]`  recalls at most lag window-1, if it learns to; no recurrence
ShiftRegister     `[B, slots, F]`       recalls lags 0 .. slots-1 exactly, and nothing older
LeakyIntegrator   `[B, 1]`              linear memory function (1 - a^2) a^(2n) of lag n
Memoryless        `[B, 1]`, zero        nothing at any lag but 0: every measure at its floor
"""

import chex
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.exceptions import ConfigError


class ShiftRegister(nn.RNNCellBase):
    """The last inputs themselves, newest first; no parameters.

        x            a     b     c     d
        slots 3     a00   ba0   cba   dcb

    A readout of the output finds the input of lag n in slot n: a register of d + 1 slots has a
    stream span of exactly d. Its last d inputs and the present one are all that it depends on, and
    every gradient further back is exactly zero.

    The carry is the register, float32 `[B, slots, F]`, and the output is that after the step, flat:
    `[B, slots F]`.

    Attributes:
      slots: inputs that it holds, the present one included.
    """

    slots: int

    def __post_init__(self) -> None:
        """Raise ConfigError for a register without a slot."""
        if self.slots < 1:
            raise ConfigError(f"slots {self.slots} is below 1: use 1 or more")
        super().__post_init__()

    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]`: the oldest slot is dropped."""
        register = jnp.concatenate([inputs[:, None], carry[:, :-1]], axis=1)
        return register, register.reshape(len(inputs), -1)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """An empty register for inputs of this shape, `[B, F]`."""
        del rng
        return jnp.zeros((*input_shape[:-1], self.slots, input_shape[-1]))

    @property
    def num_feature_axes(self) -> int:
        """The axes of an input that are features, not batch."""
        return 1


class LeakyIntegrator(nn.RNNCellBase):
    """One number that decays while the inputs are added to it; no parameters.

        s' = a s + u        u = x w

    The projection w `[F]` is fixed: it goes from -1 to 1 in equal steps, so that a one-hot vector
    of two values gives u = x_1 - x_0, one of -1 and 1; of a single input feature it is that.

    Where the u are independent with mean 0, s is the sum of a^k u_(t-k), with a variance of
    1 / (1 - a^2) times that of u. So the squared correlation of s with u_(t-n), the linear memory
    function of Jaeger 2001, is

        m(n) = (1 - a^2) a^(2n),    over all lags n >= 0 a capacity of 1, its one state number

    The carry and the output are s, float32 `[B, 1]`.

    Attributes:
      rate: a, the share that a step leaves, between -1 and 1.
    """

    rate: float = 0.9

    def __post_init__(self) -> None:
        """Raise ConfigError for a rate at which the state grows without end."""
        if not -1 < self.rate < 1:
            raise ConfigError(f"rate {self.rate} is not between -1 and 1: use one such as 0.9")
        super().__post_init__()

    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]` to s' twice."""
        size = inputs.shape[-1]
        w = jnp.linspace(-1.0, 1.0, size) if size > 1 else jnp.ones(1)
        s = self.rate * carry + (inputs @ w)[:, None]
        return s, s

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """Zero for inputs of this shape, `[B, F]`."""
        del rng
        return jnp.zeros((*input_shape[:-1], 1))

    @property
    def num_feature_axes(self) -> int:
        """The axes of an input that are features, not batch."""
        return 1


class Memoryless(nn.RNNCellBase):
    """A layer on the present input, and a state that is always zero.

        y = tanh(x W + b)

    At any lag but 0 it is at chance, it has a capacity of no bit, and nothing older has a gradient.

    Parameters: `kernel` W `[F, H]` glorot-uniform, and `bias` b `[H]`, zeros. The carry is zero,
    float32 `[B, 1]`, whatever it was before the step.

    Attributes:
      features: H, the units.
    """

    features: int

    @nn.compact
    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]` to zero and the output `[B, H]`."""
        shape = (inputs.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return jnp.zeros_like(carry), jnp.tanh(inputs @ kernel + bias)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """Zero for inputs of this shape, `[B, F]`."""
        del rng
        return jnp.zeros((*input_shape[:-1], 1))

    @property
    def num_feature_axes(self) -> int:
        """The axes of an input that are features, not batch."""
        return 1


class CausalConvolution(nn.RNNCellBase):
    """Rectified units on the last W inputs: no recurrence, a reference with a state of known size.

        y_t = relu(x_t W_0 + x_(t-1) W_1 + ... + x_(t-W+1) W_(W-1) + b)

    With W = 51 and two tokens its state has as many bytes as that of an LSTM of 50 units. The carry
    is the inputs themselves, newest first, float32 `[B, W-1, F]`: `cells.DelayLineMLP` is the same
    function with what they add to the outputs to come in its place.

    Parameters: `convolution`, a kernel `[W F, features]`, glorot-uniform, and a bias of zeros.

    Attributes:
      features: H, the units.
      window: W, the inputs that an output depends on.
    """

    features: int
    window: int = 51

    @nn.compact
    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]` to the next carry and output `[B, features]`."""
        seen = jnp.concatenate([inputs[:, None], carry], axis=1)
        glorot = nn.initializers.glorot_uniform()
        read = nn.Dense(self.features, kernel_init=glorot, name="convolution")
        return seen[:, :-1], nn.relu(read(seen.reshape(len(inputs), -1)))

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """No inputs yet, of this shape, `[B, F]`."""
        del rng
        return jnp.zeros((*input_shape[:-1], self.window - 1, input_shape[-1]))

    @property
    def num_feature_axes(self) -> int:
        """The axes of an input that are features, not batch."""
        return 1
