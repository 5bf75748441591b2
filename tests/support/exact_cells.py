"""Cells whose span is known to the step, beside those of `echo_jax.cells.known_memory`."""

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from echo_jax.cells.known_memory import ShiftRegister


class Mixed(ShiftRegister):
    """A register that is read through a learned matrix."""

    @nn.compact
    def __call__(self, carry, inputs):
        carry, outputs = super().__call__(carry, inputs)
        return carry, nn.Dense(outputs.shape[-1], name="mixing")(outputs)


class Rotated(ShiftRegister):
    """A register that is turned by a fixed matrix and back: what it dropped is left in rounding."""

    def __call__(self, carry, inputs):
        size = carry.shape[1] * carry.shape[2]
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))[0]
        turn = turn.astype(np.float32)
        register = (carry.reshape(len(carry), -1) @ turn.T).reshape(carry.shape)
        _, outputs = super().__call__(register, inputs)
        outputs = outputs @ turn
        return outputs.reshape(carry.shape), outputs


class PackedInteger:
    """The last 32 inputs as the bits of one integer, read after the new one is in."""

    @staticmethod
    def init(key, input_size):
        return {}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 1), jnp.uint32)

    @staticmethod
    def step(params, state, x):
        state = 2 * state + (x[:, 1:2] > 0.5).astype(jnp.uint32)
        return state, ((state >> jnp.arange(32, dtype=jnp.uint32)) % 2).astype(jnp.float32)


class PackedFloat:
    """The last 23 inputs as the bits of the fraction of one float32, read after the new one."""

    @staticmethod
    def init(key, input_size):
        return {}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 1))

    @staticmethod
    def step(params, state, x):
        kept = jnp.floor(state * 2.0**22) * 2.0**-22  # without the oldest
        state = (kept + (x[:, 1:2] > 0.5)) / 2
        return state, jnp.floor(state * 2.0 ** jnp.arange(1, 25)) % 2
