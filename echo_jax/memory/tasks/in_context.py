"""Predict the next state of a random automaton, a new one in each row (Akyürek et al. 2024).

The successors of the states are a permutation. At 20% of the steps, a random state comes instead.

    inputs   2 0 3 2 0 1 2     2 -> 0, 3 -> 2, and 0 -> 3 except at the step with noise, 0 -> 1
    targets  0 3 2 0 1 2 0     at each step
"""

import jax
import jax.numpy as jnp

from echo_jax.memory.tasks import TaskRows

STATES, STEPS = 8, 64
NOISY = 0.2

tokens, answers = STATES, STATES


def draw(key: jax.Array, rows: int, part: str) -> TaskRows:
    """Return `rows` rows `[B, 64]`, drawn from `key`; `part` is ignored."""
    table, noise, noisy = jax.random.split(key, 3)
    successors = jnp.argsort(jax.random.uniform(table, (rows, STATES)))
    others = jax.random.randint(noise, (STEPS + 1, rows), 0, STATES)
    is_noise = jax.random.uniform(noisy, (STEPS + 1, rows)) < NOISY

    def step(state: jax.Array, chance: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        other, is_noise = chance
        state = jnp.where(is_noise, other, successors[jnp.arange(rows), state])
        return state, state

    states = jax.lax.scan(step, others[0], (others, is_noise))[1].T
    return TaskRows(states[:, :-1], states[:, 1:], jnp.ones((rows, STEPS), bool))
