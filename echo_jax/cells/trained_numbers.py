"""How many numbers of a cell are trained: those to which its `prepare` passes a gradient."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import Cell, CellParams
from echo_jax.jax_settings import GENERATOR


def trained_numbers(cell: Cell, input_size: int, trained: Sequence[bool] = ()) -> int:
    """The numbers of the arrays of a cell that training changes, for inputs of F features.

    Args:
      cell: any.
      input_size: F.
      trained: those of `trained_arrays` if they are known, for a cell of any size.
    """
    sizes = [leaf.size for leaf in jax.tree.leaves(jax.eval_shape(lambda: first(cell, input_size)))]
    trained = trained or trained_arrays(cell, input_size)
    return sum(n for n, counts in zip(sizes, trained, strict=True) if counts)


def trained_arrays(cell: Cell, input_size: int) -> list[bool]:
    """For each array of a cell whether training changes it.

    Arrays that `prepare` hands on by `stop_gradient` stay as they are. Of a layer of PyTorch all
    count.
    """
    if cell.framework:
        return [True] * len(jax.tree.leaves(jax.eval_shape(lambda: first(cell, input_size))))
    params = first(cell, input_size)
    # Not through a step: there 22 of the 23 arrays of RWKV-7 have a zero gradient at first.
    prepared, pull = jax.vjp(cell.prepare, params)
    gradients = jax.tree.leaves(pull(jax.tree.map(jnp.ones_like, prepared))[0])
    return [bool(jnp.any(x)) for x in gradients]


def first(cell: Cell, input_size: int) -> CellParams:
    """Some first parameters."""
    key: chex.PRNGKey = jax.random.key(0, impl=GENERATOR)
    return cell.init(key, input_size)
