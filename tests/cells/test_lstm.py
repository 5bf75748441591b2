import chex
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from echo_jax.cells import lstm
from echo_jax.exceptions import ConfigError


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def lstm_in_float64(x, c, h, kernel, recurrent_kernel, bias):
    """The textbook, unit by unit."""

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    z = x @ kernel + h @ recurrent_kernel + bias
    units = h.shape[-1]
    i, f, g, o = (z[:, gate * units : (gate + 1) * units] for gate in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def test_a_step_is_the_textbooks():
    x, c, h = normal(0, 3, 6), normal(1, 3, 4), normal(2, 3, 4)
    kernel, recurrent_kernel, bias = normal(3, 6, 16), normal(4, 4, 16), normal(5, 16)
    expected = lstm_in_float64(x, c, h, kernel, recurrent_kernel, bias)
    params = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias}
    params, x, c, h = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), (params, x, c, h))
    carry, output = lstm.LSTMCell(4).apply({"params": params}, lstm.LSTMCarry(c, h), x)
    np.testing.assert_allclose(carry.cell, expected[0], atol=3e-6)
    np.testing.assert_allclose(carry.hidden, expected[1], atol=3e-6)
    chex.assert_trees_all_equal(output, carry.hidden)


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradients_of_all_steps_are_finite_differences(masked):
    with jax.enable_x64(True):
        arguments = (
            jnp.asarray(normal(0, 3, 12)),
            lstm.LSTMCarry(jnp.asarray(normal(1, 2, 3)), jnp.asarray(normal(2, 2, 3))),
            jnp.asarray(normal(3, 5, 2, 12)),
        )
        mask = jnp.asarray(normal(4, 5, 2) > 0) if masked else None

        def carry_and_seen_outputs(*arguments):
            carry, outputs = lstm.lstm_unroll(*arguments, mask)
            return carry, outputs if mask is None else jnp.where(mask[..., None], outputs, 0.0)

        jax.test_util.check_grads(
            carry_and_seen_outputs, arguments, order=1, modes=["rev"], eps=1e-6
        )


def initial(cell, vocab_size):
    carry = cell.initialize_carry(jax.random.key(0), (2, vocab_size))
    return cell.init(jax.random.key(1), carry, jnp.zeros((2, vocab_size)))["params"], carry


def test_the_lstm_starts_as_in_keras():
    params, carry = initial(lstm.LSTMCell(50), 100)
    chex.assert_shape(params["kernel"], (100, 200))
    limit = np.sqrt(6 / 300)
    assert 0.99 * limit < jnp.max(jnp.abs(params["kernel"])) <= limit
    assert float(jnp.std(params["kernel"])) == pytest.approx(limit / np.sqrt(3), rel=0.03)
    recurrent = params["recurrent_kernel"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(50), atol=1e-5)
    assert params["bias"].tolist() == [0] * 50 + [1] * 50 + [0] * 100
    chex.assert_trees_all_equal(carry, lstm.LSTMCarry(jnp.zeros((2, 50)), jnp.zeros((2, 50))))


def test_the_chrono_lstm_differs_from_the_lstm_in_its_initial_bias_alone():
    (plain, _), (chrono, _) = (initial(kind(8), 3) for kind in (lstm.LSTMCell, lstm.ChronoLSTMCell))
    biases = plain.pop("bias"), chrono.pop("bias")
    chex.assert_trees_all_equal(plain, chrono)
    assert not jnp.array_equal(*biases)


def test_the_chrono_lstm_starts_with_times_spread_evenly_up_to_the_longest():
    bias = initial(lstm.ChronoLSTMCell(300, longest=64), 3)[0]["bias"]
    i, f, g, o = jnp.split(bias, 4)
    chex.assert_trees_all_equal(i, -f)
    assert not jnp.any(g)
    assert not jnp.any(o)
    u = np.exp(np.asarray(f, np.float64))
    assert 0.999 < u.min() < 2
    assert 62 < u.max() < 63.01
    assert np.mean(u) == pytest.approx(32, abs=3)
    assert np.std(u) == pytest.approx(62 / np.sqrt(12), abs=2)


def test_a_chrono_lstm_without_a_range_of_times_is_refused():
    with pytest.raises(ConfigError, match=r"^longest 2 is below 3 steps: use 3 or more$"):
        lstm.ChronoLSTMCell(4, longest=2)
