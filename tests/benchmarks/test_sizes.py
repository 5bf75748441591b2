"""One layer at several sizes: what PyTorch is asked to compute is what our cell computes."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sizes


@pytest.mark.parametrize("form", ["in_steps", "in_chunks"])
@pytest.mark.parametrize("cell", sorted({size.cell for size in sizes.MATRIX_SIZES}))
def test_a_matrix_state_in_pytorch_has_the_outputs_of_our_cell_with_its_weights(cell, form):
    torch = pytest.importorskip("torch")
    states = importlib.import_module("matrix_states")
    ours, params = sizes.first_weights(sizes.Size(cell, 50, 3, 8, 5))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + np.float32(0.1 * rng.normal(size=leaf.shape)), params)
    tokens = rng.integers(0, 5, (50, 3))
    state = ours.initial_state(params, 3, 5)
    _, expected = jax.jit(ours.scan)(ours.prepare(params), state, jnp.asarray(tokens))
    weights = jax.tree.map(lambda x: torch.tensor(np.array(x)), params)
    x = torch.nn.functional.one_hot(torch.tensor(tokens.T), 5).float()
    found = getattr(states, cell.replace("-", "_"))(weights, x, getattr(states, form))
    np.testing.assert_allclose(found.swapaxes(0, 1), expected, atol=2e-6, rtol=1e-5)
    assert expected.std() > 0.01
