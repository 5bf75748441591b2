"""The gated diagonal recurrence h' = a h + b, step by step and in parallel over time."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import CellParams, Mask, ProjectedCell


def diagonal_parallel(h: chex.Array, a: chex.Array, b: chex.Array, mask: Mask) -> chex.Array:
    """Return the states h' = a h + b after all T steps, `[T, B, N]`, at once.

    `h` is the state before the first step, `[B, N]`; `a` and `b` are `[T, B, N]`. Where `mask`,
    bool `[T, B]`, is False, h is held, because the step gets a = 1 and b = 0. Two steps in a row
    equal one step: (a2, b2) after (a1, b1) is (a2 a1, a2 b1 + b2). So `jax.lax.associative_scan`
    needs about 2 log2(T) rounds.
    """
    if mask is not None:
        # A masked step is the identity map here: an associative scan has no carry to hold.
        a = jnp.where(mask[..., None], a, 1)
        b = jnp.where(mask[..., None], b, 0)

    def then(first: tuple, second: tuple) -> tuple:
        """Return one map h -> a h + b that equals the map `first` followed by the map `second`."""
        a1, b1 = first
        a2, b2 = second
        return a2 * a1, a2 * b1 + b2

    # Sums in the order of a tree: other last bits than the steps. Vector states take it on other
    # devices alone, as on a CPU it is slower: minGRU 126 ms, not 54, at T 3,000 (docs/cells.md).
    decay, added = jax.lax.associative_scan(then, (a, b))
    return decay * h + added


class DiagonalTerms(NamedTuple):
    """The terms of an input in h' = a h + b, both `[..., H]`.

    a  the share of h that is kept
    b  what is added
    """

    a: chex.Array
    b: chex.Array


class DiagonalCell(ProjectedCell):
    """A cell with the recurrence h' = a h + b, where `project` returns a and b as `DiagonalTerms`.

    State and output are h, float32 `[B, H]`, zeros at the start.
    """

    def recur(
        self, params: CellParams, state: chex.Array, terms: DiagonalTerms
    ) -> tuple[chex.Array, chex.Array]:
        h = terms.a * state + terms.b
        return h, h

    def parallel(
        self, params: CellParams, state: chex.Array, terms: DiagonalTerms, mask: Mask
    ) -> tuple[chex.Array, chex.Array]:
        """Return the last state `[B, H]` and all states `[T, B, H]`, by an associative scan.

        The arguments are the same as in `ProjectedCell.parallel`.
        """
        h = diagonal_parallel(state, *terms, mask)
        return h[-1], h


class ComplexState(NamedTuple):
    """N complex numbers, in two parts.

    real       the real parts, float32 `[B, N]`
    imaginary  the imaginary parts, float32 `[B, N]`
    """

    real: chex.Array
    imaginary: chex.Array


class ComplexTerms(NamedTuple):
    """The terms of an input.

    driven   what is added to the state, complex `[..., N]`, or its real and imaginary parts side by
             side, `[..., 2N]`
    skipped  what is added to the output without passing the state, `[..., H]`
    """

    driven: chex.Array
    skipped: chex.Array


class ComplexCell(ProjectedCell):
    """A cell whose state is `ComplexState`, zeros at the start.

    Attributes:
      state_size: N, the number of complex states; None for H, the number of outputs.
    """

    state_size: int | None

    @property
    def states(self) -> int:
        """N, the number of complex states: `state_size`, or H."""
        return self.features if self.state_size is None else self.state_size

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> ComplexState:
        return ComplexState(*[jnp.zeros((batch_size, self.states))] * 2)
