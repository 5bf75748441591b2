"""Norms of vectors that several cells share."""

import chex
import jax
import jax.numpy as jnp


def unit(x: chex.Array, epsilon: float) -> chex.Array:
    """The vectors of the last axis, of length 1 unless their squared length is near epsilon."""
    # Epsilon is inside the root: at x = 0 the slope is 1 / sqrt(epsilon), and not NaN.
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + epsilon)


def rms_norm(x: chex.Array, epsilon: float) -> chex.Array:
    """The vectors of the last axis, of mean square 1 unless that is near epsilon.

    RMSNorm without its gains (Zhang & Sennrich 2019).
    """
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon)
