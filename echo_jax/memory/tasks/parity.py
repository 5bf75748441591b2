"""Tell the parity of all inputs so far, which depends on each of them (Minsky & Papert 1969).

inputs   1 0 1 1
targets  . 1 0 1     from the second step on
"""

import jax
import jax.numpy as jnp

from echo_jax.memory.tasks import TaskRows

STEPS = 40

tokens, answers = 2, 2


def draw(key: jax.Array, rows: int, part: str) -> TaskRows:
    """Return `rows` rows `[B, 40]`, drawn from `key`; `part` is ignored."""
    inputs = jax.random.randint(key, (rows, STEPS), 0, 2)
    later = jnp.broadcast_to(jnp.arange(STEPS) > 0, inputs.shape)
    return TaskRows(inputs, jnp.cumsum(inputs, axis=1) % 2, later)
