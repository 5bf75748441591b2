"""Loops over time with gradients by hand: beside finite differences, and beside single steps."""

import functools

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from echo_jax.cells.registry import build
from echo_jax.cells.scan import scan_over_time
from echo_jax.cells.vector_state import flax_rnns, lstm

LOOPS = {
    "lstm_unroll": (lstm.lstm_unroll, [(3, 12), ((2, 3), (2, 3)), (5, 2, 12)]),
    "lstm_loop": (lstm.lstm_loop, [(3, 12), ((2, 3), (2, 3)), (5, 2, 12)]),
    "tanh_loop": (flax_rnns.tanh_loop, [(3, 3), (2, 3), (5, 2, 3)]),
    "gru_loop": (flax_rnns.gru_loop, [(3, 9), (3,), (2, 3), (5, 2, 9)]),
}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_gradients_are_finite_differences(name, masked):
    rng = np.random.default_rng(0)
    loop, shapes = LOOPS[name]

    def draw(shape):
        if isinstance(shape[0], tuple):
            return lstm.LSTMCarry(*map(draw, shape))
        return jnp.asarray(rng.normal(size=shape))

    with jax.enable_x64(True):
        arguments = [draw(shape) for shape in shapes]
        mask = jnp.asarray(rng.normal(size=(5, 2)) > 0) if masked else None

        @jax.jit
        def carry_and_present_outputs(*arguments):
            result = loop(*arguments, mask)
            carry, outputs = result if isinstance(result, tuple) else (result[-1], result)
            return carry, outputs if mask is None else jnp.where(mask[..., None], outputs, 0.0)

        jax.test_util.check_grads(
            carry_and_present_outputs, arguments, order=1, modes=["rev"], eps=1e-6
        )


@pytest.mark.parametrize("name", ["lstm", "lstm-chrono", "gru", "simple"])
def test_a_long_window_is_its_single_steps(name):
    cell = build(name, {"features": 6})
    tokens = np.random.default_rng(1).integers(0, 4, (21, 3))
    present = np.random.default_rng(2).random((21, 3)) > 0.3

    @jax.jit
    def run(key):
        params = cell.init(key, 4)
        noise = jax.random.normal(key, (64,))
        params = jax.tree.map(lambda leaf: leaf + 0.1 * noise[: leaf.shape[-1]], params)
        start = cell.initial_state(params, 3, 4)
        step, inputs = functools.partial(cell.step, params), jax.nn.one_hot(tokens, 4)
        by_step = scan_over_time(step, start, inputs, present)
        return by_step, cell.scan(params, start, tokens, present)

    (state, by_step), (looped_state, looped) = run(jax.random.key(0))
    np.testing.assert_allclose(looped[present], by_step[present], atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), looped_state, state)
