"""Learning of the network of one run, whichever its question. Pure.

init ─► train_updates ─► ... ─► train_updates         `updates_at_once` each, `updates` in all

One network learns its whole question, so that every lag and every K is asked of the same weights.
"""

from typing import Any, NamedTuple
from typing import Protocol as Interface

import chex
import jax
import jax.numpy as jnp

from echo_jax.core.data import Purpose, purpose_key
from echo_jax.core.network import Network, Params
from echo_jax.core.training import TrainState, clipped_adam, update
from echo_jax.memory.protocol import Configuration, Protocol
from echo_jax.memory.rows import Row
from echo_jax.memory.scoring import Scores


class RunInputs(NamedTuple):
    """The arguments of one run; one compiled program serves all.

    seed     int32, of the weights and of all data but the final ones
    rate     float32, the first learning rate; it falls to 0 by a cosine
    updates  int32, in all
    """

    seed: chex.Numeric
    rate: chex.Numeric
    updates: chex.Numeric


class Question(Interface):
    """A question about a cell: its network, data, loss and score.

    `by_lag.ByLag`, `by_key.ByKey` or `by_task.ByTask`.
    """

    protocol: Protocol
    network: Network

    def init_params(self, key: chex.PRNGKey) -> Params:
        """The first parameters."""

    def loss(self, params: Params, key: chex.PRNGKey, done: chex.Numeric) -> chex.Array:
        """The loss of the batch of a key after a share of the updates."""

    def associated(self, params: Params, seed: chex.Numeric) -> chex.Array:
        """The right answers about a few pairs; 0 where there are none."""
        del params, seed
        return jnp.zeros((), jnp.int32)

    def draw_sets(self, seed: chex.Numeric, weights: chex.Array) -> Any:
        """The data sets of a seed and the digest of its trained weights."""

    def score(self, params: Params, sets: Any) -> Scores:
        """The answers by the steps of the cell."""

    def scan_accuracy(self, params: Params, sets: Any) -> chex.Array:
        """The accuracy on the validation data by the cell's scan, in which it was trained."""

    def row(self, of: Configuration, seed: int, scores: dict[str, Any]) -> Row:
        """The row of a run, with its scores as fields."""


def init(question: Question, run: RunInputs) -> TrainState:
    """The state before the first update; its random numbers depend on the seed alone."""
    params = question.init_params(purpose_key(run.seed, Purpose.WEIGHTS))
    moments = clipped_adam(question.protocol.largest_norm).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, moments)


class Metrics(NamedTuple):
    """The losses of some updates, and what `associated` counts after the last one."""

    losses: chex.Array
    associated: chex.Array


def train_updates(
    question: Question, run: RunInputs, state: TrainState
) -> tuple[TrainState, Metrics]:
    """The next `updates_at_once`, number i on data of its own."""
    key = purpose_key(run.seed, Purpose.DATA)
    optimizer = clipped_adam(question.protocol.largest_norm)

    def step(state: TrainState, _: None) -> tuple[TrainState, chex.Array]:
        of_update = jax.random.fold_in(key, state.step)
        done = state.step / run.updates
        rate = run.rate * (1 + jnp.cos(jnp.pi * done)) / 2
        state, loss, _ = update(
            lambda params: (question.loss(params, of_update, done), None), optimizer, rate, state
        )
        return state, loss

    state, losses = jax.lax.scan(step, state, length=question.protocol.updates_at_once)
    return state, Metrics(losses, question.associated(state.params, run.seed))
