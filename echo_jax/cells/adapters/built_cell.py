"""The base of the adapters of NNX, Equinox and PyTorch: a cell that is built anew for each seed."""

import dataclasses
import types
from typing import Any

from echo_jax.cells.interface import Cell


@dataclasses.dataclass(frozen=True)
class BuiltCell(Cell):
    """A cell of such a library: its class, or a function, of which one is built anew for each seed.

    The constructor takes the input size, and its other arguments by name.
    """

    cell_class: Any
    given: tuple[tuple[str, Any], ...]
    """The other arguments of the constructor, by name."""

    @property
    def source(self) -> Any:
        return self.cell_class

    @property
    def options(self) -> Any:
        """The arguments given, as attributes."""
        return types.SimpleNamespace(**dict(self.given))
