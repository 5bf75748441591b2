"""Describe the state of a cell: its numbers side by side, their count and their bytes. Pure."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.block import Block
from echo_jax.cells.interface import Carry, Cell
from echo_jax.jax_settings import GENERATOR


def state_numbers(cell: Cell, input_size: int) -> dict[str, int]:
    """Return how many numbers of each type the state of one row has, by the name of the type.

    `input_size` is the number of features of an input. A complex number counts as two numbers of
    the type of its parts. For a block, the states of the cells of all layers count, whose inputs
    have the width of the block; the last inputs of its convolutions do not count.
    """
    if isinstance(cell, Block):
        of_layer = state_numbers(cell.cell, cell.width)
        return {name: cell.layers * count for name, count in of_layer.items()}
    found = dict[str, int]()
    for leaf in jax.tree.leaves(jax.eval_shape(lambda: first_state(cell, input_size))):
        # finfo names the type of the two parts of a complex number.
        of = jnp.finfo(leaf.dtype).dtype if jnp.issubdtype(leaf.dtype, np.inexact) else leaf.dtype
        parts = 2 if jnp.issubdtype(leaf.dtype, np.complexfloating) else 1
        found[of.name] = found.get(of.name, 0) + parts * leaf.size
    return {name: count for name, count in found.items() if count}


def state_bytes(cell: Cell, input_size: int) -> int:
    """Return the bytes of the state of one row of `cell`, for inputs of `input_size` features.

    `state_numbers` says which numbers count.
    """
    numbers = state_numbers(cell, input_size)
    return sum(jnp.dtype(name).itemsize * count for name, count in numbers.items())


def first_state(cell: Cell, input_size: int) -> Carry:
    """Return the initial state of `cell` for one row and inputs of `input_size` features.

    The weights are drawn from a fixed key, because the callers need only shapes and types.
    """
    params = cell.init(jax.random.key(0, impl=GENERATOR), input_size)
    return cell.initial_state(params, 1, input_size)


def own_state(cell: Cell, state: Carry) -> Carry:
    """Return `state`, the state of `cell`, or for a block the state of the cell in each layer."""
    return [layer.cell for layer in state] if isinstance(cell, Block) else state


def flat_state(cell: Cell, state: Carry, rows: int) -> chex.Array:
    """Return the numbers of `own_state(cell, state)` side by side, float32 `[rows, n]`.

    `rows` is the number of rows of `state`, and n the number of numbers of a row, where a complex
    number counts as two.
    """
    leaves = jax.tree.leaves(own_state(cell, state))
    reals = [part for x in leaves for part in ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,))]
    flat = [jnp.reshape(x, (rows, -1)).astype(jnp.float32) for x in reals]
    return jnp.concatenate([jnp.zeros((rows, 0)), *flat], axis=-1)
