"""The LSTM with the chrono initialisation of its biases."""

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.option_rules import at_least
from echo_jax.cells.vector_state.lstm import LSTMCell


class ChronoLSTMCell(LSTMCell):
    """The LSTM with the chrono initialisation of Tallec & Ollivier 2018.

        b_f = log u, u ~ U(1, T - 1)        b_i = -b_f        b_g = b_o = 0

    With its biases alone a unit keeps u / (1 + u) of its state in a step and lets 1 / (1 + u) in,
    so its time constant is about 1 + u steps: from 2 to T over the units. Everything else is as in
    `LSTMCell`.

    Attributes:
      longest: T, the longest expected dependency, in steps, 3 or more.
    """

    longest: int = 64

    def __post_init__(self) -> None:
        """Raise ConfigError for an empty range of times."""
        at_least(3, self, "longest")
        super().__post_init__()

    @nn.nowrap
    def initial_bias(self, key: chex.PRNGKey, shape: tuple[int]) -> chex.Array:
        """`[4H]`: log u in the forget block, -log u in the input block."""
        u = jax.random.uniform(key, (shape[0] // 4,), minval=1.0, maxval=self.longest - 1.0)
        forget, zeros = jnp.log(u), jnp.zeros_like(u)
        return jnp.concatenate([-forget, forget, zeros, zeros])
