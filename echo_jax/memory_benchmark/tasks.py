"""The stream task and the hold task, drawn by key. Pure.

stream  at each step the target is the token n steps before, so n + 1 tokens are held at any time

    tokens   1 0 0 1 1 0 ...
    targets  . . 1 0 0 1 ...        n = 2

hold    a value is shown, k distractors follow, then a question; the target there is the value

    tokens   V+1 0 1 1 2V ...       k = 3: the value 1 is token V+1, the question is token 2V
    targets   .  . . .  1 ...
"""

from typing import NamedTuple

import chex
import jax.numpy as jnp

from echo_jax.core.data import uniform_tokens
from echo_jax.memory_benchmark.protocol import Task


class Sequences(NamedTuple):
    """Inputs and targets, each `[B, L]`.

    tokens   int32, below `alphabet(task, V)`
    targets  int32, below V
    scored   bool, False where there is no target; None if there is one everywhere
    """

    tokens: chex.Array
    targets: chex.Array
    scored: chex.Array | None


def alphabet(task: Task, vocab_size: int) -> int:
    """The number of input tokens: V; in hold V more for the values and 1 for the question."""
    return 2 * vocab_size + 1 if task == "hold" else vocab_size


def draw(
    task: Task, key: chex.PRNGKey, shape: tuple[int, int], lag: chex.Numeric, vocab_size: int
) -> Sequences:
    """Independent random sequences of the stream or the hold task, of a shape B, L.

    The lag is n of a stream, k of hold, and may be traced; L is at least `protocol.length`. Steps
    after the question of a hold sequence are not scored.
    """
    tokens = uniform_tokens(key, shape, vocab_size)
    if task == "stream":
        targets, exists = lagged(tokens, lag)
        return Sequences(tokens, targets, jnp.broadcast_to(exists, shape))
    steps = jnp.arange(shape[1])
    value, asked = tokens[:, :1], steps == lag + 1
    fed = jnp.where(asked, 2 * vocab_size, jnp.where(steps == 0, tokens + vocab_size, tokens))
    targets, scored = jnp.broadcast_to(value, shape), jnp.broadcast_to(asked, shape)
    return Sequences(fed.astype(jnp.int32), targets, scored)


def lagged(tokens: chex.Array, lag: chex.Numeric) -> tuple[chex.Array, chex.Array]:
    """The token n steps before each, `[..., L]`, and where there is one, bool `[L]`.

    By indexing, because XLA compiles a shift of an array onto itself wrongly on CPUs.
    """
    before = jnp.arange(tokens.shape[-1]) - lag
    return jnp.take(tokens, jnp.maximum(before, 0), axis=-1), before >= 0
