"""What every recurrent cell shares: a scan over time with steps masked, and the hoisted projection.

A cell that has the two methods of `HoistedCell` has the input of all its steps projected before the
scan, and only the recurrent part stays inside.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import chex
import jax
import jax.numpy as jnp

Carry = Any
"""A cell's state: whatever tree of arrays its `initialize_carry` returns, batch axis first."""


UNROLL = 8
"""At most so many steps of the scan over time become one: a window up to this has no loop left,
and the time to compile a longer one does not grow with it."""


@runtime_checkable
class HoistedCell(Protocol):
    """What a cell offers so that its input projection can leave the scan."""

    def project(self, inputs: chex.Array) -> chex.Array:
        """The input's share of a step, `[..., features of it]`.

        The inputs are int32 tokens `[...]`, each standing for its one-hot vector, or float32
        vectors `[..., F]`.
        """
        ...

    def unroll(
        self, carry: Carry, projected: chex.Array, mask: chex.Array | None
    ) -> tuple[Carry, chex.Array]:
        """All steps, as `scan_over_time` does them: `[W, B, ...]` to the outputs `[W, B, H]`."""
        ...


def scan_over_time(
    step: Callable[[Carry, chex.Array], tuple[Carry, Any]],
    carry: Carry,
    inputs: chex.Array,
    mask: chex.Array | None,
    unroll: int = UNROLL,
) -> tuple[Carry, Any]:
    """Scan a step over the inputs `[W, B, ...]`; returns the last carry and what it gave, `[W, B]`.

    Where `mask` (bool `[W, B]`) is False the carry is held bit for bit, and the output of that
    step means nothing. At most `unroll` steps become one.
    """

    def masked_step(carry: Carry, step_input: tuple) -> tuple[Carry, Any]:
        """One step, and the carry of before where it is masked."""
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
    """Whether inputs are integers that stand for their one-hot vectors, and no vectors."""
    return jnp.issubdtype(inputs.dtype, jnp.integer)
