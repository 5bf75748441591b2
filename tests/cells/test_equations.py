"""Cells are their equations in NumPy and float64."""

import cell_equations as of
import cell_reference
import pytest

from echo_jax.cells import known_memory
from echo_jax.cells.adapt import adapt
from echo_jax.cells.block import Block
from echo_jax.cells.matrix_state import delta_net, mamba2, mlstm, rwkv7
from echo_jax.cells.matrix_state.gated_linear_attention import GLACell
from echo_jax.cells.vector_state import (
    delay_line_mlp,
    exprnn,
    flax_rnns,
    lmu,
    lru,
    lstm,
    minimal_rnns,
    s5,
    slstm,
)

FAR = {
    "lstm": (lstm.LSTMCell(4), of.lstm_step),
    "identity rnn": (flax_rnns.IdentityRNNCell(4), of.identity_rnn_step),
    "mingru": (minimal_rnns.MinGRUCell(4), of.min_gru_step),
    "minlstm": (minimal_rnns.MinLSTMCell(4), of.min_lstm_step),
    "lru": (lru.LRUCell(4, 7, 0.5, 1.0, 1.0, recurrent_rate=0.3), of.lru_step(0.3)),
    "mlp": (delay_line_mlp.DelayLineMLP(4, 3), of.perceptron_step),
    "shift register": (known_memory.ShiftRegister(4), of.shift_register_step),
    "projected register": (
        known_memory.ProjectedRegister(4, 2),
        lambda p, slots, x: of.shift_register_step(p, slots, x @ p["W"]),
    ),
    "reservoir": (known_memory.OrthogonalReservoir(6, scale=0.8), of.reservoir_step),
    "present input": (known_memory.PresentInput(6), lambda p, s, x: (x @ p["W"], x @ p["W"])),
    "exprnn": (exprnn.ExpRNNCell(5, recurrent_rate=0.5), of.exprnn_step),
}
"""Cells, each with its equations, at weights that are far from their initial values."""
NEAR = {
    "s5": (s5.S5Cell(4, state_size=6, blocks=2), of.s5_step),
    "rg-lru": (lru.RGLRUCell(4), of.rg_lru_step),
    "lmu": (lmu.LMUCell(4, order=3, theta=6.5, memories=2), of.lmu_step),
    "slstm": (slstm.SLSTMCell(4, heads=2), of.slstm_step),
    "mlstm": (mlstm.MLSTMCell(4, key_size=3, value_size=2), of.mlstm_step),
    "delta-net": (delta_net.DeltaNetCell(4, key_size=3, value_size=2), of.delta_net_step),
    "gated-delta-net": (delta_net.GatedDeltaNetCell(4), of.gated_delta_net_step),
    "gla": (GLACell(4, key_size=2, value_size=3, rank=2), of.gla_step),
    "mamba2": (mamba2.Mamba2Cell(4, key_size=2, value_size=3), of.mamba2_step),
    "rwkv7": (rwkv7.RWKV7Cell(4, heads=2, head_size=3, rank=2, gate_rank=5), of.rwkv7_step),
    "attention cache": (known_memory.AttentionCache(4, slots=3, size=2), of.cache_step),
    "block": (Block(minimal_rnns.MinLSTMCell(4), width=6, layers=2), of.block_step),
}
"""The same at weights near to their initial values."""


@pytest.mark.parametrize("name", FAR | NEAR)
def test_a_cell_is_its_equations_step_by_step_at_once_and_in_parallel(name):
    cell, equations = (FAR | NEAR)[name]
    scale, atol = 0.4 if name in FAR else 0.1, 1e-4 if name == "block" else 2e-5
    cell_reference.check_equations(adapt(cell), equations, scale, atol)
