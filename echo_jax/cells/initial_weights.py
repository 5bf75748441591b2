"""The initial weights of linear layers, and random keys, that several cells share."""

import chex
import jax
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
