"""Recurrences step by step and at once, and the gradient that the LSTM has of its own."""

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from echo_jax.cells.vector_state import lstm


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradients_of_the_lstm_are_finite_differences(masked):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        shapes = [(3, 12), (2, 3), (2, 3), (5, 2, 12)]
        recurrent_kernel, c, h, projected = (jnp.asarray(rng.normal(size=x)) for x in shapes)
        mask = jnp.asarray(rng.normal(size=(5, 2)) > 0) if masked else None

        @jax.jit
        def carry_and_seen_outputs(*arguments):
            carry, outputs = lstm.lstm_unroll(*arguments, mask)
            return carry, outputs if mask is None else jnp.where(mask[..., None], outputs, 0.0)

        arguments = (recurrent_kernel, lstm.LSTMCarry(c, h), projected)
        jax.test_util.check_grads(
            carry_and_seen_outputs, arguments, order=1, modes=["rev"], eps=1e-6
        )
