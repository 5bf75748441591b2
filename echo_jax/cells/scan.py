"""A scan of a cell over time with masked steps, and the interface of cells with a fast form.

A `HoistedCell` projects the inputs of all its steps before the scan, in one product; only the
recurrent part stays inside.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import chex
import jax
import jax.numpy as jnp

Carry = Any
"""The state of a cell: the tree of arrays that its `initialize_carry` returns, batch axis first."""

Mask: TypeAlias = chex.Array | None
"""Bool `[W, B]`, False where a step is absent; None where none is."""


@runtime_checkable
class HoistedCell(Protocol):
    """A cell whose input projection is done for all steps before the scan."""

    def project(self, inputs: chex.Array) -> chex.Array:
        """The projection `[..., features]` of vectors `[..., F]` or of int32 tokens `[...]`."""
        ...

    def unroll(self, carry: Carry, projected: chex.Array, mask: Mask) -> tuple[Carry, chex.Array]:
        """All steps: projections `[W, B, ...]` to the last carry and the outputs `[W, B, H]`."""
        ...


def scan_over_time(
    step: Callable[[Carry, chex.Array], tuple[Carry, Any]],
    carry: Carry,
    inputs: chex.Array,
    mask: Mask,
    unroll: int = 8,
) -> tuple[Carry, Any]:
    """`lax.scan` of a step over the inputs `[W, B, ...]`, with masked steps.

    At absent steps the carry is held bit for bit, and the output is meaningless. At most `unroll`
    steps are compiled into one: shorter windows have no loop left, and the time to compile does
    not grow with longer ones.

    Returns:
      The last carry, and the stacked outputs of the step, `[W, B, ...]`.
    """

    def masked_step(carry: Carry, step_input: tuple) -> tuple[Carry, Any]:
        """A step of the cell; where the mask is False the carry stays."""
        x, present = step_input
        new_carry, output = step(carry, x)
        return (new_carry if mask is None else hold(present, carry, new_carry)), output

    window = len(inputs)
    steps = max(n for n in range(1, unroll + 1) if window % n == 0)  # no remainder to compile
    return jax.lax.scan(masked_step, carry, (inputs, mask), unroll=steps)


def hold(present: chex.Array, carry: Carry, new_carry: Carry) -> Carry:
    """The new carry for the rows where `present` (bool `[B]`) is True, the old one elsewhere."""

    def choose(old: chex.Array, new: chex.Array) -> chex.Array:
        return jnp.where(present.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    return jax.tree.map(choose, carry, new_carry)


def is_tokens(inputs: chex.Array) -> bool:
    """True for integers that stand for their one-hot vectors, False for vectors."""
    return jnp.issubdtype(inputs.dtype, jnp.integer)
