"""The base of cells whose state maps keys to values, and a sequence as chunks of steps for them."""

import dataclasses
from typing import ClassVar

import chex
import jax.numpy as jnp

from echo_jax.cells.cell_args import at_least
from echo_jax.cells.projected_cell import ProjectedCell

WIDE = 500
"""Numbers of a matrix state from which on chunks are faster than steps on a CPU too: chunks keep
the matrix once a chunk, steps keep each for the gradient."""


@dataclasses.dataclass(frozen=True)
class KeyValueCell(ProjectedCell):
    """A cell of H outputs, whose state is a matrix for keys of K and values of V numbers."""

    features: int
    key_size: int | None = None
    value_size: int | None = None
    sized_with: ClassVar[tuple[str, ...]] = ("key_size", "value_size")

    def __post_init__(self) -> None:
        at_least(1, self, "key_size", "value_size")

    @property
    def keys(self) -> int:
        """K; H unless it is set."""
        return self.features if self.key_size is None else self.key_size

    @property
    def values(self) -> int:
        """V; H unless it is set."""
        return self.features if self.value_size is None else self.value_size

    @property
    def parallel_on_cpu(self) -> bool:
        """True for a state of at least `WIDE` numbers."""
        return self.keys * self.values >= WIDE

    @property
    def key_value_sizes(self) -> tuple[int, int]:
        return self.keys, self.values


def in_chunks(x: chex.Array, size: int, filler: float = 0) -> chex.Array:
    """`[T, B, n]` as `[N, B, C, n]`, N chunks of C steps, with `filler` after the last step.

    C is `size`, or T if that is smaller.
    """
    # A short sequence is one short chunk: filled up it would cost as much as C steps.
    size = min(size, len(x))
    x = jnp.pad(x, ((0, -len(x) % size), (0, 0), (0, 0)), constant_values=filler)
    # Rows before steps: the products within a chunk are batched over N and B.
    return jnp.moveaxis(x.reshape(-1, size, *x.shape[1:]), 1, 2)


def out_of_chunks(x: chex.Array, steps: int) -> chex.Array:
    """`[N, B, C, n]` as `[T, B, n]`, the first T `steps`."""
    x = jnp.moveaxis(x, 2, 1)
    return x.reshape(-1, *x.shape[2:])[:steps]
