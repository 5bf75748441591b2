import cell_reference
import numpy as np
import pytest
from cell_reference import gelu, min_lstm_step, silu

from echo_jax.cells.block import Block
from echo_jax.cells.vector_state.minimal_rnns import MinLSTMCell

BLOCK = Block(MinLSTMCell(4), width=6, layers=2)


def rms_norm(x, scale):
    return scale * x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6)


def block_step(p, state, x):
    x, states = x @ p.W_in, []
    for q, (past, h) in zip(p.layers, state, strict=True):
        inputs = [rms_norm(x, q.norm), past[:, 0], past[:, 1], past[:, 2]]  # newest first
        u = q.conv_bias + sum(inputs[n] * q.conv[n] for n in range(4))
        new, y = min_lstm_step(q.cell, h, silu(u))
        x = x + y @ q.W + q.b
        x = x + gelu(rms_norm(x, q.mlp_norm) @ q.W1) @ q.W2
        states.append((np.stack(inputs[:3], axis=1), new))
    return tuple(states), rms_norm(x, p.norm)


def test_a_block_is_its_equations_step_by_step_and_at_once():
    cell_reference.check_equations(BLOCK, block_step, atol=1e-4)


@pytest.mark.slow
def test_gradients_of_a_block_are_finite_differences():
    cell_reference.check_gradients(BLOCK, atol=1e-4)


@pytest.mark.slow
def test_a_block_stays_finite():
    cell_reference.check_long_run(BLOCK)
