"""The two tasks of the memory in bits, drawn by key. Pure.

by lag   a stream of independent tokens; after a step the state is asked for each earlier token

    tokens   7 0 12 3 3 ...
    asked              lag 1: 3, lag 2: 12, lag 3: 0 ...

by key   K pairs of a key and a value, then each key once, in random order; the target is its value
         (multi-query associative recall, Arora et al. 2023, without gaps). Values are drawn
         independently, so one may occur twice; the tokens of values come after those of keys

    tokens   k3 v1 k0 v1 k0 k3      K = 2
    targets  .  .  .  .  1  1
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.core.data import uniform_tokens
from echo_jax.memory.protocol import Protocol


def draw_streams(protocol: Protocol, key: chex.PRNGKey, rows: int) -> chex.Array:
    """Streams by lag, int32 `[B, T]`."""
    return uniform_tokens(key, (rows, protocol.asked[-1] + 1), protocol.symbols)


def earlier_tokens(protocol: Protocol, streams: chex.Array) -> chex.Array:
    """The token n steps before each asked step, int32 `[B, A, N]`: entry n - 1 of lag n."""
    return streams[:, np.array(protocol.asked)[:, None] - 1 - np.arange(protocol.lags)]


class Pairs(NamedTuple):
    """Random pairs of B rows, of which the first K are shown.

    keys    int32 `[B, Kmax]`, different within a row
    values  int32 `[B, Kmax]`
    order   float32 `[B, Kmax]`: the pairs that are shown are asked by rising number
    place   float32 `[B]`, in [0, 1): of a row that learns fewer pairs than the others, see
            `training.ByKey`
    """

    keys: chex.Array
    values: chex.Array
    order: chex.Array
    place: chex.Array


class Recall(NamedTuple):
    """Sequences by key, each `[B, 3 Kmax]`: tokens and targets int32, and where a target is."""

    tokens: chex.Array
    targets: chex.Array
    scored: chex.Array


def draw_pairs(protocol: Protocol, key: chex.PRNGKey, rows: int, most: int) -> Pairs:
    """Pairs of B rows, up to `most` = Kmax of them."""
    keys, values, order, place = (jax.random.fold_in(key, i) for i in range(4))
    shuffled = jnp.argsort(jax.random.uniform(keys, (rows, protocol.keys)))
    return Pairs(
        keys=shuffled[:, :most].astype(jnp.int32),
        values=uniform_tokens(values, (rows, most), protocol.values),
        order=jax.random.uniform(order, (rows, most)),
        place=jax.random.uniform(place, (rows,)),
    )


def recall(protocol: Protocol, pairs: Pairs, shown: chex.Array) -> Recall:
    """The sequences of K pairs, int32 `[B]`: 2 K tokens, K questions, then keys that do not count.

    Gathers only: XLA:CPU miscompiles some shifts of an array onto itself.
    """
    most = pairs.keys.shape[1]
    shown = shown[:, None]
    order = jnp.argsort(jnp.where(jnp.arange(most) < shown, pairs.order, 2.0))
    time = jnp.arange(3 * most)
    asked = jnp.take_along_axis(order, jnp.clip(time - 2 * shown, 0, most - 1), axis=1)
    number = jnp.minimum(jnp.broadcast_to(time // 2, asked.shape), most - 1)
    pair = jnp.where(time < 2 * shown, number, asked)
    key, value = (jnp.take_along_axis(x, pair, axis=1) for x in (pairs.keys, pairs.values))
    is_value = (time < 2 * shown) & (time % 2 == 1)
    scored = (time >= 2 * shown) & (time < 3 * shown)
    return Recall(jnp.where(is_value, protocol.keys + value, key), value, scored)
