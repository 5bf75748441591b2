import cell_reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_reference import sigmoid

from echo_jax.cells.matrix_state import xlstm
from echo_jax.cells.matrix_state.xlstm import (
    MLSTMCell,
    MLSTMState,
    SLSTMCell,
    SLSTMParams,
    SLSTMState,
)


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


MLSTM = MLSTMCell(4, key_size=3, value_size=2)


def mlstm_step(p, state, x):
    """The equations of section 2.3, row by row, with the stabilised gates."""
    memory, n, m, y = [], [], [], []
    for row, x_t in enumerate(x):
        q, k, v = x_t @ p.W_q + p.b_q, x_t @ p.W_k / np.sqrt(3) + p.b_k, x_t @ p.W_v + p.b_v
        i, log_f = x_t @ p.w_i + p.b_i, np.log(sigmoid(x_t @ p.w_f + p.b_f))
        m.append(np.maximum(log_f + state.m[row], i))
        kept, let_in = np.exp(log_f + state.m[row] - m[-1]), np.exp(i - m[-1])
        memory.append(kept * state.C[row] + let_in * np.outer(v, k))
        n.append(kept * state.n[row] + let_in * k)
        h = memory[-1] @ q / max(abs(n[-1] @ q), np.exp(-m[-1][0]))
        y.append((sigmoid(x_t @ p.W_o + p.b_o) * h) @ p.W_down)
    return MLSTMState(np.stack(memory), np.stack(n), np.stack(m)), np.stack(y)


def test_mlstm_is_its_equations_step_by_step_and_in_chunks(monkeypatch):
    monkeypatch.setattr(xlstm, "CHUNK", 3)  # of 7 steps: two chunks, and one filled up
    cell_reference.check_equations(MLSTM, mlstm_step)
