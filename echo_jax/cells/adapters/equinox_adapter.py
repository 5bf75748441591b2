"""An Equinox cell as a `Cell`: mapped over the rows of a batch, its arrays handed in and out."""

import dataclasses
import functools
from typing import Any, ClassVar

import chex
import equinox as eqx
import jax
import jax.numpy as jnp

from echo_jax.cells.adapters.built_cell import BuiltCell
from echo_jax.cells.interface import CellParams
from echo_jax.cells.scan import Carry
from echo_jax.config import GENERATOR


@dataclasses.dataclass(frozen=True)
class EquinoxCell(BuiltCell):
    """An Equinox cell, built as `cell_class(input_size, ..., key=key)`, for one row.

    `cell(x, state)` returns the next state, as `eqx.nn.GRUCell` and `eqx.nn.LSTMCell` do; its
    first array is the output. The state starts from `cell.initial_state()` if there is such a
    method, else from zeros `[hidden_size]`: one array, or a pair where one is not taken. Its
    weights are its arrays.
    """

    names: ClassVar = {"init": "__init__", "step": "__call__"}

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        """The arrays of the cell by their paths."""
        return _by_path(eqx.filter(self._built(key, input_size), eqx.is_array))

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        """The state of each row."""
        state = _first_state(self._with(params, input_size), input_size)
        return jax.tree.map(lambda leaf: jnp.tile(leaf, (batch_size, *[1] * leaf.ndim)), state)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        """The cell with these parameters, for each row."""
        cell = self._with(params, x.shape[-1])
        state = jax.vmap(cell)(x, state)
        return state, jax.tree.leaves(state)[0]

    def _built(self, key: chex.PRNGKey, input_size: int) -> Any:
        return self.cell_class(input_size, **dict(self.given), key=key)

    def _with(self, params: CellParams, input_size: int) -> Any:
        shapes = self._shapes(input_size)
        arrays, rest = eqx.partition(shapes, _is_shape)
        paths, structure = jax.tree_util.tree_flatten_with_path(arrays)
        leaves = [params[jax.tree_util.keystr(path)] for path, _ in paths]
        return eqx.combine(jax.tree.unflatten(structure, leaves), rest)

    @functools.lru_cache(maxsize=64)  # noqa: B019  # of frozen cells, which are few
    def _shapes(self, input_size: int) -> Any:
        """The cell with shapes in the place of its arrays."""
        key = jax.random.key(0, impl=GENERATOR)
        return eqx.filter_eval_shape(self._built, key, input_size)


def _first_state(cell: Any, input_size: int) -> Any:
    """The state of one row before the first step."""
    if hasattr(cell, "initial_state"):
        return cell.initial_state()
    zeros = jnp.zeros(cell.hidden_size)
    try:
        jax.eval_shape(cell, jnp.zeros(input_size), zeros)
    except (TypeError, ValueError):  # it unpacks a pair
        return zeros, zeros
    return zeros


def _is_shape(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


def _by_path(tree: Any) -> dict[str, chex.Array]:
    """The leaves of a tree by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
