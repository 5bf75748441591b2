"""What cells start from, before anything is learned."""

import cell_reference
import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.vector_state import identity_rnn, lru, lstm
from echo_jax.cells.vector_state.lstm import ChronoLSTMCell
from echo_jax.exceptions import ConfigError


def initial(cell, vocab_size):
    """Initial parameters and the initial carry of two rows, as NumPy arrays."""

    @jax.jit
    def both(key):
        carry = cell.initialize_carry(key, (2, vocab_size))
        return cell.init(key, carry, jnp.zeros((2, vocab_size)))["params"], carry

    return jax.tree.map(np.asarray, both(jax.random.key(1)))


def test_the_lstm_starts_as_in_keras():
    params, carry = initial(lstm.LSTMCell(50), 100)
    chex.assert_shape(params["kernel"], (100, 200))
    limit = np.sqrt(6 / 300)
    assert 0.99 * limit < np.max(np.abs(params["kernel"])) <= limit
    assert np.std(params["kernel"]) == pytest.approx(limit / np.sqrt(3), rel=0.03)
    recurrent = params["recurrent_kernel"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(50), atol=1e-5)
    assert params["bias"].tolist() == [0] * 50 + [1] * 50 + [0] * 100
    chex.assert_trees_all_equal(carry, lstm.LSTMCarry(*np.zeros((2, 2, 50), np.float32)))


def test_the_chrono_lstm_starts_with_times_spread_evenly_up_to_the_longest():
    (plain, _), (chrono, _) = (initial(kind(8), 3) for kind in (lstm.LSTMCell, ChronoLSTMCell))
    assert not np.array_equal(plain.pop("bias"), chrono.pop("bias"))
    chex.assert_trees_all_equal(plain, chrono)
    cell, carry = ChronoLSTMCell(300, longest=64), (jnp.zeros((1, 300)),) * 2
    bias = jax.jit(lambda x: cell.init(jax.random.key(1), carry, x)["params"]["bias"])
    i, f, g, o = np.split(np.asarray(bias(np.zeros((1, 3)))), 4)
    np.testing.assert_array_equal(i, -f)
    assert not np.any(g)
    assert not np.any(o)
    u = np.exp(np.float64(f))
    assert 0.999 < u.min() < 2
    assert 62 < u.max() < 63.01
    assert np.mean(u) == pytest.approx(32, abs=3)
    assert np.std(u) == pytest.approx(62 / np.sqrt(12), abs=2)
    with pytest.raises(ConfigError, match=r"^longest 2 is below 3"):
        ChronoLSTMCell(4, longest=2)


def test_the_identity_rnn_starts_by_holding_what_is_not_negative():
    cell = identity_rnn.IdentityRNNCell(200)
    params = cell_reference.initial(cell)
    assert np.std(params.W) == pytest.approx(1e-3, rel=0.05)
    np.testing.assert_array_equal(params.U, np.eye(200))
    assert not np.any(params.b)


@pytest.mark.parametrize(
    ("r_min", "r_max", "max_phase"), [(0.0, 1.0, 6.28), (0.9, 0.999, 6.28), (0.999, 1.0, 0.3)]
)
def test_the_lru_starts_on_its_ring_and_keeps_the_variance_of_noise(r_min, r_max, max_phase):
    cell = lru.LRUCell(2, 4000, r_min, r_max, max_phase)
    params = cell_reference.initial(cell)
    chex.assert_tree_all_finite(params)
    nu, theta, gamma = (np.asarray(leaf, np.float64) for leaf in params[:3])
    radius, phase = np.exp(-np.exp(cell.recurrent_rate * nu)), np.exp(cell.recurrent_rate * theta)
    assert r_min < radius.min()
    assert radius.max() < r_max
    share = (radius**2 - r_min**2) / (r_max**2 - r_min**2)  # uniform over the area of the ring
    for uniform in (share, phase / max_phase):
        deciles = np.quantile(uniform, [0.1, 0.5, 0.9])
        np.testing.assert_allclose(deciles, [0.1, 0.5, 0.9], atol=0.03)
    # The variance of sum_j lambda^j gamma w_j for white noise w: gamma^2 / (1 - |lambda|^2).
    np.testing.assert_allclose(np.exp(2 * gamma) / (1 - radius**2), 1, rtol=1e-2)
