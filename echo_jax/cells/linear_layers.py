"""Initial weights of linear layers, random keys and norms that several cells share."""

import chex
import jax
import jax.numpy as jnp
from flax.core.scope import LazyRng


def linear_uniform(key: chex.PRNGKey, shape: tuple[int, ...], inputs: int) -> chex.Array:
    """Weights or biases of a linear layer of so many inputs, uniform within 1 / sqrt(inputs).

    So PyTorch starts `torch.nn.Linear`.
    """
    return jax.random.uniform(key, shape, minval=-(inputs**-0.5), maxval=inputs**-0.5)


def linen_key(key: chex.PRNGKey, n: int) -> chex.PRNGKey:
    """The key that Flax Linen gives the n-th parameter of a module, from 1 on.

    minGRU, LRU and the identity RNN were Linen modules once: their published rows keep their bits.
    """
    return LazyRng.create(key, n).as_jax_rng()


def unit(x: chex.Array, epsilon: float) -> chex.Array:
    """The vectors of the last axis, of length 1 unless their squared length is near epsilon."""
    # Epsilon is inside the root: at x = 0 the slope is 1 / sqrt(epsilon), and not NaN.
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + epsilon)


def rms_norm(x: chex.Array, epsilon: float) -> chex.Array:
    """The vectors of the last axis, of mean square 1 unless that is near epsilon.

    RMSNorm without its gains (Zhang & Sennrich 2019).
    """
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon)
