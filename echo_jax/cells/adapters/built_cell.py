"""The base of cells of a class that is built anew for each seed, by NNX or Equinox."""

import dataclasses
import types
from typing import Any

from echo_jax.cells.interface import Cell


@dataclasses.dataclass(frozen=True)
class BuiltCell(Cell):
    """A class whose constructor takes the input size, and its other arguments by name."""

    cell_class: Any
    given: tuple[tuple[str, Any], ...]
    """The other arguments of the constructor, by name."""

    @property
    def source(self) -> Any:
        """The class of the cell."""
        return self.cell_class

    @property
    def options(self) -> Any:
        """The arguments given, as attributes."""
        return types.SimpleNamespace(**dict(self.given))
