"""Recurrent cells: `echo_jax.cells.LRUCell` and its like load on first use, see `cell_table`.

vector_state, matrix_state    the cells, one file a family; `known_memory` has those of known memory
interface ─► projected_cell   the base of a cell, and of one whose products do not wait for it
scan, norms, initial_weights  the loop over time, and what several cells share
block                         layers around a cell
registry ─► user_cell         a cell by its name and its options; a user's own, which has a file
cell_arguments, cell_object   options in a text; a cell that a Python call hands over
door, adapters                the check of a user's cell; cells of Linen, NNX, Equinox and functions
"""

from typing import Any

from echo_jax.cell_table import CELLS

_BY_CLASS = {cell.home.partition(":")[2]: cell for cell in CELLS.values()}


def __getattr__(name: str) -> Any:
    """Import the built-in cell whose class has this name."""
    if name in _BY_CLASS:
        return _BY_CLASS[name].load()
    raise AttributeError(f"module 'echo_jax.cells' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted([*globals(), *_BY_CLASS])
