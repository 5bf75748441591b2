"""A sequence as chunks of steps, for recurrences that compute the steps of a chunk at once."""

import chex
import jax.numpy as jnp

WIDE = 500
"""Numbers of a matrix state from which on chunks are faster than steps on a CPU too: chunks keep
the matrix once a chunk, steps keep each for the gradient."""


def in_chunks(x: chex.Array, size: int, filler: float = 0) -> chex.Array:
    """`[T, B, n]` as `[N, B, C, n]`, N chunks of C steps, with `filler` after the last step.

    C is `size`, or T if that is smaller.
    """
    size = min(size, len(x))
    x = jnp.pad(x, ((0, -len(x) % size), (0, 0), (0, 0)), constant_values=filler)
    return jnp.moveaxis(x.reshape(-1, size, *x.shape[1:]), 1, 2)


def out_of_chunks(x: chex.Array, steps: int) -> chex.Array:
    """`[N, B, C, n]` as `[T, B, n]`, the first T `steps`."""
    x = jnp.moveaxis(x, 2, 1)
    return x.reshape(-1, *x.shape[2:])[:steps]
