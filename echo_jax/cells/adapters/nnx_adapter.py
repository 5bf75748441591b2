"""A Flax NNX cell as a `Cell`: its parameters are taken out of it, and put back for each step."""

import dataclasses
import functools
import types
from typing import Any, ClassVar

import chex
import jax
from flax import nnx

from echo_jax.cells.interface import Cell, CellError, CellParams
from echo_jax.cells.scan import Carry
from echo_jax.config import GENERATOR


@dataclasses.dataclass(frozen=True)
class NNXCell(Cell):
    """An NNX cell, built as `cell_class(input_size, ..., rngs=rngs)`.

    Its weights are its `nnx.Param`s, its state is its carry: `initialize_carry(input_shape, rngs)`
    and `cell(carry, x) -> carry, y`, as of `nnx.RNNCellBase`.
    """

    cell_class: Any
    given: tuple[tuple[str, Any], ...]
    """The other arguments of the constructor, by name."""
    names: ClassVar = {"init": "__init__", "step": "__call__", "initial_state": "initialize_carry"}

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        """The values of the parameters, as nested dictionaries."""
        self._shapes(input_size)  # refuses other state
        return nnx.to_pure_dict(nnx.split(self._built(key, input_size))[1])

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        """The carry of `initialize_carry`, with an `rngs` that is the same for all seeds."""
        rngs = nnx.Rngs(jax.random.key(0, impl=GENERATOR))
        return self._with(params, input_size).initialize_carry((batch_size, input_size), rngs)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        """`__call__` of the cell with these parameters."""
        return self._with(params, x.shape[-1])(state, x)

    @property
    def source(self) -> Any:
        """The class of the cell."""
        return self.cell_class

    @property
    def options(self) -> Any:
        """The arguments given, as attributes."""
        return types.SimpleNamespace(**dict(self.given))

    def _built(self, key: chex.PRNGKey, input_size: int) -> Any:
        return self.cell_class(input_size, **dict(self.given), rngs=nnx.Rngs(key))

    def _with(self, params: CellParams, input_size: int) -> Any:
        """The cell with these parameters."""
        structure, shapes = self._shapes(input_size)
        values = jax.tree.map(lambda leaf: leaf, shapes)  # a copy, which takes the parameters
        nnx.replace_by_pure_dict(values, params)
        return nnx.merge(structure, values)

    @functools.lru_cache(maxsize=64)  # noqa: B019  # of frozen cells, which are few
    def _shapes(self, input_size: int) -> tuple[Any, Any]:
        """The structure of the cell and the shapes of its parameters; CellError for other state."""
        key = jax.random.key(0, impl=GENERATOR)
        structure, values = nnx.split(nnx.eval_shape(lambda: self._built(key, input_size)))
        others = {
            type(leaf).__name__
            for leaf in jax.tree.leaves(values, is_leaf=lambda x: isinstance(x, nnx.Variable))
            if not isinstance(leaf, nnx.Param)
        }
        if others:
            raise CellError(
                f"keeps state in {', '.join(sorted(others))}: make what it learns an nnx.Param, "
                "and return what it remembers in its carry"
            )
        return structure, values
