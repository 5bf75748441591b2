"""Adapt a cell of Flax Linen as a `Cell`."""

import dataclasses
from typing import Any, ClassVar

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.interface import Carry, Cell, CellError, CellParams, Mask
from echo_jax.jax_settings import GENERATOR


@dataclasses.dataclass(frozen=True)
class LinenCell(Cell):
    """A Linen cell, whose weights are its collection `params`, and whose state is its carry.

    If the module has a method `scan(carry, xs, mask)`, `scan` calls this method.

    Attributes:
      module: the Linen module.
    """

    module: nn.RNNCellBase
    starts_from_params: ClassVar = False
    names: ClassVar = {"init": "__call__", "step": "__call__", "initial_state": "initialize_carry"}

    @property
    def has_scan(self) -> bool:  # type: ignore[override]
        return hasattr(self.module, "scan")

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        carry = self.initial_state(None, 1, input_size)
        variables: Any = self.module.init(key, carry, jnp.zeros((1, input_size)))
        if extra := sorted(set(variables) - {"params"}):
            raise CellError(
                f"keeps variables in {', '.join(extra)}: move what it learns to `params`, and what "
                "it remembers to its carry"
            )
        return variables.get("params", {})

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        """Return the carry of `initialize_carry`, which does not depend on `params`."""
        # Linen allows a random carry; with this key it is the same for all seeds.
        key = jax.random.key(0, impl=GENERATOR)
        return self.module.initialize_carry(key, (batch_size, input_size))

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        return self.module.apply({"params": params}, state, x)

    def scan(
        self, params: CellParams, state: Carry, xs: chex.Array, mask: Mask = None
    ) -> tuple[Carry, chex.Array]:
        if not self.has_scan:
            return super().scan(params, state, xs, mask)
        return self.module.apply({"params": params}, state, xs, mask, method="scan")

    @property
    def source(self) -> type[nn.RNNCellBase]:
        return type(self.module)

    @property
    def options(self) -> nn.RNNCellBase:
        return self.module
