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
    """Independent random sequences of a task.

    Args:
      task: stream or hold.
      key: used for these sequences only.
      shape: B and L, static; L is at least `protocol.length`.
      lag: n of a stream, k of hold; may be traced.
      vocab_size: V.
    """
    draw_task = draw_stream if task == "stream" else draw_hold
    return draw_task(key, shape, lag, vocab_size)


def draw_stream(
    key: chex.PRNGKey, shape: tuple[int, int], lag: chex.Numeric, vocab_size: int
) -> Sequences:
    """Random tokens; the target of each step is the token n steps before."""
    tokens = uniform_tokens(key, shape, vocab_size)
    targets, exists = lagged(tokens, lag)
    return Sequences(tokens, targets, jnp.broadcast_to(exists, shape))


def draw_hold(
    key: chex.PRNGKey, shape: tuple[int, int], lag: chex.Numeric, vocab_size: int
) -> Sequences:
    """A value at step 0, distractors, the question at step k + 1; later steps are not scored.

    Distractors are tokens 0 .. V-1, the same as in a stream; values are tokens V .. 2V-1.
    """
    tokens = uniform_tokens(key, shape, vocab_size)
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
