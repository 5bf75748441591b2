"""Adapt a cell of Flax NNX as a `Cell`: its class builds a new one for each seed."""

import dataclasses
from typing import Any, ClassVar

import chex
import jax
from flax import nnx

from echo_jax.cells.adapters.built_cell import BuiltCell
from echo_jax.cells.interface import Carry, CellParams
from echo_jax.jax_settings import GENERATOR


@dataclasses.dataclass(frozen=True)
class NNXCell(BuiltCell):
    """An NNX cell, built as `cell_class(input_size, ..., rngs=rngs)`.

    Its weights are its `nnx.Param`s, and its state is its carry. The cell has the methods of
    `nnx.RNNCellBase`: `initialize_carry(input_shape, rngs)` and `cell(carry, x) -> carry, y`.
    """

    names: ClassVar = {"init": "__init__", "step": "__call__", "initial_state": "initialize_carry"}

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        """Return the values of the parameters, as nested dictionaries."""
        return nnx.to_pure_dict(nnx.split(self._built(key, input_size), nnx.Param)[1])

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        """Return the carry of `initialize_carry`, with an `rngs` that is the same for all seeds."""
        rngs = nnx.Rngs(jax.random.key(0, impl=GENERATOR))
        return self._with(params, input_size).initialize_carry((batch_size, input_size), rngs)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        return self._with(params, x.shape[-1])(state, x)

    def _built(self, key: chex.PRNGKey, input_size: int) -> Any:
        return self.cell_class(input_size, **dict(self.given), rngs=nnx.Rngs(key))

    def _with(self, params: CellParams, input_size: int) -> Any:
        structure, shapes = self._shapes(input_size)
        values = jax.tree.map(lambda leaf: leaf, shapes)  # a copy, which takes the parameters
        nnx.replace_by_pure_dict(values, params)
        return nnx.merge(structure, values)

    def _shapes(self, input_size: int) -> tuple[Any, Any]:
        """Return the structure of the cell, and the shapes of its parameters."""
        key = jax.random.key(0, impl=GENERATOR)
        # Shapes alone: every step asks for them, and must not draw weights again.
        return nnx.split(nnx.eval_shape(lambda: self._built(key, input_size)), nnx.Param)
