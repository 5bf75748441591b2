"""The two tasks of the memory card, drawn by key. Pure.

stream  a target at every step: the token n steps before; n + 1 tokens must be held at once

    tokens   1 0 0 1 1 0 ...
    targets  . . 1 0 0 1 ...        n = 2

hold    one value is shown, k distractors follow, then it is asked for; nothing else is

    tokens   V+1 0 1 1 2V ...       k = 3: the value 1 as token V+1, the question as token 2V
    targets   .  . . .  1 ...
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.memory_benchmark.protocol import Task


class Sequences(NamedTuple):
    """What a network is fed and asked, each `[B, L]`.

    tokens   int32, below `alphabet(task, V)`
    targets  int32, below V
    scored   bool, False where there is no target
    """

    tokens: chex.Array
    targets: chex.Array
    scored: chex.Array


def alphabet(task: Task, vocab_size: int) -> int:
    """How many tokens a task has: V, and of hold V more for the value and one for the question."""
    return vocab_size if task == "stream" else 2 * vocab_size + 1


def draw(
    task: Task, key: chex.PRNGKey, shape: tuple[int, int], lag: chex.Numeric, vocab_size: int
) -> Sequences:
    """Independent random sequences of a task.

    Args:
      task: which one.
      key: of these sequences alone.
      shape: B and L, static; `protocol.length` is long enough.
      lag: n, or k distractors; may be traced.
      vocab_size: V.
    """
    draw_task = draw_stream if task == "stream" else draw_hold
    return draw_task(key, shape, lag, vocab_size)


def draw_stream(
    key: chex.PRNGKey, shape: tuple[int, int], lag: chex.Numeric, vocab_size: int
) -> Sequences:
    """Random tokens, and at each step the one n steps before."""
    tokens = random_tokens(key, shape, vocab_size)
    targets, there = lagged(tokens, lag)
    return Sequences(tokens, targets, jnp.broadcast_to(there, shape))


def draw_hold(
    key: chex.PRNGKey, shape: tuple[int, int], lag: chex.Numeric, vocab_size: int
) -> Sequences:
    """A value at step 0, distractors, and at step k + 1 the question; what follows is not scored.

    The distractors are drawn from the tokens 0 .. V-1 of the stream, the value has V of its own.
    """
    tokens = random_tokens(key, shape, vocab_size)
    steps = jnp.arange(shape[1])
    value, asked = tokens[:, :1], steps == lag + 1
    fed = jnp.where(asked, 2 * vocab_size, jnp.where(steps == 0, tokens + vocab_size, tokens))
    targets, scored = jnp.broadcast_to(value, shape), jnp.broadcast_to(asked, shape)
    return Sequences(fed.astype(jnp.int32), targets, scored)


def random_tokens(key: chex.PRNGKey, shape: tuple[int, ...], vocab_size: int) -> chex.Array:
    """Tokens drawn uniformly from 0 .. V-1, int32."""
    return (jax.random.bits(key, shape) % vocab_size).astype(jnp.int32)


def lagged(tokens: chex.Array, lag: chex.Numeric) -> tuple[chex.Array, chex.Array]:
    """The token n steps before each, `[..., L]`, and where there is one, bool `[L]`.

    By indexing: a shift of an array onto itself is compiled wrongly on CPUs.
    """
    before = jnp.arange(tokens.shape[-1]) - lag
    return jnp.take(tokens, jnp.maximum(before, 0), axis=-1), before >= 0
