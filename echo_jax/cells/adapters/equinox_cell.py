"""Adapt a cell of Equinox as a `Cell`: its class builds a new one for each seed."""

import dataclasses
from typing import Any, ClassVar

import chex
import equinox as eqx
import jax
import jax.numpy as jnp

from echo_jax.cells.adapters.built_cell import BuiltCell
from echo_jax.cells.interface import Carry, CellParams
from echo_jax.jax_settings import GENERATOR


@dataclasses.dataclass(frozen=True)
class EquinoxCell(BuiltCell):
    """An Equinox cell, built as `cell_class(input_size, ..., key=key)`, for one row.

    `cell(x, state)` returns the next state, as `eqx.nn.GRUCell` and `eqx.nn.LSTMCell` do; the first
    array of the next state is the output. The state starts from `cell.initial_state()` if the cell
    has this method. Otherwise the state starts from zeros `[hidden_size]`: one array, or a pair of
    arrays if the cell does not take one array. The weights are the arrays of the cell.
    """

    names: ClassVar = {"init": "__init__", "step": "__call__"}

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        """Return the cell with None in place of everything that is not an array."""
        return eqx.filter(self._built(key, input_size), eqx.is_array)

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        state = _first_state(self._with(params, input_size), input_size)
        # Cells of Equinox know no batch: each row gets the state, and `step` maps over rows.
        return jax.tree.map(lambda leaf: jnp.tile(leaf, (batch_size, *[1] * leaf.ndim)), state)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        cell = self._with(params, x.shape[-1])
        state = jax.vmap(cell)(x, state)
        return state, jax.tree.leaves(state)[0]

    def _built(self, key: chex.PRNGKey, input_size: int) -> Any:
        return self.cell_class(input_size, **dict(self.given), key=key)

    def _with(self, params: CellParams, input_size: int) -> Any:
        return eqx.combine(params, self._without_arrays(input_size))

    def _without_arrays(self, input_size: int) -> Any:
        """Return the cell with None in place of each array."""
        key = jax.random.key(0, impl=GENERATOR)
        # Shapes alone: every step asks for this, and must not draw weights again.
        shapes = eqx.filter_eval_shape(self._built, key, input_size)
        return eqx.filter(shapes, lambda x: isinstance(x, jax.ShapeDtypeStruct), inverse=True)


def _first_state(cell: Any, input_size: int) -> Any:
    if hasattr(cell, "initial_state"):
        return cell.initial_state()
    # Cells of Equinox 0.13 have no first state: GRUCell takes an array as one, LSTMCell a pair.
    zeros = jnp.zeros(cell.hidden_size)
    try:
        jax.eval_shape(cell, jnp.zeros(input_size), zeros)
    except (TypeError, ValueError):  # it unpacks a pair
        return zeros, zeros
    return zeros
