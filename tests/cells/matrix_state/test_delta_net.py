import cell_reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_reference import sigmoid, silu

from echo_jax.cells.matrix_state import delta_net
from echo_jax.cells.matrix_state.delta_net import DeltaNetCell, DeltaTerms, GatedDeltaNetCell

DELTA, GATED = DeltaNetCell(4, key_size=3, value_size=2), GatedDeltaNetCell(4)


def unit(z):
    return z / np.sqrt((z**2).sum(-1, keepdims=True) + 1e-6)


def delta_net_step(p, memory, x, alpha=1.0, gate=1.0):
    """Row by row, with the transition matrix of the paper, alpha (I - beta k k^T)."""
    q, k, v = unit(silu(x @ p.W_q)), unit(silu(x @ p.W_k)), silu(x @ p.W_v)
    beta = sigmoid(x @ p.W_beta)
    alpha, gate = np.broadcast_to(alpha, beta.shape), np.broadcast_to(gate, v.shape)
    after, ys = [], []
    for row in range(len(x)):
        transition = alpha[row] * (np.eye(k.shape[1]) - beta[row] * np.outer(k[row], k[row]))
        after.append(memory[row] @ transition + beta[row] * np.outer(v[row], k[row]))
        o = after[-1] @ q[row]
        o = gate[row] * p.gain * o / np.sqrt(np.mean(o**2) + 1e-5)
        ys.append(o @ p.W_o)
    return np.stack(after), np.stack(ys)


def gated_delta_net_step(p, memory, x):
    softplus = np.log1p(np.exp(x @ p.W_alpha + p.dt_bias))
    alpha = np.exp(-np.exp(p.A_log) * softplus)
    return delta_net_step(p, memory, x, alpha, silu(x @ p.W_g))


CELLS = {"delta-net": (DELTA, delta_net_step), "gated-delta-net": (GATED, gated_delta_net_step)}


@pytest.mark.parametrize("name", CELLS)
def test_a_delta_net_is_its_equations_step_by_step_and_in_chunks(name, monkeypatch):
    monkeypatch.setattr(delta_net, "CHUNK", 3)  # of 7 steps: two chunks, and one filled up
    cell_reference.check_equations(*CELLS[name])


def test_decays_whose_product_is_lost_to_rounding_give_finite_gradients_in_chunks():
    rng = np.random.default_rng(0)

    def total(log_alpha):
        q, k, v = (jnp.float32(rng.normal(size=(9, 1, 2))) for _ in range(3))
        terms = DeltaTerms(q, k, v, jnp.full((9, 1, 1), 0.5), log_alpha)
        return DeltaNetCell(2).parallel(None, jnp.ones((1, 2, 2)), terms, None)[1].sum()

    gradient = jax.jit(jax.grad(total))(np.full((9, 1, 1), -60.0))
    assert np.isfinite(gradient).all()
