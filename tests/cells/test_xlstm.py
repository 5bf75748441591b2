import cell_reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.xlstm import SLSTMCell, SLSTMParams, SLSTMState
from echo_jax.exceptions import ConfigError


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def slstm_gates(p, h, x):
    """i~, f~, z~ and o~, each [B, H]: a head sees the units of h that are its own."""
    gates = np.split(x @ p.W + p.b, 4, axis=-1)
    size = p.R.shape[1]
    for head, block in enumerate(p.R):
        units = slice(head * size, (head + 1) * size)
        for gate, part in zip(gates, np.split(block, 4, axis=-1), strict=True):
            gate[:, units] += h[:, units] @ part
    return gates


def slstm_step(p, state, x):
    """The equations of section 2.2, with the stabilised gates."""
    i, f, z, o = slstm_gates(p, state.h, x)
    m = np.maximum(np.log(sigmoid(f)) + state.m, i)
    input_gate, forget_gate = np.exp(i - m), np.exp(np.log(sigmoid(f)) + state.m - m)
    c = forget_gate * state.c + input_gate * np.tanh(z)
    n = forget_gate * state.n + input_gate
    h = sigmoid(o) * c / n
    return SLSTMState(c, n, m, h), h


@pytest.mark.parametrize("heads", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_slstm_is_its_equations_step_by_step_and_at_once(heads):
    cell_reference.check_equations(SLSTMCell(4, heads), slstm_step)


@pytest.mark.slow
def test_gradients_of_slstm_are_finite_differences():
    cell_reference.check_gradients(SLSTMCell(4, heads=2))


@pytest.mark.slow
def test_slstm_stays_finite():
    cell_reference.check_long_run(SLSTMCell(4))


def slstm_outputs(i, f, z, o):
    """The outputs of one unit, all 1 or -1 through tanh, for gates before their activation, [T]."""
    gates = jnp.stack([jnp.asarray(g, jnp.float32) for g in (i, f, z, o)], axis=-1)
    cell, params = SLSTMCell(1), SLSTMParams(jnp.eye(4), jnp.zeros((1, 1, 4)), jnp.zeros(4))
    state = cell.initial_state(params, 1, 4)
    return jax.jit(cell.scan)(params, state, gates[:, None])[1][:, 0, 0]


def test_slstm_is_a_mean_of_its_inputs_weighted_by_the_exponential_gate():
    z, i = np.array([50.0, -50, 50, 50, -50]), np.array([0.0, 1, -2, 0.5, 3])
    mean = np.cumsum(np.exp(i) * np.sign(z)) / np.cumsum(np.exp(i))
    found = slstm_outputs(i, np.full(5, 50), z, np.full(5, 50))
    np.testing.assert_allclose(found, mean, rtol=1e-5)


def test_slstm_overwrites_what_it_held_and_no_gate_overflows():
    z, i = [50, 50, -50, -50, 50], [-200, 300, 0, 600, 590]
    found = slstm_outputs(i, [80] * 5, z, [80] * 5)
    np.testing.assert_allclose(found, [0, 1, 1, -1, -1 + 2 * np.exp(-10)], atol=1e-6)


def test_slstm_starts_with_forget_gates_from_open_to_shut_and_without_recurrence():
    params = jax.jit(SLSTMCell(400, heads=2).init, static_argnums=1)(jax.random.key(0), 10)
    b = np.asarray(params.b).reshape(4, 2, 200)
    assert not np.any(params.R)
    assert not np.any(b[[0, 2, 3]])
    np.testing.assert_array_equal(b[1, 0], b[1, 1])
    np.testing.assert_allclose(b[1, 0, [0, 1, -1]], [5, 5 - 12 * (1 / 199) ** 0.3, -7], rtol=1e-5)
    assert float(np.std(params.W)) == pytest.approx((2 / 50) ** 0.5, rel=0.02)


@pytest.mark.parametrize("heads", [0, 3])
def test_heads_of_slstm_share_its_units(heads):
    sentence = f"^heads {heads} is no divisor of the 4 units: use one, such as 1$"
    with pytest.raises(ConfigError, match=sentence):
        SLSTMCell(4, heads)
