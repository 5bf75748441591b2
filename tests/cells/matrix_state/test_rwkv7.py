import cell_reference
import jax
import numpy as np
from cell_reference import sigmoid

from echo_jax.cells.matrix_state.rwkv7 import RWKV7Cell

CELL = RWKV7Cell(4, heads=2, head_size=3, rank=2, gate_rank=5)


def rwkv7_step(p, state, x):
    """Row by row and head by head, with the transition matrix of the paper."""
    before, memory = state
    mixed = {i: x + getattr(p, f"mu_{i}") * (before - x) for i in "rkvwag"}
    r, key, v = (mixed[i] @ getattr(p, f"W_{i}") for i in "rkv")
    w = np.exp(-np.exp(-0.5) * sigmoid(p.w0 + np.tanh(mixed["w"] @ p.w1) @ p.w2))
    a = sigmoid(p.a0 + mixed["a"] @ p.a1 @ p.a2)
    gate = sigmoid(mixed["g"] @ p.g1) @ p.g2
    k = key * (1 - p.alpha + a * p.alpha)
    new, out = np.zeros_like(memory), np.zeros_like(v)
    for row in range(len(x)):
        for head in range(memory.shape[1]):
            at = slice(3 * head, 3 * head + 3)
            kappa = (key * p.xi)[row, at]
            kappa = kappa / np.linalg.norm(kappa)
            transition = np.diag(w[row, at]) - np.outer(kappa, a[row, at] * kappa)
            new[row, head] = memory[row, head] @ transition + np.outer(v[row, at], k[row, at])
            o = new[row, head] @ r[row, at]
            o = (o - o.mean()) / np.sqrt(o.var() + 64e-5) * p.gain[at] + p.bias[at]
            out[row, at] = o + (r[row, at] * p.rho[at]) @ k[row, at] * v[row, at]
    return (x, new), (gate * out) @ p.W_o


def test_rwkv7_is_its_equations_step_by_step_and_at_once():
    cell_reference.check_equations(CELL, rwkv7_step)


def test_initial_values_are_those_of_the_authors_code():
    init = jax.jit(lambda key: RWKV7Cell(8, heads=2).init(key, 5))
    params = jax.tree.map(np.asarray, init(jax.random.key(0)))
    linear = np.linspace(-0.5, 0.5, 8)
    zigzag = np.tile([-1, -1 / 9, 1 / 9, 1], 2)  # in each head
    np.testing.assert_allclose(params.w0, -2.5 + 6 * linear + 2.5 * zigzag, atol=1e-6)
    np.testing.assert_allclose(params.a0, -0.19 + 0.4 * linear + 0.3 * zigzag, atol=1e-6)
    np.testing.assert_allclose(params.xi, 0.71 - 0.1 * linear, rtol=1e-6)
    for i, power in zip("rwkvag", (0.2, 0.9, 0.7, 0.7, 0.9, 0.2), strict=True):
        found = getattr(params, f"mu_{i}")
        np.testing.assert_allclose(found, [1 - (n / 5) ** power for n in range(5)], atol=1e-6)
    np.testing.assert_allclose(params.W_r @ params.W_r.T, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(params.W_k @ params.W_k.T, 0.01 * np.eye(5), atol=1e-6)
    np.testing.assert_allclose(params.w2.T @ params.w2, 0.01 * 32 / 8 * np.eye(8), atol=1e-6)
    assert not np.any(params.W_o)
