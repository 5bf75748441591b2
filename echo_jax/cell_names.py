"""List the built-in cells: the module, title, paper and published learning rate of each.

This module imports neither cells nor jax; `BuiltInCell.load` imports a cell when it is used.
"""

import importlib
from typing import Any, NamedTuple


class BuiltInCell(NamedTuple):
    """A built-in cell.

    home   its class, as module:NAME, where the module is given without `echo_jax.cells.`
    title  the name that people read, which ends at the first comma, and more about the cell
    paper  the authors and year of its paper, or "-"
    """

    home: str
    title: str
    paper: str

    def load(self) -> Any:
        """Return the class of the cell, after importing its module."""
        module, _, name = self.home.partition(":")
        home = module if module.startswith("flax.") else f"echo_jax.cells.{module}"
        return getattr(importlib.import_module(home), name)


# By name: the home, the title and the paper.
_CELLS = {
    "lstm": ("vector_state.lstm:LSTMCell", "LSTM, as in Keras", "Hochreiter & Schmidhuber 1997"),
    "gru": ("vector_state.flax_rnns:GRUCell", "GRU, of Flax", "Cho et al. 2014"),
    "optimized-lstm": (
        "flax.linen:OptimizedLSTMCell",
        "optimized LSTM, of Flax",
        "Hochreiter & Schmidhuber 1997",
    ),
    "simple": ("vector_state.flax_rnns:SimpleCell", "tanh RNN, of Flax", "Elman 1990"),
    "mlp": ("vector_state.delay_line_mlp:DelayLineMLP", "MLP on a delay line", "-"),
    "lstm-chrono": ("vector_state.lstm:ChronoLSTMCell", "chrono LSTM", "Tallec & Ollivier 2018"),
    "identity-rnn": ("vector_state.flax_rnns:IdentityRNNCell", "identity RNN", "Le et al. 2015"),
    "mingru": ("vector_state.minimal_rnns:MinGRUCell", "minGRU", "Feng et al. 2024"),
    "lru": ("vector_state.lru:LRUCell", "LRU", "Orvieto et al. 2023"),
    "minlstm": ("vector_state.minimal_rnns:MinLSTMCell", "minLSTM", "Feng et al. 2024"),
    "rg-lru": ("vector_state.lru:RGLRUCell", "RG-LRU", "De et al. 2024"),
    "slstm": ("vector_state.slstm:SLSTMCell", "sLSTM", "Beck et al. 2024"),
    "delta-net": ("matrix_state.delta_net:DeltaNetCell", "DeltaNet", "Yang et al. 2024b"),
    "gated-delta-net": (
        "matrix_state.delta_net:GatedDeltaNetCell",
        "gated DeltaNet",
        "Yang et al. 2025",
    ),
    "mlstm": ("matrix_state.mlstm:MLSTMCell", "mLSTM", "Beck et al. 2024"),
    "mamba2": ("matrix_state.mamba2:Mamba2Cell", "Mamba-2", "Dao & Gu 2024"),
    "exprnn": ("vector_state.exprnn:ExpRNNCell", "expRNN", "Lezcano-Casado & Martinez-Rubio 2019"),
    "rwkv7": ("matrix_state.rwkv7:RWKV7Cell", "RWKV-7", "Peng et al. 2025"),
    "lmu": ("vector_state.lmu:LMUCell", "LMU", "Voelker et al. 2019"),
    "gla": (
        "matrix_state.gated_linear_attention:GLACell",
        "GLA, gated linear attention",
        "Yang et al. 2024a",
    ),
    "s5": ("vector_state.s5:S5Cell", "S5", "Smith et al. 2023"),
}
CELLS = {name: BuiltInCell(*cell) for name, cell in _CELLS.items()}
"""The built-in cells by the names that --cell takes."""

ANCHORS = {
    "ProjectedRegister": "register",
    "RingReservoir": "ring reservoir",
    "OrthogonalReservoir": "orthogonal reservoir",
    "AttentionCache": "attention cache",
    "PresentInput": "present input",
    "FrozenDeltaNet": "DeltaNet, not trained",
    "FrozenLinearAttention": "GLA, not trained",
    "RecallTable": "table of pairs",
    "ValueList": "list of values",
}
"""The names that people read of the cells that measured cells are compared with.

The keys are the names of their classes in `echo_jax.cells.known_memory`.
"""


def name_shown(cell: str) -> str:
    """Return the name that people read of a cell in `CELLS` or `ANCHORS`, or else `cell` itself."""
    return CELLS[cell].title.partition(",")[0] if cell in CELLS else ANCHORS.get(cell, cell)


_RATES = {
    0.001: "minlstm simple",
    0.003: "delta-net gated-delta-net gla identity-rnn lmu lstm lstm-chrono mamba2 mlstm rg-lru"
    " rwkv7 FrozenLinearAttention ProjectedRegister",
    0.01: "gru lru mingru s5 slstm AttentionCache RingReservoir",
    0.03: "exprnn FrozenDeltaNet OrthogonalReservoir",
    0.1: "PresentInput",
}
RATES_BY_KEY = {
    name if name in CELLS else f"echo_jax.cells.known_memory:{name}": rate
    for rate, names in _RATES.items()
    for name in names.split()
}
"""The learning rate for the questions by key, for each cell that has a published card in a block.

The pilot of the published card chose the rate. The keys are names as after --cell.
"""
