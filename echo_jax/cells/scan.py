"""Scans of a step over time, and the products of a scan's gradient with its recurrent kernel."""

from collections.abc import Callable
from typing import Any, TypeAlias

import chex
import jax
import jax.numpy as jnp

Carry = Any
"""The state of a cell: any tree of arrays, batch axis first."""

Mask: TypeAlias = chex.Array | None
"""Bool `[W, B]`, False where a step is absent; None where none is."""


# Windows of up to 8 keep the form, and so the bits, that they had before longer ones became loops
# of single steps.
UNROLLED = 8
"""The longest window whose steps are compiled one after the other, without a loop."""


def scan_over_time(
    step: Callable[[Carry, chex.Array], tuple[Carry, Any]],
    carry: Carry,
    inputs: chex.Array,
    mask: Mask,
    unroll: int = UNROLLED,
) -> tuple[Carry, Any]:
    """`lax.scan` of a step over the inputs `[W, B, ...]`, with masked steps.

    At absent steps the carry is held bit for bit, and the output is meaningless. A window of at
    most `unroll` steps has no loop left. A longer one is a loop of single steps: with several steps
    an iteration XLA computes the earlier ones again for each later one.

    Returns:
      The last carry, and the stacked outputs of the step, `[W, B, ...]`.
    """

    def masked_step(carry: Carry, step_input: tuple) -> tuple[Carry, Any]:
        """A step on inputs `[B, ...]` and the presence `[B]`; an absent row keeps its carry."""
        x, present = step_input
        new_carry, output = step(carry, x)
        return (new_carry if mask is None else hold(present, carry, new_carry)), output

    steps = len(inputs) if len(inputs) <= unroll else 1
    return jax.lax.scan(masked_step, carry, (inputs, mask), unroll=steps)


def scan_in_place(
    step: Callable[[Carry, chex.Array, Any], tuple[Carry, chex.Array, Any]],
    carry: Carry,
    rows: chex.Array,
    inputs: Any,
    reverse: bool = False,
) -> tuple[Carry, chex.Array, Any]:
    """`lax.scan` of a step that replaces its own row of `rows` `[W, ...]` by another of its shape.

    A second array of rows would cost a long loop time, as it is bound by memory. `step` takes the
    carry, its row and its part of `inputs`, a tree of arrays `[W, ...]`; it gives the next carry,
    the new row and an output. Returned are the last carry, the new rows and the stacked outputs.
    """

    def step_at(state: tuple, inputs: tuple) -> tuple[tuple, Any]:
        """The step of time t, whose row is replaced in the array that is carried."""
        carry, rows = state
        t, step_inputs = inputs
        carry, row, output = step(carry, rows[t], step_inputs)
        # The row is read before it is replaced, so that XLA can update the carried array in place.
        return (carry, rows.at[t].set(row)), output

    times = jnp.arange(len(rows))
    (carry, rows), outputs = jax.lax.scan(step_at, (carry, rows), (times, inputs), reverse=reverse)
    return carry, rows, outputs


def gradient_by_state(recurrent_kernel: chex.Array, dz: chex.Array) -> chex.Array:
    """The product dz U^T, `[B, H]`, for the gradients dz `[B, G]` of a step.

    It is computed as (U dz^T)^T, which takes a quarter to a half less time on a CPU. The barrier
    keeps XLA from turning it back.
    """
    return jax.lax.optimization_barrier(recurrent_kernel @ dz.T).T


def gradient_by_kernel(first: chex.Array, hs: chex.Array, dz: chex.Array) -> chex.Array:
    """The sum over steps and rows of h^T dz, `[H, G]`, for the state h before each step.

    Args:
      first: the state before the first step, `[B, H]`.
      hs: the states after all steps, `[W, B, H]`.
      dz: the gradients by the sums z of all steps, `[W, B, G]`.
    """
    before = jnp.concatenate([first[None], hs[:-1]])
    # Flattened: an einsum over two axes copies both factors, transposed.
    return before.reshape(-1, before.shape[-1]).T @ dz.reshape(-1, dz.shape[-1])


def hold(present: chex.Array, carry: Carry, new_carry: Carry) -> Carry:
    """The new carry for the rows where `present` (bool `[B]`) is True, the old one elsewhere."""

    def choose(old: chex.Array, new: chex.Array) -> chex.Array:
        # States have any rank: `[B]` as it is would broadcast along their last axis, not the first.
        return jnp.where(present.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    return jax.tree.map(choose, carry, new_carry)


def is_tokens(inputs: chex.Array) -> bool:
    """True for integers that stand for their one-hot vectors, False for vectors."""
    return jnp.issubdtype(inputs.dtype, jnp.integer)
