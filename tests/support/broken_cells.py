"""Cells that are broken in one way each; the line that is wrong ends in `# wrong`."""

import flax.linen as nn
import jax.numpy as jnp


class Good(nn.RNNCellBase):
    """What the others are but for one thing."""

    features: int
    gain: float = 1.0

    @nn.compact
    def __call__(self, carry, inputs):
        h = jnp.tanh(nn.Dense(self.features)(inputs) + self.gain * nn.Dense(self.features)(carry))
        return h, h

    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], self.features))


class GoodInHalfPrecision(Good):
    @nn.compact
    def __call__(self, carry, inputs):
        h = nn.Dense(self.features, dtype=jnp.bfloat16)(jnp.concatenate([carry, inputs], -1))
        h = jnp.tanh(h)
        return h, h.astype(jnp.float32)

    def initialize_carry(self, rng, input_shape):
        return jnp.zeros((*input_shape[:-1], self.features), jnp.bfloat16)


class CannotStart(Good):
    def initialize_carry(self, rng, input_shape):
        batch, width, height = input_shape  # wrong
        return jnp.zeros((batch, width, height))


class NeedsUnits(nn.RNNCellBase):
    units: int
    rate: float = 0.9
    gated: bool = False


class RefusesItsFields(Good):
    def __post_init__(self):
        if self.gain > 1:
            raise ValueError("gain above 1")  # wrong
        super().__post_init__()
