import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_equations import slstm_gates
from cell_reference import sigmoid

from echo_jax.cells.matrix_state.xlstm import SLSTMCell, SLSTMParams


def slstm_mean(p, xs):
    """The outputs by their definition: means of all past tanh(z~), weighted by logarithms."""
    h, weights, values, outputs = np.zeros((xs.shape[1], p.R.shape[1])), [], [], []
    for x in xs:
        i, f, z, o = slstm_gates(p, h, x)
        weights = [weight + np.log(sigmoid(f)) for weight in weights] + [i]
        values.append(np.tanh(z))
        shares = np.exp(np.array(weights) - np.max(weights, axis=0))
        h = sigmoid(o) * np.sum(shares * values, axis=0) / np.sum(shares, axis=0)
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("input_bias", [-200, -60, -15, 200])
def test_slstm_is_a_mean_of_its_inputs_however_low_or_high_their_gates_are(input_bias):
    cell, rng = SLSTMCell(4), np.random.default_rng(0)
    xs = rng.normal(size=(6, 2, 3)).astype(np.float32)
    bias = np.repeat(np.float32([input_bias, 1, 0, 0]), 4)
    params = SLSTMParams(*(rng.normal(size=s).astype("f") for s in [(3, 16), (1, 4, 16)]), bias)

    @jax.jit
    def outputs(params, xs):
        return cell.scan(params, cell.initial_state(params, 2, 3), xs)[1]

    params64 = SLSTMParams(*(leaf.astype(np.float64) for leaf in params))
    found = outputs(params, xs)
    np.testing.assert_allclose(found, slstm_mean(params64, xs.astype(np.float64)), atol=3e-5)
    gradient = jax.jit(jax.grad(lambda params: jnp.sum(outputs(params, xs))))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_slstm_starts_with_forget_gates_from_open_to_shut_and_without_recurrence():
    params = jax.jit(SLSTMCell(400, heads=2).init, static_argnums=1)(jax.random.key(0), 10)
    b = np.asarray(params.b).reshape(4, 2, 200)
    assert not np.any(params.R)
    assert not np.any(b[[0, 2, 3]])
    np.testing.assert_array_equal(b[1, 0], b[1, 1])
    np.testing.assert_allclose(b[1, 0, [0, 1, -1]], [5, 5 - 12 * (1 / 199) ** 0.3, -7], rtol=1e-5)
    assert float(np.std(params.W)) == pytest.approx((2 / 50) ** 0.5, rel=0.02)
