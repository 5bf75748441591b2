"""Loops over time with gradients by hand, beside single steps and the gradients of jax."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.interface import scan_over_time
from echo_jax.cells.registry import build


@pytest.mark.parametrize(("masked", "steps"), [(True, 5), (False, 61), (True, 61)])
@pytest.mark.parametrize("name", ["lstm", "gru", "simple"])
def test_a_window_is_its_single_steps_and_so_are_its_gradients(name, masked, steps):
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
