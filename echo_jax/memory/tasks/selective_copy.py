"""Recite, in order, symbols shown between blanks (selective copying, MAD, Poli et al. 2024).

inputs   . 3 . . 0 . 5 ! ! !     3 symbols among 7 steps
targets                3 0 5
"""

import jax
import jax.numpy as jnp

from echo_jax.memory.tasks import TaskRows

SYMBOLS, COPIED, STEPS = 8, 8, 24
BLANK, RECITE = SYMBOLS, SYMBOLS + 1

tokens, answers = SYMBOLS + 2, SYMBOLS


def draw(key: jax.Array, rows: int, part: str) -> TaskRows:
    """Return `rows` rows `[B, 32]`, drawn from `key`; `part` is ignored."""
    places, symbols = jax.random.split(key)
    chosen = jnp.argsort(jax.random.uniform(places, (rows, STEPS)))[:, :COPIED]
    copied = jax.random.randint(symbols, (rows, COPIED), 0, SYMBOLS)
    row = jnp.arange(rows)[:, None]
    shown = jnp.full((rows, STEPS), BLANK).at[row, jnp.sort(chosen)].set(copied)
    inputs = jnp.concatenate([shown, jnp.full((rows, COPIED), RECITE)], axis=1)
    targets = jnp.concatenate([jnp.zeros((rows, STEPS), int), copied], axis=1)
    recited = jnp.broadcast_to(jnp.arange(STEPS + COPIED) >= STEPS, inputs.shape)
    return TaskRows(inputs, targets, recited)
