import cell_reference
import jax
import numpy as np
import pytest
from cell_reference import gelu, min_lstm_step, silu

from echo_jax.cells import registry
from echo_jax.cells.block import Block
from echo_jax.cells.registry import build_cell
from echo_jax.cells.vector_state.minimal_rnns import MinLSTMCell
from echo_jax.config import NetworkConfig

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


def test_a_block_is_named_before_any_cell_and_its_arguments_go_to_the_cell():
    cell = registry.build("block:gru", {"layers": 2, "width": 8, "features": 5})
    assert (cell.layers, cell.width, cell.options.features) == (2, 8, 5)
    shapes = jax.eval_shape(lambda: cell.initial_state(cell.init(jax.random.key(0), 3), 2, 3))
    assert [leaf.shape for leaf in jax.tree.leaves(shapes)] == [(2, 3, 8), (2, 5)] * 2
    trained = build_cell(NetworkConfig(cell="block:minlstm", hidden_size=7), 5)
    assert trained == Block(MinLSTMCell(7))


def test_filters_start_uniform_within_a_half():
    """As those of PyTorch: 1 / sqrt(inputs of a filter), of which there are 4."""
    conv = Block(MinLSTMCell(4), width=99).init(jax.random.key(0), 3).layers[0].conv
    assert np.abs(conv).max() == pytest.approx(0.5, abs=0.01)
