import cell_reference
import numpy as np
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
