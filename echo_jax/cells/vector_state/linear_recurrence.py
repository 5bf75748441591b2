"""The gated diagonal recurrence h' = a h + b, step by step and in parallel over time."""

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.scan import Mask


def diagonal_step(h: chex.Array, a: chex.Array, b: chex.Array) -> chex.Array:
    """One step: h, a and b `[B, N]`, real or complex."""
    return a * h + b


def diagonal_parallel(h: chex.Array, a: chex.Array, b: chex.Array, mask: Mask) -> chex.Array:
    """All h, `[T, B, N]`, from the first h `[B, N]`, and a and b `[T, B, N]`.

    Two steps are one of the same kind: (a2, b2) after (a1, b1) is (a2 a1, a2 b1 + b2), so
    `jax.lax.associative_scan` needs about 2 log2(T) rounds. A masked step has a = 1, b = 0.
    """
    if mask is not None:
        a, b = jnp.where(mask[..., None], a, 1), jnp.where(mask[..., None], b, 0)

    def then(first: tuple, second: tuple) -> tuple:
        (a1, b1), (a2, b2) = first, second
        return a2 * a1, a2 * b1 + b2

    decay, added = jax.lax.associative_scan(then, (a, b))
    return decay * h + added
