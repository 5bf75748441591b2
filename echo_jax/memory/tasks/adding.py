"""Add two marked numbers, modulo 8 (the adding problem, Hochreiter & Schmidhuber 1997).

inputs   3 5* 0 7* 2     a marked number is another token, 8 higher
targets         4  4     5 + 7 = 12, and 4 modulo 8, from the second mark on
"""

import jax
import jax.numpy as jnp

from echo_jax.memory.tasks import TaskRows

NUMBERS, STEPS = 8, 16

tokens, answers = 2 * NUMBERS, NUMBERS


def draw(key: jax.Array, rows: int, part: str) -> TaskRows:
    """Return `rows` rows `[B, 16]`, drawn from `key`; `part` is ignored."""
    values, places = jax.random.split(key)
    numbers = jax.random.randint(values, (rows, STEPS), 0, NUMBERS)
    order = jnp.argsort(jnp.argsort(jax.random.uniform(places, (rows, STEPS))))
    marked = order < 2
    total = jnp.sum(numbers * marked, axis=1, keepdims=True) % NUMBERS
    inputs = numbers + NUMBERS * marked
    both = jnp.cumsum(marked, axis=1) == 2
    return TaskRows(inputs, jnp.broadcast_to(total, inputs.shape), both)
