import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.identity_rnn import IdentityRNNCell


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_it_is_its_equation():
    w, u, b = normal(3, 6, 4), normal(4, 4, 4), normal(5, 4)
    x, h = normal(0, 3, 6), normal(1, 3, 4)
    expected = np.maximum(x @ w + h @ u + b, 0)
    params = {"kernel": w, "recurrent_kernel": u, "bias": b}
    params, x, h = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), (params, x, h))
    carry, output = IdentityRNNCell(4).apply({"params": params}, h, x)
    np.testing.assert_allclose(carry, expected, atol=2e-6)
    chex.assert_trees_all_equal(output, carry)


def test_it_starts_by_holding_what_is_not_negative():
    cell = IdentityRNNCell(200)
    h = jnp.abs(jnp.asarray(normal(0, 3, 200), jnp.float32))
    variables = cell.init(jax.random.key(1), h, jnp.zeros((3, 6)))
    params = variables["params"]
    assert float(jnp.std(params["kernel"])) == pytest.approx(1e-3, rel=0.05)
    np.testing.assert_array_equal(params["recurrent_kernel"], np.eye(200))
    assert not jnp.any(params["bias"])
    chex.assert_trees_all_close(cell.apply(variables, h, jnp.zeros((3, 6))), (h, h), atol=1e-6)
