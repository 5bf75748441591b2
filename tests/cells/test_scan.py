"""Loops over time with gradients by hand: beside finite differences, and beside single steps."""

import functools

import chex
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


@pytest.mark.parametrize("steps", [9, 61])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", ["lstm", "lstm-chrono", "gru", "simple"])
def test_a_long_window_is_its_single_steps_and_so_are_its_gradients(name, masked, steps):
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 4, (steps, 3))
    present = rng.random((steps, 3)) > 0.3 if masked else np.ones((steps, 3), bool)
    mask = present if masked else None
    weights = rng.normal(size=(steps, 3, 6))
    with jax.enable_x64(True):
        cell = build(name, {"features": 6})
        params = cell.init(jax.random.key(0), 4)
        params = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), params)
        start = cell.initial_state(params, 3, 4)
        start = jax.tree.map(lambda leaf: leaf + rng.normal(size=leaf.shape), start)

        def by_step(params, start):
            inputs = jax.nn.one_hot(tokens, 4)
            return scan_over_time(functools.partial(cell.step, params), start, inputs, mask)

        def looped(params, start):
            return cell.scan(params, start, tokens, mask)

        def with_gradients(run):
            def loss(params, start):
                state, outputs = run(params, start)
                outputs = jnp.where(present[..., None], outputs, 0.0)
                ends = sum((leaf**2).sum() for leaf in jax.tree.leaves(state))
                return (weights * outputs).sum() + ends, (state, outputs)

            return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(params, start)

        expected = with_gradients(by_step)
        chex.assert_trees_all_close(with_gradients(looped), expected, rtol=1e-10, atol=1e-10)
