"""The four ways to ask for an echo, drawn by key. Pure.

lag     at each step the target is the token n steps before, so n + 1 tokens are held at any time

    tokens   1 0 0 1 1 0 ...
    targets  . . 1 0 0 1 ...        n = 2

hold    a value is shown, k distractors follow, then a question; the target there is the value

    tokens   V+1 0 1 1 2V ...       k = 3: the value 1 is token V+1, the question is token 2V
    targets   .  . . .  1 ...

marked  m of L tokens are marked; then m questions ask for them in order (selective copy,
        Gu & Dao 2023, with distractors that look like the tokens)

    tokens   3 V+5 2 V+1 0 2V 2V    m = 2, L = 5: the token x is V+x where it is marked
    targets  .  .  .  .  .  5  1

key     K pairs of a key and a value, then each key once, in random order; the target is its value
        (multi-query associative recall, Arora et al. 2023, without gaps)

    tokens   k3 v1 k0 v2 k0 k3      K = 2 of V/2 keys and V/2 values; none occurs twice
    targets  .  .  .  .  2  1
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.core.data import uniform_tokens
from echo_jax.memory_benchmark.protocol import MARKED_AMONG, Protocol, Task

MARKED = {among + marked: marked for marked, among in MARKED_AMONG.items()}
"""The marked tokens of a sequence by its length, that of the questions included."""


class Sequences(NamedTuple):
    """Inputs and targets, each `[B, L]`.

    tokens   int32, below `alphabet(task, V)`
    targets  int32, below `classes(task, V)`
    scored   bool, False where there is no target; None if there is one everywhere
    """

    tokens: chex.Array
    targets: chex.Array
    scored: chex.Array | None


def alphabet(task: Task, vocab_size: int) -> int:
    """The number of input tokens: V; in hold and marked V more and 1 for the question."""
    return 2 * vocab_size + 1 if task in ("hold", "marked") else vocab_size


def classes(task: Task, vocab_size: int) -> int:
    """The number of different answers: V, in the key task the V/2 values."""
    return vocab_size // 2 if task == "key" else vocab_size


def input_sizes(chosen: Protocol) -> list[int]:
    """The number of input tokens of each ladder of a protocol."""
    return [alphabet(ladder.task, ladder.vocab_size) for ladder in chosen.ladders]


def asked_for(task: Task, length: int) -> int:
    """Number m of a marked sequence of L steps, or K of a key sequence."""
    return length // 3 if task == "key" else MARKED[length]


def draw(
    task: Task, key: chex.PRNGKey, shape: tuple[int, int], rung: chex.Numeric, vocab_size: int
) -> Sequences:
    """Independent random sequences of a task, of a shape B, L with L of `protocol.length`.

    The rung is n of lag and k of hold, and may be traced, so that rungs of one length share a
    program; m and K follow from L. Steps after the question of a hold sequence are not scored.
    """
    if task == "key":
        return draw_key(key, shape[0], asked_for(task, shape[1]), vocab_size // 2)
    if task == "marked":
        return draw_marked(key, shape, asked_for(task, shape[1]), vocab_size)
    tokens = uniform_tokens(key, shape, vocab_size)
    if task == "lag":
        targets, exists = lagged(tokens, rung)
        return Sequences(tokens, targets, jnp.broadcast_to(exists, shape))
    steps = jnp.arange(shape[1])
    value, asked = tokens[:, :1], steps == rung + 1
    fed = jnp.where(asked, 2 * vocab_size, jnp.where(steps == 0, tokens + vocab_size, tokens))
    targets, scored = jnp.broadcast_to(value, shape), jnp.broadcast_to(asked, shape)
    return Sequences(fed.astype(jnp.int32), targets, scored)


def lagged(tokens: chex.Array, lag: chex.Numeric) -> tuple[chex.Array, chex.Array]:
    """The token n steps before each, `[..., L]`, and where there is one, bool `[L]`.

    By indexing, because XLA compiles a shift of an array onto itself wrongly on CPUs.
    """
    before = jnp.arange(tokens.shape[-1]) - lag
    return jnp.take(tokens, jnp.maximum(before, 0), axis=-1), before >= 0


def draw_marked(
    key: chex.PRNGKey, shape: tuple[int, int], marked: int, vocab_size: int
) -> Sequences:
    """Sequences of the marked task: L - m tokens of which m are marked, and m questions."""
    rows, among = shape[0], shape[1] - marked
    tokens = uniform_tokens(jax.random.fold_in(key, 0), (rows, among), vocab_size)
    places = jnp.sort(some_of(jax.random.fold_in(key, 1), rows, among, marked), axis=1)
    is_marked = jnp.any(places[:, :, None] == jnp.arange(among), axis=1)
    shown = jnp.where(is_marked, tokens + vocab_size, tokens)
    asked = jnp.full((rows, marked), 2 * vocab_size, jnp.int32)
    wanted = jnp.take_along_axis(tokens, places, axis=1)
    targets = jnp.concatenate([jnp.zeros_like(tokens), wanted], axis=1)
    scored = jnp.broadcast_to(jnp.arange(shape[1]) >= among, shape)
    return Sequences(jnp.concatenate([shown, asked], axis=1), targets, scored)


def draw_key(key: chex.PRNGKey, rows: int, pairs: int, values: int) -> Sequences:
    """Sequences of the key task, of 3 K steps; token M + x of M values is the value x."""
    keys = some_of(jax.random.fold_in(key, 0), rows, values, pairs)
    held = some_of(jax.random.fold_in(key, 1), rows, values, pairs)
    order = some_of(jax.random.fold_in(key, 2), rows, pairs, pairs)
    asked, wanted = (jnp.take_along_axis(x, order, axis=1) for x in (keys, held))
    shown = jnp.stack([keys, held + values], axis=2).reshape(rows, 2 * pairs)
    tokens = jnp.concatenate([shown, asked], axis=1)
    targets = jnp.concatenate([jnp.zeros_like(shown), wanted], axis=1)
    scored = jnp.broadcast_to(jnp.arange(3 * pairs) >= 2 * pairs, tokens.shape)
    return Sequences(tokens, targets, scored)


def some_of(key: chex.PRNGKey, rows: int, things: int, count: int) -> chex.Array:
    """For each row `count` different numbers below `things`, in random order: int32 `[B, count]`.

    The places of the smallest of as many random numbers; equal ones, of 2^32, keep their order.
    """
    bits = jax.random.bits(key, (rows, things))
    return jnp.argsort(bits, axis=1)[:, :count].astype(jnp.int32)
