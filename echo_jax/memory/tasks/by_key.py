"""Show K pairs of a key and a value, fillers, then each key once; the target is its value.

This is multi-query associative recall (MQAR, Arora et al. 2023) with one gap. As a task, only the
largest K is scored; the question by key scores several K. The queries come in random order. Values
are drawn independently, so one value may occur twice. The token of a value is the number of keys
plus the value, and the largest token is the filler.

    tokens   k3 v1 k0 v1 f  f  f  k0 k3      K = 2, the level
    targets  .  .  .  .  .  .  .  1  1
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.learner.random_tokens import uniform_tokens
from echo_jax.memory.protocol import STANDARD, Protocol
from echo_jax.memory.tasks import TaskRows


class Pairs(NamedTuple):
    """Random pairs for B rows; each row shows its first K pairs.

    keys    int32 `[B, Kmax]`, different within a row
    values  int32 `[B, Kmax]`
    order   float32 `[B, Kmax]`: the shown pairs are queried in rising order of these numbers
    place   float32 `[B]`, in [0, 1): decides K for a row of `Recall.draw` with fewer pairs
    """

    keys: jax.Array
    values: jax.Array
    order: jax.Array
    place: jax.Array


def draw_pairs(protocol: Protocol, key: jax.Array, rows: int, most: int) -> Pairs:
    """Return the pairs of B = `rows` rows, `most` = Kmax in each, drawn from `key`.

    `protocol` states how many different keys and values there are.
    """
    keys, values, order, place = (jax.random.fold_in(key, i) for i in range(4))
    shuffled = jnp.argsort(jax.random.uniform(keys, (rows, protocol.keys)))
    return Pairs(
        keys=shuffled[:, :most].astype(jnp.int32),
        values=uniform_tokens(values, (rows, most), protocol.values),
        order=jax.random.uniform(order, (rows, most)),
        place=jax.random.uniform(place, (rows,)),
    )


def recall(protocol: Protocol, pairs: Pairs, shown: jax.Array, fillers: int) -> TaskRows:
    """Return rows that show the first K of `pairs`: 2 K tokens, fillers, K queries, then any keys.

    `protocol` states the tokens, `shown` has the K of each row, int32 `[B]`, and `fillers` is the
    number of fillers. The function uses only gathers, as XLA:CPU miscompiles some shifts of an
    array onto itself.
    """
    most = pairs.keys.shape[1]
    shown = shown[:, None]
    first = 2 * shown + fillers
    order = jnp.argsort(jnp.where(jnp.arange(most) < shown, pairs.order, 2.0))
    time = jnp.arange(3 * most + fillers)
    queried = jnp.take_along_axis(order, jnp.clip(time - first, 0, most - 1), axis=1)
    number = jnp.minimum(jnp.broadcast_to(time // 2, queried.shape), most - 1)
    learns = time < 2 * shown
    pair = jnp.where(learns, number, queried)
    key, value = (jnp.take_along_axis(x, pair, axis=1) for x in (pairs.keys, pairs.values))
    tokens = jnp.where(learns & (time % 2 == 1), protocol.keys + value, key)
    gap = ~learns & (time < first)
    scored = (time >= first) & (time < first + shown)
    return TaskRows(jnp.where(gap, protocol.tokens - 1, tokens), value, scored)


class Recall:
    """The task of recalling the values of up to Kmax pairs, with fillers before the queries."""

    def __init__(self, protocol: Protocol, most: int, fillers: int) -> None:
        """Set the levels, the numbers of pairs K from 2 to `most` = Kmax.

        `protocol` states the keys and values, and `fillers` is the number of fillers.
        """
        self.protocol = protocol
        self.most = most
        self.fillers = fillers
        self.tokens, self.answers = protocol.tokens, protocol.values
        self.levels = range(2, most + 1)

    def draw(self, key: jax.Array, rows: int, part: str, level: chex.Numeric) -> TaskRows:
        """Return `rows` rows `[B, 3 Kmax + fillers]` of K = `level` pairs, drawn from `key`.

        `level` is one number, or one for each row. If `part` is training, half of the rows have K
        pairs; the other rows have fewer, uniform from 1.
        """
        pairs = draw_pairs(self.protocol, key, rows, self.most)
        if part == "training":
            fewer = 1 + jnp.floor(pairs.place * (level - 1)).astype(jnp.int32)
            level = jnp.where(jnp.arange(rows) < rows // 2, level, fewer)
        shown = jnp.broadcast_to(level, (rows,))
        return recall(self.protocol, pairs, shown, self.fillers)


standard = Recall(STANDARD, STANDARD.pairs_of_small, STANDARD.fillers)
tokens, answers, levels, draw = standard.tokens, standard.answers, standard.levels, standard.draw
