"""Compute the answers, scores and states of a network on fresh sequences. Pure."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import Carry
from echo_jax.config import DynamicParams, RunConfig
from echo_jax.echo.data import Batch, Corpus, draw_sequences, in_order, sequence_batches
from echo_jax.echo.training import feed, start, target_logits
from echo_jax.learner.loss import token_loss
from echo_jax.learner.network import Network, Params
from echo_jax.learner.random_tokens import Purpose

SEQUENCES_AT_ONCE = 100
"""The most sequences evaluated side by side. This bounds memory, and changes only last bits."""


class Answers(NamedTuple):
    """The answers of a network at the P positions of a sequence; each field is `[streams, P]`.

    There is one stream, or B of them in layout streams.

    expected   int32, the targets
    predicted  int32, the most likely tokens
    loss       float32, nats; in framing `values` squared errors
    scored     bool, True where there is a target
    """

    expected: chex.Array
    predicted: chex.Array
    loss: chex.Array
    scored: chex.Array


class Evaluation(NamedTuple):
    """The scores on all fresh sequences, and the answers to the first sequence.

    accuracy              float32, the share of correct answers
    loss                  float32, the mean loss in nats; in framing `values` the mean squared error
    distance              float32, the mean of |expected - predicted|
    accuracy_by_position  float32 `[P]`, the share of correct answers at each position, NaN where a
                          position has no target
    first                 the `Answers` to the first sequence
    """

    accuracy: chex.Array
    loss: chex.Array
    distance: chex.Array
    accuracy_by_position: chex.Array
    first: Answers


def answer_sequence(
    config: RunConfig,
    network: Network,
    dynamic: DynamicParams,
    params: Params,
    tokens: chex.Array,
) -> Answers:
    """Return the answers of `network` to the sequence `tokens`, int32 `[L]`, in streams `[B, L]`.

    The weights are `params`, and the lag and the statefulness are those of `dynamic`.
    """

    def step(carry: Carry, batch: Batch) -> tuple[Carry, Answers]:
        carry, fed = feed(network, dynamic.stateful, params, carry, batch.rows)
        logits = target_logits(network, params, fed.outputs, batch.targets)
        every = jnp.ones(batch.targets.shape, bool)
        return carry, Answers(
            expected=batch.targets,
            predicted=jnp.argmax(logits, axis=-1).astype(jnp.int32),
            loss=token_loss(logits, batch.targets, config.task.framing),
            scored=every if batch.scored is None else batch.scored,
        )

    batches = sequence_batches(tokens, config.task, dynamic.lag)
    _, answers = jax.lax.scan(step, start(config, network, params), batches)
    return Answers(*(in_order(values, config.task) for values in answers))


class States(NamedTuple):
    """The carries around the K*B rows of a sequence; the F numbers of a carry stand side by side.

    before  float32 `[K*B, F]`, the carry from which the row starts
    after   float32 `[K*B, F]`, the carry at the end of the row
    """

    before: chex.Array
    after: chex.Array


def states_around(
    config: RunConfig,
    network: Network,
    dynamic: DynamicParams,
    params: Params,
    tokens: chex.Array,
) -> States:
    """Return the states before and after each row of the sequence `tokens`, int32 `[L]`.

    In streams the tokens are `[B, L]`. The weights are `params`, and the lag and the statefulness
    are those of `dynamic`.
    """

    def step(carry: Carry, batch: Batch) -> tuple[Carry, States]:
        after, fed = feed(network, dynamic.stateful, params, carry, batch.rows)
        return after, States(_side_by_side(fed.before), _side_by_side(after))

    batches = sequence_batches(tokens, config.task, dynamic.lag)
    _, states = jax.lax.scan(step, start(config, network, params), batches)
    return States(*(values.reshape(-1, values.shape[-1]) for values in states))


def _side_by_side(carry: Carry) -> chex.Array:
    """Return the arrays of `carry`, each `[B, ...]`, concatenated to one array `[B, F]`."""
    leaves = [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(carry)]
    return jnp.concatenate(leaves, axis=1)


def evaluate(
    config: RunConfig,
    network: Network,
    dynamic: DynamicParams,
    params: Params,
    corpus: Corpus | None = None,
) -> Evaluation:
    """Return the scores of `network` on `config.evaluation_sequences` fresh sequences.

    The weights are `params`. The sequences are random, or cut from the held-out part of a `corpus`.
    `dynamic` states their seed, the lag of the targets, and whether the network is stateful.
    """
    counters = jnp.arange(config.evaluation_sequences)
    tokens = draw_sequences(dynamic.seed, Purpose.EVALUATION, counters, config.task, corpus)
    answers = jax.lax.map(
        lambda sequence: answer_sequence(config, network, dynamic, params, sequence),
        tokens,
        batch_size=min(SEQUENCES_AT_ONCE, config.evaluation_sequences),
    )
    right = (answers.expected == answers.predicted) & answers.scored
    off = jnp.abs(answers.expected - answers.predicted)
    return Evaluation(
        accuracy=jnp.sum(right) / jnp.sum(answers.scored),
        loss=jnp.sum(jnp.where(answers.scored, answers.loss, 0.0)) / jnp.sum(answers.scored),
        # 0.0 makes this a float32 sum: in int32 the distance of 32 million answers overflowed.
        distance=jnp.sum(jnp.where(answers.scored, off, 0.0)) / jnp.sum(answers.scored),
        # 0 / 0 is wanted here: NaN marks a position without a target.
        accuracy_by_position=jnp.sum(right, (0, 1)) / jnp.sum(answers.scored, (0, 1)),
        first=jax.tree.map(lambda leaf: leaf[0], answers),
    )
