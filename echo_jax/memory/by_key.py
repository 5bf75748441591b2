"""By key: K pairs of a key and a value, then each key once; the target is its value. Pure.

Multi-query associative recall (MQAR, Arora et al. 2023) without gaps. The questions come in random
order. Values are drawn independently, so one may occur twice; the tokens of values come after those
of keys.

    tokens   k3 v1 k0 v1 k0 k3      K = 2
    targets  .  .  .  .  1  1
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import Cell
from echo_jax.cells.scan import Carry
from echo_jax.core import network
from echo_jax.core.data import Purpose, purpose_key, uniform_tokens
from echo_jax.core.loss import correct, cross_entropy, mean_where
from echo_jax.core.network import Params
from echo_jax.memory.learning import Level, ReadAtEachStep, RunInputs
from echo_jax.memory.protocol import Configuration, Protocol
from echo_jax.memory.rows import KeyRow
from echo_jax.memory.scoring import Scores, by_steps, set_keys

ASSOCIATED = 3
"""The number of the data set of `ByKey.associated`; 0 to 2 are those of `scoring.set_keys`."""


class Pairs(NamedTuple):
    """Random pairs of B rows, of which the first K are shown.

    keys    int32 `[B, Kmax]`, different within a row
    values  int32 `[B, Kmax]`
    order   float32 `[B, Kmax]`: the pairs that are shown are asked by rising number
    place   float32 `[B]`, in [0, 1): of a row that learns fewer pairs than the others, see `ByKey`
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


class KeySets(NamedTuple):
    """The `Recall`s of each data set of a run, with a leading axis of the numbers of pairs.

    validation, final   see `scoring.SetKeys`
    """

    validation: Recall
    final: Recall


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


class ByKey(ReadAtEachStep):
    """The network reads its cell's output, and learns all K up to Kmax.

    Half of the rows have the K of the level, the others a smaller one, uniform from 1. K rises from
    2 to Kmax: by the ramp over 60% of the updates; by the adaptive schedule by one when the running
    mean of the accuracy on the rows of that K is above 80%, and the mean then starts at 0.
    """

    def __init__(self, cell: Cell, protocol: Protocol, most: int) -> None:
        """A network around a cell, for up to `most` = Kmax pairs; nothing is compiled."""
        super().__init__(cell, protocol, protocol.tokens, protocol.values)
        self.most = most

    def draw(self, key: chex.PRNGKey) -> Pairs:
        """Pairs of B rows."""
        return draw_pairs(self.protocol, key, self.protocol.rows, self.most)

    def loss(
        self, params: Params, batch: Pairs, level: Level, run: RunInputs, done: chex.Numeric
    ) -> tuple[chex.Array, Level]:
        """The mean over all questions; the level rises by the schedule of the run."""
        pairs = self.pairs_shown(level, run, done)
        asked = self.asked(batch, pairs)
        logits = self.logits(params, asked.tokens)
        level = self.next_level(level, run, pairs, asked, logits)
        return mean_where(cross_entropy(logits, asked.targets), asked.scored), level

    def pairs_shown(self, level: Level, run: RunInputs, done: chex.Numeric) -> chex.Array:
        """K of half of the rows after a share of the updates."""
        return jnp.where(run.ramp, self.ramp(done), level.pairs)

    def next_level(
        self, level: Level, run: RunInputs, pairs: chex.Array, asked: Recall, logits: chex.Array
    ) -> Level:
        """The level after an update, from its K and its answers."""
        half = self.protocol.rows // 2
        right = correct(logits, asked.targets)
        accuracy = mean_where(right[:half], asked.scored[:half])
        past = self.protocol.past
        running = past * level.accuracy + (1 - past) * accuracy
        rises = running > self.protocol.learned
        risen = jnp.minimum(pairs + rises, self.most)
        return Level(jnp.where(run.ramp, pairs, risen), jnp.where(rises, 0.0, running))

    def asked(self, batch: Pairs, pairs: chex.Array) -> Recall:
        """The sequences of a batch: half of its rows have so many pairs, the others fewer."""
        rows = self.protocol.rows
        fewer = 1 + jnp.floor(batch.place * (pairs - 1)).astype(jnp.int32)
        shown = jnp.where(jnp.arange(rows) < rows // 2, pairs, fewer)
        return recall(self.protocol, batch, shown)

    def ramp(self, done: chex.Numeric) -> chex.Array:
        """K of the ramp after a share of the updates."""
        risen = jnp.minimum(done / self.protocol.ramp, 1.0)
        return 2 + jnp.floor((self.most - 2) * risen).astype(jnp.int32)

    def associated(self, params: Params, seed: chex.Numeric) -> chex.Array:
        """The right answers about a few pairs, in rows of the seed that stay the same."""
        protocol = self.protocol
        key = jax.random.fold_in(purpose_key(seed, Purpose.EVALUATION), ASSOCIATED)
        pairs = draw_pairs(protocol, key, protocol.recalls, protocol.associated)
        asked = recall(protocol, pairs, jnp.full(protocol.recalls, protocol.associated))
        return jnp.sum(correct(self.logits(params, asked.tokens), asked.targets) & asked.scored)

    def draw_sets(self, seed: chex.Numeric, weights: chex.Array) -> KeySets:
        """The data sets of a seed and the digest of its trained weights."""
        asked = self.protocol.pairs_asked(self.most)
        recalls = self.protocol.recalls

        def drawn(key: chex.PRNGKey) -> Recall:
            """The sequences of each K that is asked, with leading axes `[K, recalls]`."""
            pairs = draw_pairs(self.protocol, key, len(asked) * recalls, self.most)
            of_k = recall(self.protocol, pairs, jnp.repeat(jnp.array(asked), recalls))
            return jax.tree.map(lambda x: x.reshape(len(asked), recalls, *x.shape[1:]), of_k)

        keys = set_keys(seed, weights)
        return KeySets(drawn(keys.validation), drawn(keys.final))

    def score(self, params: Params, sets: KeySets) -> Scores:
        """Right answers of each K, and the mean accuracy over all questions."""
        asked: Recall = jax.tree.map(lambda *of: jnp.stack(of), *sets)
        streams = asked.tokens.reshape(-1, asked.tokens.shape[-1])
        found, carried = self.answers_by_steps(params, streams)
        is_right = (found.reshape(asked.targets.shape) == asked.targets) & asked.scored
        validation, final = jnp.sum(is_right, axis=(2, 3))
        accuracy = jnp.sum(validation) / jnp.sum(sets.validation.scored)
        return Scores(validation, final, accuracy, carried)

    def answers_by_steps(
        self, params: Params, streams: chex.Array
    ) -> tuple[chex.Array, chex.Array]:
        """The answer at each step of streams, int32 `[B, T]`, and a state's bytes."""
        net = self.network

        def answer(_: Carry, output: chex.Array) -> chex.Array:
            return jnp.argmax(network.read_out(net, params, output[0])).astype(jnp.int32)

        return by_steps(net, params, streams, answer)

    def scan_accuracy(self, params: Params, sets: KeySets) -> chex.Array:
        """The accuracy on the validation data by the cell's scan, in which it was trained."""

        def right(asked: Recall) -> chex.Array:
            is_right = correct(self.logits(params, asked.tokens), asked.targets)
            return jnp.sum(is_right & asked.scored)

        return jnp.sum(jax.lax.map(right, sets.validation)) / jnp.sum(sets.validation.scored)

    def row(self, of: Configuration, seed: int, level: int, scores: dict[str, Any]) -> KeyRow:
        """The row of a run; the scores are right answers at each K."""
        pairs = list(self.protocol.pairs_asked(self.most))
        return KeyRow(
            seed,
            of.rate,
            of.schedule or "ramp",
            of.updates,
            level,
            pairs,
            asked=[self.protocol.recalls * k for k in pairs],
            **scores,
        )
