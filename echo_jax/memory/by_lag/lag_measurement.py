"""Measure by lag: heads read each earlier token of a random stream from the state.

All functions are pure. `lag_rows_and_bits.BY_LAG` describes the question for cards.

step     0 1  2 3 4
tokens   7 0 12 3 3      targets after step 4: 3 at lag 1, 12 at lag 2, 0 at lag 3, 7 at lag 4
"""

from collections.abc import Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from echo_jax.cells.interface import Carry, Cell
from echo_jax.cells.state_numbers import first_state, flat_state
from echo_jax.learner import network
from echo_jax.learner.loss import correct, cross_entropy
from echo_jax.learner.network import Params
from echo_jax.learner.random_tokens import uniform_tokens
from echo_jax.learner.recalibration import fitted_factors, recalibrated_certainty, recalibrated_nats
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG, LagRow, lag_bits
from echo_jax.memory.face_answers import fixed_streams
from echo_jax.memory.measurement import (
    AnswersAtOnce,
    HeadLogits,
    Measurement,
    Scores,
    Sets,
    by_steps,
    set_keys,
)
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.question import with_known


def draw_streams(protocol: Protocol, key: chex.PRNGKey, rows: int) -> chex.Array:
    """Return B = `rows` random streams of `protocol`, int32 `[B, T]`, drawn from `key`.

    The last of the T steps is the last asked step.
    """
    return uniform_tokens(key, (rows, protocol.asked[-1] + 1), protocol.symbols)


def earlier_tokens(protocol: Protocol, streams: chex.Array) -> chex.Array:
    """Return the tokens n = 1 .. N steps before each of the A asked steps, int32 `[B, A, N]`.

    The `streams` are int32 `[B, T]`; `protocol` states the steps and N.
    """
    return streams[:, np.array(protocol.asked)[:, None] - 1 - np.arange(protocol.lags)]


class LagMeasurement(Measurement):
    """The measurement by lag: a linear head for each lag 1 .. N reads the standardised state.

    The loss is the mean cross-entropy over all lags, rows and asked steps.
    """

    question = BY_LAG

    def __init__(self, cell: Cell, protocol: Protocol) -> None:
        """Build the network around `cell` for the tokens of `protocol`; nothing is compiled."""
        symbols = protocol.symbols
        self.protocol = protocol
        self.network = network.around(cell, symbols, symbols)
        shape = jax.eval_shape(lambda: flat_state(cell, first_state(cell, symbols), 1)).shape
        self.numbers = shape[-1]
        """D, how many real numbers the state has."""

    def init_params(self, key: chex.PRNGKey) -> Params:
        """Return the cell's initial parameters and the heads', drawn from `key`.

        The heads have a kernel `[D, N V]` and a bias `[N V]`.
        """
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
        """Return a batch of B streams, int32 `[B, T]`, drawn from `key`."""
        return draw_streams(self.protocol, key, self.protocol.rows)

    def loss(self, params: Params, key: chex.PRNGKey, done: chex.Numeric) -> chex.Array:
        """Return the mean cross-entropy, in nats, of all heads on the batch of `key`.

        `params` are the parameters of cell and heads. The states are standardised over the batch.
        `done`, the share of updates made, is ignored.
        """
        del done
        streams = self.draw(key)
        states = self.states(params, streams)
        # The batch is its own reference, so the gradient goes through its mean and variance too.
        logits = self.logits(params, states, states)
        return jnp.mean(cross_entropy(logits, earlier_tokens(self.protocol, streams)))

    def states(self, params: Params, streams: chex.Array) -> chex.Array:
        """Return the flat states after the asked steps, `[B, A, D]`, by the cell's scan.

        The cell with `params` is fed the `streams`, int32 `[B, T]`.
        """
        net = self.network
        rows = len(streams)
        first = self.protocol.asked[0] + 1
        between = self.protocol.asked_every
        state = net.initial_state(params, rows)
        prepared = net.cell.prepare(params["cell"]) if net.cell.prepared_once else None
        # A scan hands out its last state alone, so there is one from each asked step to the next.
        state, _ = network.unroll(net, params, state, streams[:, :first], None, prepared)

        def go_on(state: Carry, tokens: chex.Array) -> tuple[Carry, chex.Array]:
            state, _ = network.unroll(net, params, state, tokens, None, prepared)
            return state, flat_state(net.cell, state, rows)

        later = streams[:, first:].reshape(rows, -1, between).swapaxes(0, 1)
        _, states = jax.lax.scan(go_on, state, later)
        return jnp.concatenate([flat_state(net.cell, state, rows)[None], states]).swapaxes(0, 1)

    def logits(self, params: Params, states: chex.Array, reference: chex.Array) -> chex.Array:
        """Return the logits of the heads in `params` for `states` `[..., D]`: `[..., N, V]`.

        The states are `standardised` by the states `reference`.
        """
        heads = params["heads"]
        read = standardised(states, reference, self.protocol.smallest_variance) @ heads["kernel"]
        read += heads["bias"]
        return read.reshape(*read.shape[:-1], self.protocol.lags, self.protocol.symbols)

    def draw_sets(self, seed: chex.Numeric, weights: chex.Array) -> Sets:
        """Return the data sets of `seed` and `weights`, each int32 `[streams, T]`.

        `weights` is the digest of the trained weights, see `set_keys`.
        """
        count = self.protocol.streams
        return Sets(*(draw_streams(self.protocol, x, count) for x in set_keys(seed, weights)))

    def score(self, params: Params, sets: Sets) -> Scores:
        """Return the scores of `params` on `sets`: the recalibrated nats of each lag.

        The accuracy is the mean over all lags, streams and asked steps of the validation data.
        """
        states, carried = self.states_by_steps(params, sets)
        answers = self.answers(params, states, sets)
        validation, final = self.nats(answers)
        accuracy = jnp.mean(correct(*answers[1]))
        return Scores(validation, final, accuracy=accuracy, bytes=carried)

    def scan_accuracy(self, params: Params, sets: Sets) -> chex.Array:
        """Return the accuracy of `params` on the validation data of `sets`, by the cell's scan.

        Training uses the scan, and the score uses single steps.
        """
        states, reference = (self.states(params, x) for x in (sets.validation, sets.calibration))
        targets = earlier_tokens(self.protocol, sets.validation)
        return jnp.mean(correct(self.logits(params, states, reference), targets))

    def states_by_steps(
        self, params: Params, sets: Sequence[chex.Array]
    ) -> tuple[list[chex.Array], chex.Array]:
        """Return the flat states of each of `sets`, `[B, A, D]`, and the bytes of one state.

        The cell with `params` runs by single steps on the streams of a set, int32 `[B, T]`, and is
        read after the asked steps.
        """
        net = self.network
        usual = self.protocol.asked
        states, carried = by_steps(
            net,
            params,
            jnp.concatenate(sets),
            lambda state, _: flat_state(net.cell, state, 1)[0],
            asked=slice(usual.start, usual.stop, usual.step),
        )
        return jnp.split(states, np.cumsum([*map(len, sets[:-1])])), carried

    def answers(
        self, params: Params, states: Sequence[chex.Array], sets: Sequence[chex.Array]
    ) -> list[HeadLogits]:
        """Return the logits and targets of each of `sets`, streams `[B, T]` with E = B A examples.

        The heads in `params` read the `states` of each set, `[B, A, D]`. The states of the first
        set standardise the states of every set.
        """
        found = []
        for states_of_set, streams in zip(states, sets, strict=True):
            logits = self.logits(params, states_of_set, states[0])
            targets = earlier_tokens(self.protocol, streams)
            examples = logits.reshape(-1, *logits.shape[2:])
            found.append(HeadLogits(examples, targets.reshape(-1, self.protocol.lags)))
        return found

    def nats(self, answers: Sequence[HeadLogits]) -> list[chex.Array]:
        """Return the nats of each lag, `[N]`, for each of `answers` after the first.

        The first answers calibrate.
        """
        calibration, *scored = answers
        recalibration = self.recalibration(calibration)
        return [jnp.mean(recalibrated_nats(*recalibration, *of), axis=0) for of in scored]

    def recalibration(self, calibration: HeadLogits) -> tuple[chex.Array, float]:
        """Return the factor of each lag, `[N]`, fitted to `calibration`, and the doubt.

        `recalibrated_nats` explains both.
        """
        protocol = self.protocol
        # Fitted on streams that are not scored, or the factor would add bits. The doubt, 1/E,
        # bounds what one confident error costs.
        factors = fitted_factors(*calibration, protocol.largest_factor, protocol.halvings)
        return factors, 1 / len(calibration.logits)

    def at_once(self, params: Params, sets: Sets) -> AnswersAtOnce:
        """Return the answers of `params` about `face_answers.STREAMS` after the first asked step.

        The nats are of the final streams of `sets` after this step. The calibration streams
        recalibrate the answers.
        """
        fixed = fixed_streams()
        # Padded to the length of the others: later tokens change no state that is read here.
        padded = jnp.pad(fixed, ((0, 0), (0, sets.final.shape[1] - fixed.shape[1])))
        streams = jnp.concatenate([sets.calibration, padded, sets.final])
        (states,), _ = self.states_by_steps(params, [streams])
        logits = self.logits(params, states[:, 0], states[: len(sets.calibration)])
        found = self.after(self.protocol.asked[0], logits, streams)
        values, certainty, nats = (jnp.split(x, [len(fixed)]) for x in found)
        return AnswersAtOnce(values[0], certainty[0], jnp.mean(nats[1], axis=0))

    def told_at_once(self, found: AnswersAtOnce, _: list[float]) -> tuple[Any, Any]:
        """Return the bits by lag, one number, and the certainty `[10, N]` that `found` has."""
        return lag_bits(found.nats, self.protocol).sum(), found.certainty

    def after(self, step: chex.Numeric, logits: chex.Array, streams: chex.Array) -> AnswersAtOnce:
        """Return the answers after `step`, with the nats of each right token, `[B - C, N]`.

        `logits` `[B, N, V]` are the logits of the heads after this step of `streams` `[B, T]`. The
        first C = `Protocol.streams` streams recalibrate the other streams. They are read after the
        same step, as the heads of a matrix state are too sure at some steps and too unsure at
        others.
        """
        known = self.protocol.streams
        targets = streams[:, step - 1 - jnp.arange(self.protocol.lags)]
        recalibration = self.recalibration(HeadLogits(logits[:known], targets[:known]))
        about, right = logits[known:], targets[known:]
        return AnswersAtOnce(
            jnp.argmax(about, axis=-1),
            recalibrated_certainty(*recalibration, about),
            recalibrated_nats(*recalibration, about, right),
        )

    def row(self, fields: dict[str, Any]) -> LagRow:
        """Return the row of a run from its `fields`; the scores are the nats of each lag."""
        return with_known(LagRow, fields)


def standardised(states: chex.Array, reference: chex.Array, least: float) -> chex.Array:
    """Return `states` `[..., D]` less the mean of `reference` `[..., D]`, over its deviation.

    Each of the D numbers is standardised by itself, so the unit in which a cell stores the number
    does not matter. A constant number becomes 0, as `least` is added to the variance.
    """
    over = tuple(range(reference.ndim - 1))
    variance = jnp.var(reference, axis=over)
    return (states - jnp.mean(reference, axis=over)) / jnp.sqrt(variance + least)
