"""Cells by name: the built-in classes, and a user's own, see `user_cell`."""

from types import ModuleType
from typing import Any

from flax import linen as nn

from echo_jax.cells import user_cell
from echo_jax.cells.adapters.adapt import adapt, construct, options_of
from echo_jax.cells.block import BlockOf
from echo_jax.cells.interface import Cell
from echo_jax.cells.matrix_state.delta_net import DeltaNetCell, GatedDeltaNetCell
from echo_jax.cells.matrix_state.gated_linear_attention import GLACell
from echo_jax.cells.matrix_state.mamba2 import Mamba2Cell
from echo_jax.cells.matrix_state.rwkv7 import RWKV7Cell
from echo_jax.cells.matrix_state.xlstm import MLSTMCell, SLSTMCell
from echo_jax.cells.vector_state.delay_line_mlp import DelayLineMLP
from echo_jax.cells.vector_state.exprnn import ExpRNNCell
from echo_jax.cells.vector_state.identity_rnn import IdentityRNNCell
from echo_jax.cells.vector_state.lmu import LMUCell
from echo_jax.cells.vector_state.lru import LRUCell
from echo_jax.cells.vector_state.lstm import ChronoLSTMCell, LSTMCell
from echo_jax.cells.vector_state.minimal_rnns import MinGRUCell, MinLSTMCell
from echo_jax.cells.vector_state.rg_lru import RGLRUCell
from echo_jax.cells.vector_state.s5 import S5Cell
from echo_jax.config import BLOCK, PARTS, NetworkConfig, is_built_in
from echo_jax.exceptions import ConfigError, reason

CELLS: dict[str, type] = {
    "lstm": LSTMCell,
    "gru": nn.GRUCell,
    "optimized-lstm": nn.OptimizedLSTMCell,
    "simple": nn.SimpleCell,
    "mlp": DelayLineMLP,
    "lstm-chrono": ChronoLSTMCell,
    "identity-rnn": IdentityRNNCell,
    "mingru": MinGRUCell,
    "lru": LRUCell,
    "minlstm": MinLSTMCell,
    "rg-lru": RGLRUCell,
    "slstm": SLSTMCell,
    "delta-net": DeltaNetCell,
    "gated-delta-net": GatedDeltaNetCell,
    "mlstm": MLSTMCell,
    "mamba2": Mamba2Cell,
    "exprnn": ExpRNNCell,
    "rwkv7": RWKV7Cell,
    "lmu": LMUCell,
    "gla": GLACell,
    "s5": S5Cell,
}
"""The classes of `config.CELL_NAMES`."""


def cell_class(name: str) -> Any:
    """The class of a built-in name, or what a user's name stands for; ConfigError if nothing."""
    NetworkConfig(cell=name)  # checks the form of the name
    if name.startswith(BLOCK):
        return BlockOf(cell_class(name.removeprefix(BLOCK)))
    return CELLS[name] if name in CELLS else user_cell.import_cell(name)


def source_digest(name: str) -> str | None:
    """The SHA-256 of the file of a user's cell, alone or in a block; None for a built-in cell."""
    if is_built_in(name):
        return None
    found = cell_class(name.removeprefix(BLOCK))
    written = found if isinstance(found, type | ModuleType) else adapt(found).source
    return user_cell.source_digest(written)


def check_source(name: str, expected: str | None) -> None:
    """Raise ConfigError where a user's cell has another text in this process than expected."""
    if expected is not None and source_digest(name) != expected:
        raise ConfigError(
            f"cell {name!r} has another text on this worker than where the command was started: "
            "install the same there, or start the worker anew"
        )


def build_cell(config: NetworkConfig, window: int) -> Cell:
    """The cell of a configuration, with H features; ConfigError if it cannot be built.

    The delay line of the cell mlp is as long as the window, unless the configuration sets it.
    """
    if config.cell == "mlp":
        return adapt(DelayLineMLP(config.hidden_size, config.delay_line or window))
    found = cell_class(config.cell)
    sized = {"features": config.hidden_size} if options_of(found) else {}
    defaults = {part.network.hidden_size for part in PARTS.values()}
    if not sized and config.hidden_size not in defaults:
        raise ConfigError(
            f"hidden size {config.hidden_size} has no effect on cell {config.cell!r}, whose "
            "functions have a size of their own: leave it out"
        )
    try:
        return construct(found, sized)
    except BaseException as error:  # user code may raise anything
        raise ConfigError(
            f"cell {config.cell!r} cannot be built with features={config.hidden_size} "
            f"({reason(error)}): give it a field `features` and a default for every other "
            "one"
        ) from error
