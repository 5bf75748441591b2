import cell_reference
import numpy as np
import pytest
from cell_reference import sigmoid, silu

from echo_jax.cells.matrix_state.gated_linear_attention import GLACell

CELL = GLACell(4, key_size=2, value_size=3, rank=2)


def gla_step(p, state, x):
    alpha = sigmoid(x @ p.W_alpha1 @ p.W_alpha2 + p.b_alpha) ** (1 / 16)
    q, k, v = x @ p.W_Q / np.sqrt(2), x @ p.W_K, x @ p.W_V
    state = alpha[:, :, None] * state + np.einsum("bk,bv->bkv", k, v)
    o = np.einsum("bk,bkv->bv", q, state)
    centred = o - o.mean(-1, keepdims=True)
    normalised = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return state, silu(x @ p.W_r + p.b_r) * normalised @ p.W_O


def test_gla_is_its_equations_step_by_step_at_once_and_in_parallel():
    cell_reference.check_equations(CELL, gla_step)


def test_gla_starts_with_the_weights_of_its_authors_and_forgets_little():
    params = cell_reference.initial(GLACell(300), 200)
    glorot = 2**-2.5 * np.sqrt(6)
    limits = {
        "W_Q": glorot / np.sqrt(350), "W_K": glorot / np.sqrt(350), "W_V": 200**-0.5,
        "W_alpha1": glorot / np.sqrt(216), "W_alpha2": glorot / np.sqrt(166), "b_alpha": 1 / 4,
        "W_r": 200**-0.5, "b_r": 200**-0.5, "W_O": 300**-0.5,
    }  # fmt: skip
    for name, limit in limits.items():
        weights = np.asarray(getattr(params, name))
        assert 0.97 * limit < np.max(np.abs(weights)) <= limit, name
        assert np.std(weights) == pytest.approx(limit / np.sqrt(3), rel=0.07), name
    alpha = sigmoid(np.asarray(params.b_alpha)) ** (1 / 16)
    assert np.mean(alpha) == pytest.approx(0.5 ** (1 / 16), abs=1e-3)
