"""Derive random keys from a seed by purpose, and draw uniform tokens. Pure."""

import enum

import chex
import jax
import jax.numpy as jnp

from echo_jax.jax_settings import GENERATOR


class Purpose(enum.IntEnum):
    """A purpose of random numbers; one seed gives independent numbers for each purpose."""

    # Folded into keys: another number here gives every seed other random numbers.
    WEIGHTS = 0
    DATA = 1
    EVALUATION = 2


def purpose_key(seed: chex.Numeric, purpose: Purpose) -> chex.PRNGKey:
    """Return the random key of `seed` for `purpose`; keys of different purposes are independent."""
    return jax.random.fold_in(jax.random.key(seed, impl=GENERATOR), purpose)


def uniform_tokens(key: chex.PRNGKey, shape: tuple[int, ...], vocab_size: int) -> chex.Array:
    """Return integers drawn uniformly from 0 .. V-1 with `key`, int32 of `shape`.

    V is `vocab_size`. Each integer is a remainder of 32 random bits, so no value is more likely
    than another by more than a share of V / 2^32. `jax.random.randint` draws twice as many bits to
    avoid this bias, and takes half a second longer to compile.
    """
    return (jax.random.bits(key, shape) % vocab_size).astype(jnp.int32)
