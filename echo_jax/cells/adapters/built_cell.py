"""Hold the class of a cell that its library builds anew for each seed."""

import dataclasses
import types
from typing import Any

from echo_jax.cells.interface import Cell


@dataclasses.dataclass(frozen=True)
class BuiltCell(Cell):
    """A cell whose class or function builds a new object of its library for each seed.

    The constructor takes the input size, and its other arguments by name.
    """

    cell_class: Any
    """The class or the function that builds the object."""
    given: tuple[tuple[str, Any], ...]
    """The names and values of the other arguments of the constructor."""

    @property
    def source(self) -> Any:
        return self.cell_class

    @property
    def options(self) -> Any:
        """An object whose attributes are the arguments in `given`."""
        return types.SimpleNamespace(**dict(self.given))
