"""Count the numbers of a cell that training changes. Pure."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import (
    Cell,
    CellParams,
)
from echo_jax.jax_settings import GENERATOR


def trained_numbers(cell: Cell, input_size: int, trained: Sequence[bool] = ()) -> int:
    """Return how many of the numbers in the parameters of a cell are trained.

    Args:
      cell: the cell.
      input_size: F, the features of an input.
      trained: the result of `trained_arrays`, which does not depend on sizes; () to compute it.
    """
    sizes = [leaf.size for leaf in jax.tree.leaves(jax.eval_shape(lambda: first(cell, input_size)))]
    trained = trained or trained_arrays(cell, input_size)
    return sum(n for n, counts in zip(sizes, trained, strict=True) if counts)


def trained_arrays(cell: Cell, input_size: int) -> list[bool]:
    """Return, for each array of the cell's parameters, whether training changes the array.

    Arrays that `prepare` passes through `stop_gradient` are not trained. For a PyTorch layer, also
    in a block, all arrays count as trained. `input_size` is the number of features of an input.
    """
    if cell.framework:
        return [True] * len(jax.tree.leaves(jax.eval_shape(lambda: first(cell, input_size))))

    # As one program: one for each operation takes ten times as long to compile.
    @jax.jit
    def moved() -> CellParams:
        """Return for each array whether its gradient has a number other than 0."""
        # Not through a step: there 22 of the 23 arrays of RWKV-7 have a zero gradient at first.
        prepared, pull = jax.vjp(cell.prepare, first(cell, input_size))
        return jax.tree.map(jnp.any, pull(jax.tree.map(jnp.ones_like, prepared))[0])

    return [bool(x) for x in jax.tree.leaves(moved())]


def first(cell: Cell, input_size: int) -> CellParams:
    """Return initial parameters of a cell for inputs of `input_size` features.

    They are drawn from a fixed key.
    """
    key: chex.PRNGKey = jax.random.key(0, impl=GENERATOR)
    return cell.init(key, input_size)
