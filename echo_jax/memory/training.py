"""Training of the network of one run: all lags at once, or all numbers of pairs. Pure.

init ─► train_updates ─► ... ─► train_updates         `updates_at_once` each, `updates` in all

One network learns its whole question, so that every lag and every K is asked of the same weights.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.block import Block
from echo_jax.cells.interface import Cell
from echo_jax.cells.scan import Carry
from echo_jax.cells.state_size import first_state
from echo_jax.core import network
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.core.loss import correct, cross_entropy, mean_where
from echo_jax.core.network import Network, Params
from echo_jax.core.training import TrainState, clipped_adam, update
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.tasks import Pairs, Recall, draw_pairs, draw_streams, earlier_tokens, recall

ASSOCIATED = 3
"""The number of the data set of `ByKey.associated`; 0 to 2 are those of `scoring.set_keys`."""


class RunInputs(NamedTuple):
    """The arguments of one run; one compiled program serves all.

    seed     int32, of the weights and of all data but the final ones
    rate     float32, the first learning rate; it falls to 0 by a cosine
    updates  int32, in all
    ramp     bool, by key the ramp; False for the adaptive schedule
    """

    seed: chex.Numeric
    rate: chex.Numeric
    updates: chex.Numeric
    ramp: chex.Numeric = True


class Level(NamedTuple):
    """The progress by key: K, the pairs of half of the rows, and their mean accuracy."""

    pairs: chex.Array
    accuracy: chex.Array


class TrainedSoFar(NamedTuple):
    """The state between two calls of `train_updates`; the level has no meaning by lag."""

    train: TrainState
    level: Level


class ByLag:
    """A linear head for each lag 1 .. N reads the standardised state of the cell.

    The loss is the mean cross-entropy over all lags, rows and asked steps.
    """

    def __init__(self, cell: Cell, protocol: Protocol) -> None:
        """A network around a cell; nothing is compiled."""
        symbols = protocol.symbols
        self.protocol = protocol
        self.network = network.around(cell, symbols, symbols)
        shape = jax.eval_shape(lambda: flat_state(cell, first_state(cell, symbols), 1)).shape
        self.numbers = shape[-1]
        """D, the real numbers of the state."""

    def init_params(self, key: chex.PRNGKey) -> Params:
        """The cell's, and the kernel `[D, N V]` and bias of all heads."""
        cell_key, heads_key = jax.random.split(key)
        # A state may have no numbers, for which LeCun's variance is not defined.
        kernel = nn.initializers.lecun_normal() if self.numbers else nn.initializers.zeros
        answers = self.protocol.lags * self.protocol.symbols
        return {
            "cell": self.network.cell.init(cell_key, self.protocol.symbols),
            "heads": {
                "kernel": kernel(heads_key, (self.numbers, answers)),
                "bias": jnp.zeros(answers),
            },
        }

    def draw(self, key: chex.PRNGKey) -> chex.Array:
        """Streams `[B, T]`."""
        return draw_streams(self.protocol, key, self.protocol.rows)

    def loss(
        self, params: Params, batch: chex.Array, level: Level, run: RunInputs, done: chex.Numeric
    ) -> tuple[chex.Array, Level]:
        """The mean over all lags; the states are standardised over the batch."""
        del run, done
        states = self.states(params, batch)
        logits = self.logits(params, states, states)
        return jnp.mean(cross_entropy(logits, earlier_tokens(self.protocol, batch))), level

    def associated(self, params: Params, seed: chex.Numeric) -> chex.Array:
        """0: by lag there is nothing to associate."""
        del params, seed
        return jnp.zeros((), jnp.int32)

    def states(self, params: Params, streams: chex.Array) -> chex.Array:
        """The flat states after the asked steps of `[B, T]`, `[B, A, D]`, by the cell's scan."""
        net = self.network
        rows = len(streams)
        first = self.protocol.asked[0] + 1
        between = self.protocol.asked_every
        state = net.initial_state(params, rows)
        prepared = net.cell.prepare(params["cell"]) if net.cell.prepared_once else None
        state, _ = network.unroll(net, params, state, streams[:, :first], None, prepared)

        def go_on(state: Carry, tokens: chex.Array) -> tuple[Carry, chex.Array]:
            state, _ = network.unroll(net, params, state, tokens, None, prepared)
            return state, flat_state(net.cell, state, rows)

        later = streams[:, first:].reshape(rows, -1, between).swapaxes(0, 1)
        _, states = jax.lax.scan(go_on, state, later)
        return jnp.concatenate([flat_state(net.cell, state, rows)[None], states]).swapaxes(0, 1)

    def logits(self, params: Params, states: chex.Array, reference: chex.Array) -> chex.Array:
        """The logits of the heads on states, `standardised`: `[..., D]` to `[..., N, V]`."""
        heads = params["heads"]
        read = standardised(states, reference, self.protocol.smallest_variance) @ heads["kernel"]
        read += heads["bias"]
        return read.reshape(*read.shape[:-1], self.protocol.lags, self.protocol.symbols)


class ByKey:
    """The network reads its cell's output, and learns all K up to Kmax.

    Half of the rows have the K of the level, the others a smaller one, uniform from 1. K rises from
    2 to Kmax: by the ramp over 60% of the updates; by the adaptive schedule by one when the running
    mean of the accuracy on the rows of that K is above 80%, and the mean then starts at 0.
    """

    def __init__(self, cell: Cell, protocol: Protocol, most: int) -> None:
        """A network around a cell, for up to `most` = Kmax pairs; nothing is compiled."""
        tokens = protocol.tokens
        self.protocol = protocol
        self.most = most
        lecun = nn.initializers.lecun_normal()
        readout = nn.Dense(protocol.values, kernel_init=lecun)
        self.network = Network(cell, readout, tokens, tokens, protocol.values)

    def init_params(self, key: chex.PRNGKey) -> Params:
        """The cell's, and those of the readout."""
        return network.init_params(self.network, key)

    def draw(self, key: chex.PRNGKey) -> Pairs:
        """Pairs of B rows."""
        return draw_pairs(self.protocol, key, self.protocol.rows, self.most)

    def loss(
        self, params: Params, batch: Pairs, level: Level, run: RunInputs, done: chex.Numeric
    ) -> tuple[chex.Array, Level]:
        """The mean over all questions; the level rises by the schedule of the run."""
        half = self.protocol.rows // 2
        pairs = jnp.where(run.ramp, self.ramp(done), level.pairs)
        asked = self.asked(batch, pairs)
        logits = self.logits(params, asked.tokens)
        right = correct(logits, asked.targets)
        accuracy = mean_where(right[:half], asked.scored[:half])
        past = self.protocol.past
        running = past * level.accuracy + (1 - past) * accuracy
        rises = running > self.protocol.learned
        risen = jnp.minimum(pairs + rises, self.most)
        level = Level(jnp.where(run.ramp, pairs, risen), jnp.where(rises, 0.0, running))
        return mean_where(cross_entropy(logits, asked.targets), asked.scored), level

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

    def logits(self, params: Params, tokens: chex.Array) -> chex.Array:
        """The logits at each step: tokens `[B, T]` to `[B, T, M]`, by the cell's scan."""
        state = self.network.initial_state(params, len(tokens))
        _, outputs = network.unroll(self.network, params, state, tokens, None)
        return network.read_out(self.network, params, outputs).swapaxes(0, 1)


def init(question: ByLag | ByKey, run: RunInputs) -> TrainedSoFar:
    """The state before the first update; its random numbers depend on the seed alone."""
    params = question.init_params(purpose_key(run.seed, Purpose.WEIGHTS))
    moments = clipped_adam(question.protocol.largest_norm).init(params)
    state = TrainState(jnp.zeros((), jnp.int32), params, moments)
    return TrainedSoFar(state, Level(jnp.int32(2), jnp.float32(0)))


class Metrics(NamedTuple):
    """The losses of some updates, and what `associated` counts after the last one."""

    losses: chex.Array
    associated: chex.Array


def train_updates(
    question: ByLag | ByKey, run: RunInputs, progress: TrainedSoFar
) -> tuple[TrainedSoFar, Metrics]:
    """The next `updates_at_once`, number i on data of its own."""
    protocol = question.protocol
    key = purpose_key(run.seed, Purpose.DATA)
    optimizer = clipped_adam(protocol.largest_norm)
    counters = progress.train.step + jnp.arange(protocol.updates_at_once)
    batches = jax.vmap(lambda i: question.draw(jax.random.fold_in(key, i)))(counters)

    def step(progress: TrainedSoFar, batch: Any) -> tuple[TrainedSoFar, chex.Array]:
        state, level = progress
        done = state.step / run.updates
        rate = run.rate * (1 + jnp.cos(jnp.pi * done)) / 2
        state, loss, level = update(
            lambda params: question.loss(params, batch, level, run, done), optimizer, rate, state
        )
        return TrainedSoFar(state, level), loss

    progress, losses = jax.lax.scan(step, progress, batches)
    return progress, Metrics(losses, question.associated(progress.train.params, run.seed))


def own_state(cell: Cell, state: Carry) -> Carry:
    """The state of a cell; of a block that of the cells of its layers, without convolutions."""
    return [layer.cell for layer in state] if isinstance(cell, Block) else state


def with_own_state(cell: Cell, state: Carry, own: Carry) -> Carry:
    """The state of a cell with another `own_state`."""
    if not isinstance(cell, Block):
        return own
    return type(state)(layer._replace(cell=of) for layer, of in zip(state, own, strict=True))


def flat_state(cell: Cell, state: Carry, rows: int) -> chex.Array:
    """The numbers of `own_state` side by side, float32 `[B, D]`; a complex number is two."""
    leaves = jax.tree.leaves(own_state(cell, state))
    reals = [part for x in leaves for part in ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,))]
    flat = [jnp.reshape(x, (rows, -1)).astype(jnp.float32) for x in reals]
    return jnp.concatenate([jnp.zeros((rows, 0)), *flat], axis=-1)


def standardised(states: chex.Array, reference: chex.Array, least: float) -> chex.Array:
    """States `[..., D]` less the mean of the reference, over its deviation, number by number.

    So it does not matter in which unit a cell stores a number. A number that is constant is 0, as
    `least` is added to its variance.
    """
    over = tuple(range(reference.ndim - 1))
    variance = jnp.var(reference, axis=over)
    return (states - jnp.mean(reference, axis=over)) / jnp.sqrt(variance + least)
