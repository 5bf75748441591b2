"""Adapt plain functions as a `Cell`."""

import dataclasses
import inspect
from typing import Any

import chex

from echo_jax.cells.interface import Carry, Cell, CellParams, Mask


@dataclasses.dataclass(frozen=True)
class FunctionsCell(Cell):
    """A cell made of the functions `init`, `initial_state`, `step` and maybe `scan` and `prepare`.

    The functions have the arguments and results of the methods of `Cell`.

    Attributes:
      functions: a module, a class or an object with the functions as attributes.
    """

    functions: Any

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        return self.functions.init(key, input_size)

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        return self.functions.initial_state(params, batch_size, input_size)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        return self.functions.step(params, state, x)

    @property
    def has_scan(self) -> bool:  # type: ignore[override]
        return self._own("scan") is not None

    def scan(
        self, params: CellParams, state: Carry, xs: chex.Array, mask: Mask = None
    ) -> tuple[Carry, chex.Array]:
        if not self.has_scan:
            return super().scan(params, state, xs, mask)
        return self.functions.scan(params, state, xs, mask)

    def prepare(self, params: CellParams) -> CellParams:
        prepare = self._own("prepare")
        return prepare(params) if prepare else params

    def _own(self, name: str) -> Any:
        """Return the function `name`, or None if it is missing.

        A function that the module of `functions` imported counts as missing.
        """
        found = getattr(self.functions, name, None)
        module = getattr(self.functions, "__file__", None) and self.functions.__name__
        return None if module and getattr(found, "__module__", None) != module else found

    @property
    def source(self) -> Any:
        """The module or class that defines the functions.

        For an object that merely collects functions, it is the function `step`.
        """
        functions = self.functions
        if isinstance(functions, type) or hasattr(functions, "__file__"):
            return functions
        loose = inspect.unwrap(getattr(functions.step, "func", functions.step))  # of a partial one
        return loose if not hasattr(type(functions), "step") else type(functions)

    @property
    def options(self) -> Any:
        return self.functions
