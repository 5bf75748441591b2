"""Recall values by their keys amid noise (noisy in-context recall, MAD, Poli et al. 2024).

inputs   k2 v5 n1 n7 k0 v3 k2 v5     each row assigns new values to the keys; 20% are noise
targets                    5         where a key was seen before
"""

import jax
import jax.numpy as jnp

from echo_jax.memory.tasks import TaskRows

KEYS, VALUES, NOISE, PAIRS = 16, 16, 8, 32
NOISY = 0.2

tokens, answers = KEYS + VALUES + NOISE, VALUES


def draw(key: jax.Array, rows: int, part: str) -> TaskRows:
    """Return `rows` rows `[B, 64]`, drawn from `key`; `part` is ignored."""
    table, keys, noise, noisy = jax.random.split(key, 4)
    values = jax.random.randint(table, (rows, KEYS), 0, VALUES)
    shown = jax.random.randint(keys, (rows, PAIRS), 0, KEYS)
    value = jnp.take_along_axis(values, shown, axis=1)
    pairs = jnp.stack([shown, KEYS + value], axis=-1)
    others = jax.random.randint(noise, pairs.shape, KEYS + VALUES, tokens)
    is_noise = jax.random.uniform(noisy, (rows, PAIRS)) < NOISY
    inputs = jnp.where(is_noise[..., None], others, pairs)
    same = (shown[:, :, None] == shown[:, None, :]) & ~is_noise[:, None, :]
    before = jnp.any(jnp.tril(same, -1), axis=2) & ~is_noise
    counts = jnp.stack([before, jnp.zeros_like(before)], axis=-1)
    targets = jnp.stack([value, value], axis=-1)
    return TaskRows(*(x.reshape(rows, 2 * PAIRS) for x in (inputs, targets, counts)))
