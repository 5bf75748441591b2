"""Train and score the network of one run, for any question. All functions are pure.

init ─► train_updates ─► ... ─► train_updates         `updates_at_once` each, `updates` in all
by_steps                                              trained weights ─► answers

One network learns its whole question, so one set of weights answers for every lag and every K. The
score counts only answers that the cell's `step` gives, on one stream at a time.

A cell's step is traced once, scanned over the steps of one stream, and mapped over streams by
`lax.map`. So the cell sees no later input, rows cannot mix, and no batching rule that a user wrote
is called.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple
from typing import Protocol as Interface

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.stages import Lowered

from echo_jax.cells.interface import Carry
from echo_jax.cells.state_numbers import own_state
from echo_jax.cells.user_cell_check import Candidate, check_program
from echo_jax.learner.network import Network, Params
from echo_jax.learner.random_tokens import Purpose, purpose_key
from echo_jax.learner.update import TrainState, fused_adam, update
from echo_jax.memory.all_questions import Row
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.question import Question


class Sets(NamedTuple):
    """The data sets of a run, or the random keys from which they are drawn.

    calibration  the set to which recalibration is fitted, drawn from the seed; None by key
    validation   the set whose score chooses a rate or a K, drawn from the seed
    final        the set whose score counts, drawn from the seed and the trained weights, and so
                 unknown before training ends
    """

    calibration: Any
    validation: Any
    final: Any


class Scores(NamedTuple):
    """The scores of trained weights, by single steps of one stream.

    validation  the score on the validation data: by lag, the mean nats of each lag, `[N]`; by key,
                the number of right answers at each K, int32; of a task, the accuracy, the nats per
                answer and the entropy of the right answers, `[3]`
    final       the same numbers on the final data
    accuracy    the mean accuracy on the validation data
    bytes       the bytes of the state that is carried from step to step, without convolutions,
                int32
    """

    validation: chex.Array
    final: chex.Array
    accuracy: chex.Array
    bytes: chex.Array


class HeadLogits(NamedTuple):
    """The answers of N heads, one for each lag, to E examples.

    logits   the logits of each head, `[E, N, V]`
    targets  the token at each lag, int32 `[E, N]`
    """

    logits: chex.Array
    targets: chex.Array


class AnswersAtOnce(NamedTuple):
    """The answers of a network about fixed streams, as `face_answers` packs them.

    values     the most likely values, int32 `[10, N]`; N is 64 lags, or 8 pairs by key
    certainty  the certainty of each value, 0 .. 1, `[10, N]`: by lag `recalibrated_certainty`, by
               key the recalibrated probability of the value
    nats       by lag, the nats of each lag on the final streams after the first asked step, `[N]`;
               by key, the nats of the colours of the right values, `[10, N]`

    From `LagMeasurement.after`, all arrays have a row for each of its streams in place of 10, and
    `nats` has the nats of each right token.
    """

    values: chex.Array
    certainty: chex.Array
    nats: chex.Array


def set_keys(seed: chex.Numeric, weights: chex.Array) -> Sets:
    """Return the random keys of the data sets of a run with this `seed`.

    The final key also depends on `weights`, the SHA-256 of the trained weights, uint32 `[8]`.
    """
    key = purpose_key(seed, Purpose.EVALUATION)
    final = jax.random.fold_in(key, 2)
    # fold_in takes 32 bits, so the digest is folded in word by word.
    for i in range(len(weights)):
        final = jax.random.fold_in(final, weights[i])
    return Sets(jax.random.fold_in(key, 0), jax.random.fold_in(key, 1), final)


def by_steps(
    net: Network,
    params: Params,
    streams: chex.Array,
    read: Any,
    asked: slice = slice(None),
) -> tuple[chex.Array, chex.Array]:
    """Return `read(state, output)` after the asked steps, `[B, A, ...]`, and a state's bytes.

    The cell of `net` with `params` runs by single steps, on one of the `streams` `[B, T]` at a
    time. `read` gets the state of one stream and the output, `[1, H]`. `asked` is the slice of the
    steps whose readings are kept; by default all are.
    """
    # Once, and not in each step: it depends on the parameters alone.
    prepared = net.cell.prepare(params["cell"])

    def of_stream(tokens: chex.Array) -> tuple[chex.Array, chex.Array]:
        """Return the readings of one stream, `tokens` `[T]`, and the bytes of its state."""

        def step(state: Carry, token: chex.Array) -> tuple[Carry, chex.Array]:
            x = jax.nn.one_hot(token, net.input_size)[None]
            state, output = net.cell.step(prepared, state, x)
            return state, read(state, output)

        state, found = jax.lax.scan(step, net.initial_state(params, 1), tokens)
        # Counted where it is carried: a cell cannot show another state to who counts it.
        leaves = jax.tree.leaves(own_state(net.cell, state))
        kept = jax.tree.map(lambda x: x[asked], found)  # here: of all streams they take gigabytes
        return kept, jnp.int32(sum(x.size * x.dtype.itemsize for x in leaves))

    found, carried = jax.lax.map(of_stream, streams)
    return found, carried[0]


class RunInputs(NamedTuple):
    """The inputs of a run; one compiled program serves all runs, whatever their inputs.

    seed     int32, the seed of the weights and of all data; the final data also depend on the
             trained weights
    rate     float32, the first learning rate, which falls to 0 by a cosine
    updates  int32, the number of updates in all
    """

    seed: chex.Numeric
    rate: chex.Numeric
    updates: chex.Numeric


class Measurement(Interface):
    """How a cell is measured by a question: its network, data, loss and score.

    The subclasses are `LagMeasurement`, `KeyMeasurement` and `TaskMeasurement`; for layers of
    PyTorch, `torch_measurement` has others. `question.Question` defines what a card states of the
    question.

    question           the question by which the cell is measured
    protocol, network  the numbers of the measure, and the network around the cell
    at_once            maps parameters and data sets to `AnswersAtOnce`; None for a task
    told_at_once       maps `AnswersAtOnce` and the final score to the `at_once` and the certainty
                       of a `Reading`; None for a task
    platform           the kind of device that trains the network; None for the default device of
                       JAX
    """

    question: Question
    protocol: Protocol
    network: Network
    at_once: Any = None
    told_at_once: Any = None
    platform: str | None = None

    def init_params(self, key: chex.PRNGKey) -> Params:
        """Return the initial parameters of the network, drawn from `key`."""

    def loss(self, params: Params, key: chex.PRNGKey, done: chex.Numeric) -> chex.Array:
        """Return the mean loss, in nats, of `params` on the batch of `key`.

        `done` is the share of updates made.
        """

    def associated(self, params: Params, seed: chex.Numeric) -> chex.Array:
        """Return the number of right answers of `params` about a few pairs, drawn from `seed`.

        The number is 0 by lag and on a task, where no such check is made.
        """
        del params, seed
        return jnp.zeros((), jnp.int32)

    def draw_sets(self, seed: chex.Numeric, weights: chex.Array) -> Any:
        """Return the `Sets` of `seed` and `weights`, the digest of the trained weights."""

    def score(self, params: Params, sets: Any) -> Scores:
        """Return the scores of the trained `params` on `sets`, by single steps of the cell."""

    def scan_accuracy(self, params: Params, sets: Any) -> chex.Array:
        """Return the accuracy of `params` on the validation data of `sets`, by the cell's scan.

        Training uses the scan, and the score uses single steps.
        """

    def row(self, fields: dict[str, Any]) -> Row:
        """Return the row of a run from its `fields`, which include the scores."""

    def lowered(self, name: str) -> tuple[dict[str, Lowered], int]:
        """Return the lowered programs of `MeasurementPrograms` by name, and the constants' bytes.

        `name` is the name of the cell, and the constants are arrays in the program of the score.
        Raises ConfigError, which names the user's line, if the cell may remember more than its
        state (see `cells.user_cell_check`), or if it cannot be trained.
        """
        run = RunInputs(np.int32(0), np.float32(0), np.int32(0))
        weights = np.zeros(8, np.uint32)
        cell = self.network.cell
        first = partial(init, self)
        progress = jax.eval_shape(first, run)
        of_weights = progress.params, jax.eval_shape(self.draw_sets, run.seed, weights)
        score = check_program(cell, name, self.score, *of_weights)
        # Donated, or there would be two copies of weights and moments.
        block = jax.jit(partial(train_updates, self), donate_argnums=1)
        programs = {
            "score": score.lowered,
            "init": jax.jit(first).lower(run),
            "block": Candidate(cell, name).attempt(lambda: block.lower(run, progress)),
            "draw": jax.jit(self.draw_sets).lower(run.seed, weights),
        }
        if cell.has_scan:
            programs["scan_accuracy"] = jax.jit(self.scan_accuracy).lower(*of_weights)
        return programs, score.constant_bytes

    def check(self, name: str) -> None:
        """Raise ConfigError unless the cell called `name` can be measured, see `lowered`."""
        self.lowered(name)

    def programs(self, name: str) -> "MeasurementPrograms":
        """Return the compiled programs for the cell called `name`; errors are as in `lowered`."""
        checked, constants = self.lowered(name)
        compiled = {name: program.compile() for name, program in checked.items()}
        at_once = self.at_once and jax.jit(self.at_once)  # of one run of a card: compiled there
        return MeasurementPrograms(self, constants, at_once=at_once, **compiled)


@dataclasses.dataclass(frozen=True)
class MeasurementPrograms:
    """The functions of a measurement, compiled if JAX trains the network.

    measurement    the measurement to which the functions belong
    constants      the bytes of the arrays that `score` holds as constants; 0 for PyTorch
    init           maps a `RunInputs` to the first `TrainState`
    block          maps a `RunInputs` and a `TrainState` to the next one, and `Losses`
    draw           maps a seed and the digest of weights to data sets
    score          maps parameters and data sets to `Scores`
    scan_accuracy  maps parameters and data sets to an accuracy; None for a cell without a scan
    at_once        maps parameters and data sets to all answers, see `Measurement.at_once`; compiled
                   when it is first called; None for a task
    """

    measurement: Measurement
    constants: int
    init: Any
    block: Any
    draw: Any
    score: Any
    scan_accuracy: Any = None
    at_once: Any = None


def init(measurement: Measurement, run: RunInputs) -> TrainState:
    """Return the training state of `run` by `measurement`, before the first update.

    Its random numbers depend only on the seed.
    """
    params = measurement.init_params(purpose_key(run.seed, Purpose.WEIGHTS))
    moments = clipped_adam(measurement.protocol.largest_norm).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, moments)


class Losses(NamedTuple):
    """What a call of `train_updates` reports.

    losses      the loss of each update before it is made, in nats, `[updates_at_once]`
    associated  the right answers that `Measurement.associated` counts after the last update, int32
    """

    losses: chex.Array
    associated: chex.Array


def train_updates(
    measurement: Measurement, run: RunInputs, state: TrainState
) -> tuple[TrainState, Losses]:
    """Make the next `updates_at_once` updates of `run`; return the new `state` and the losses.

    `measurement` defines the loss. Update i trains on its own batch, which is drawn from the seed
    and i.
    """
    key = purpose_key(run.seed, Purpose.DATA)
    optimizer = clipped_adam(measurement.protocol.largest_norm)

    def step(state: TrainState, _: None) -> tuple[TrainState, chex.Array]:
        # By the number of the update, so that calls of any length draw the same batches.
        of_update = jax.random.fold_in(key, state.step)
        done = state.step / run.updates
        rate = run.rate * (1 + jnp.cos(jnp.pi * done)) / 2
        state, loss, _ = update(
            lambda params: (measurement.loss(params, of_update, done), None), optimizer, rate, state
        )
        return state, loss

    state, losses = jax.lax.scan(step, state, length=measurement.protocol.updates_at_once)
    return state, Losses(losses, measurement.associated(state.params, run.seed))


def clipped_adam(largest_norm: float) -> optax.GradientTransformation:
    """Return `fused_adam`; a gradient with a global norm above `largest_norm` is scaled to it."""
    return optax.chain(optax.clip_by_global_norm(largest_norm), fused_adam())
