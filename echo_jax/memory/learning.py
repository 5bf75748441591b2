"""Train and score the network of one run, for any question. Pure.

init ─► train_updates ─► ... ─► train_updates         `updates_at_once` each, `updates` in all
by_steps                                              trained weights ─► answers

One network learns its whole question, so that every lag and every K is of the same weights.
The score is of answers by `step` on one stream. A cell's step is traced once, scanned over the
steps of one stream, and mapped over streams by `lax.map`: it sees no later input, rows cannot mix,
and no rule of the user's for batches is run.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple
from typing import Protocol as Interface

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Lowered

from echo_jax.cells.block import own_state
from echo_jax.cells.interface import Carry
from echo_jax.cells.user_cell_check import Candidate, check_program
from echo_jax.echo.data import Purpose, purpose_key
from echo_jax.echo.network import Network, Params
from echo_jax.echo.training import TrainState, clipped_adam, update
from echo_jax.engine import process
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.questions import Question
from echo_jax.memory.rows import Row


class Sets(NamedTuple):
    """The data sets of a run, or their keys; by key there is no calibration set.

    calibration, validation   the sets drawn from the seed
    final                     the set drawn from the seed and the weights, unknown before training
    """

    calibration: Any
    validation: Any
    final: Any


class Scores(NamedTuple):
    """The score of trained weights, by the steps of one stream.

    validation, final  by lag mean nats of each lag, `[N]`; by key right answers of each K, int32
                       `[K]`; of a task accuracy, nats an answer and entropy of the answers, `[3]`
    accuracy           the mean on the validation data
    bytes              int32, of the state that was carried from step to step, less convolutions
    """

    validation: chex.Array
    final: chex.Array
    accuracy: chex.Array
    bytes: chex.Array


class HeadLogits(NamedTuple):
    """The logits of N heads on a data set, `[E, N, V]`, head n that of lag n; targets `[E, N]`."""

    logits: chex.Array
    targets: chex.Array


class AnswersAtOnce(NamedTuple):
    """The answers of a network about fixed streams, as `reading` packs them.

    values     the most likely ones, by lag of N = 64, by key of 8 pairs, int32 `[10, N]`
    certainty  of these, 0 .. 1: by lag `recalibrated_certainty`, by key the recalibrated
               probability of the value, `[10, N]`
    nats       by lag, of each lag on the final streams after the first asked step, `[N]`; by key of
               the colours of the right values, `[10, N]`; in `fading` by lag of the right tokens
    """

    values: chex.Array
    certainty: chex.Array
    nats: chex.Array


def set_keys(seed: chex.Numeric, weights: chex.Array) -> Sets:
    """Return the keys of a seed; `weights` is the SHA-256 of the trained ones, uint32 `[8]`."""
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
    """Return `read(state, output)` after the asked steps, `[B, A, ...]`, and a state's bytes."""
    # Once, and not in each step: it depends on the parameters alone.
    prepared = net.cell.prepare(params["cell"])

    def of_stream(tokens: chex.Array) -> tuple[chex.Array, chex.Array]:
        """Readings of one stream `[T]` after its asked steps, and the bytes of its state."""

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
    """The arguments of one run, all of which one compiled program serves.

    seed     int32, the seed of the weights and of all data except the final data
    rate     float32, the first learning rate; it falls to 0 by a cosine
    updates  int32, the number of updates in all
    """

    seed: chex.Numeric
    rate: chex.Numeric
    updates: chex.Numeric


class Measurement(Interface):
    """How a cell is measured by a question: its network, data, loss and score.

    Its subclasses are `LagMeasurement`, `KeyMeasurement` and `TaskMeasurement`; for layers of
    PyTorch, `torch_measurement` has others. `questions.Question` defines what a card states of it.

    question      the question by which it measures
    at_once       maps parameters and data sets to `AnswersAtOnce`; None for a task
    told_at_once  maps `AnswersAtOnce` and final scores to bits and certainty; None for a task
    platform      the kind of device that trains it; None for the default device of JAX
    """

    question: Question
    protocol: Protocol
    network: Network
    at_once: Any = None
    told_at_once: Any = None
    platform: str | None = None

    def init_params(self, key: chex.PRNGKey) -> Params:
        """Return the first parameters."""

    def loss(self, params: Params, key: chex.PRNGKey, done: chex.Numeric) -> chex.Array:
        """Return the loss of the batch of a key after a share of the updates."""

    def associated(self, params: Params, seed: chex.Numeric) -> chex.Array:
        """Return the right answers about a few pairs; 0 where there are none."""
        del params, seed
        return jnp.zeros((), jnp.int32)

    def draw_sets(self, seed: chex.Numeric, weights: chex.Array) -> Any:
        """Return the data sets of a seed and the digest of its trained weights."""

    def score(self, params: Params, sets: Any) -> Scores:
        """Return the answers by the steps of the cell."""

    def scan_accuracy(self, params: Params, sets: Any) -> chex.Array:
        """Return the accuracy on the validation data by the cell's scan, as in training."""

    def row(self, fields: dict[str, Any]) -> Row:
        """Return the row of a run, with its scores among the fields."""

    def lowered(self, name: str) -> tuple[dict[str, Lowered], int]:
        """Programs of `MeasurementPrograms` about the cell of a name, and the bytes of constants.

        `name` is the name of the cell. Raises ConfigError, which names the user's line, if the
        score is not a function of the state alone (see `cells.user_cell_check`) or if the cell
        cannot be trained.
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
        """Raise ConfigError, as `lowered` does, unless the cell can be measured."""
        self.lowered(name)

    def programs(self, name: str) -> "MeasurementPrograms":
        """Return the programs about the cell of a name; raise ConfigError as `lowered` does."""
        checked, constants = self.lowered(name)
        compiled = {name: program.compile() for name, program in checked.items()}
        process.give_back_memory()
        at_once = self.at_once and jax.jit(self.at_once)  # of one run of a card: compiled there
        return MeasurementPrograms(self, constants, at_once=at_once, **compiled)


@dataclasses.dataclass(frozen=True)
class MeasurementPrograms:
    """The compiled functions of a measurement.

    measurement    the one that they are of
    constants      the bytes of the arrays that `score` holds as constants
    init           maps a `RunInputs` to the first `TrainState`
    block          maps a `RunInputs` and a `TrainState` to the next one, and `Losses`
    draw           maps a seed and the digest of weights to data sets
    score          maps parameters and data sets to `Scores`
    scan_accuracy  maps parameters and data sets to an accuracy; None for a cell without a scan
    at_once        as of `Measurement`
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
    """Return the state before the first update; its random numbers depend on the seed alone."""
    params = measurement.init_params(purpose_key(run.seed, Purpose.WEIGHTS))
    moments = clipped_adam(measurement.protocol.largest_norm).init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, moments)


class Losses(NamedTuple):
    """The losses of some updates, and what `associated` counts after the last one."""

    losses: chex.Array
    associated: chex.Array


def train_updates(
    measurement: Measurement, run: RunInputs, state: TrainState
) -> tuple[TrainState, Losses]:
    """Return the next `updates_at_once`, number i on data of its own."""
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
