"""Cells of any library as a `Cell`."""

from typing import Any

from flax import linen as nn

from echo_jax.cells.interface import Cell
from echo_jax.cells.linen_adapter import LinenCell
from echo_jax.exceptions import ConfigError


def adapt(cell: Any) -> Cell:
    """A cell as a `Cell`; ConfigError for an object that is none."""
    if isinstance(cell, Cell):
        return cell
    if isinstance(cell, nn.RNNCellBase):
        return LinenCell(cell)
    raise ConfigError(f"{cell!r:.60} is no cell: use a flax.linen.RNNCellBase")
