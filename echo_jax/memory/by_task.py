"""A task: the network reads its cell's output at each step, and learns the targets. Pure.

inputs   1 0 1 1      parity
targets  . 1 0 1
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import Cell
from echo_jax.cells.scan import Carry
from echo_jax.core import network
from echo_jax.core.loss import correct, cross_entropy, mean_where
from echo_jax.core.network import Params
from echo_jax.core.recalibration import fitted_factors, recalibrated_nats
from echo_jax.memory.learning import Level, ReadAtEachStep, RunInputs
from echo_jax.memory.protocol import Configuration, Protocol
from echo_jax.memory.rows import TaskRow, TaskScore
from echo_jax.memory.scoring import Scores, by_steps, set_keys
from echo_jax.memory.task_object import Drawn, TaskObject


class TaskSets(NamedTuple):
    """The rows of each data set of a run, see `scoring.SetKeys`; two are of the part validation."""

    calibration: Drawn
    validation: Drawn
    final: Drawn


class ByTask(ReadAtEachStep):
    """The loss is the mean cross-entropy over all targets of a batch that count."""

    def __init__(self, cell: Cell, protocol: Protocol, task: TaskObject) -> None:
        """A network around a cell; nothing is compiled."""
        super().__init__(cell, protocol, *task.sizes)
        self.task = task

    def draw(self, key: chex.PRNGKey) -> Drawn:
        """B rows of the part training."""
        return self.task.draw(key, self.protocol.rows, "training")

    def loss(
        self, params: Params, batch: Drawn, level: Level, run: RunInputs, done: chex.Numeric
    ) -> tuple[chex.Array, Level]:
        """The mean over all targets that count."""
        del run, done
        logits = self.logits(params, batch.inputs)
        return mean_where(cross_entropy(logits, batch.targets), batch.counts), level

    def associated(self, params: Params, seed: chex.Numeric) -> chex.Array:
        """0: a task has no pairs."""
        del params, seed
        return jnp.zeros((), jnp.int32)

    def draw_sets(self, seed: chex.Numeric, weights: chex.Array) -> TaskSets:
        """The data sets of a seed and the digest of its trained weights."""
        keys = set_keys(seed, weights)
        rows = self.protocol.streams
        return TaskSets(
            calibration=self.task.draw(keys.calibration, rows, "validation"),
            validation=self.task.draw(keys.validation, rows, "validation"),
            final=self.task.draw(keys.final, rows, "final"),
        )

    def score(self, params: Params, sets: TaskSets) -> Scores:
        """Accuracy, nats an answer after recalibration, and entropy of the answers, `[3]`."""
        net = self.network

        def answer(_: Carry, output: chex.Array) -> chex.Array:
            return network.read_out(net, params, output[0])

        streams = jnp.concatenate([drawn.inputs for drawn in sets])
        found, carried = by_steps(net, params, streams, answer)
        calibration, *scored = jnp.split(found, len(sets))
        factors = self.factors(calibration, sets.calibration)
        doubt = 1 / jnp.sum(sets.calibration.counts)
        validation, final = (
            scores_of(factors, doubt, logits, drawn)
            for logits, drawn in zip(scored, sets[1:], strict=True)
        )
        return Scores(validation, final, accuracy=validation[0], bytes=carried)

    def factors(self, logits: chex.Array, drawn: Drawn) -> chex.Array:
        """The factor of recalibration, `[1]`; equal logits where no target counts have no slope."""
        counted = jnp.where(drawn.counts[..., None], logits, 0.0)
        examples = counted.reshape(-1, 1, logits.shape[-1])
        protocol = self.protocol
        targets = drawn.targets.reshape(-1, 1)
        return fitted_factors(examples, targets, protocol.largest_factor, protocol.halvings)

    def scan_accuracy(self, params: Params, sets: TaskSets) -> chex.Array:
        """The accuracy on the validation data by the cell's scan, in which it was trained."""
        inputs, targets, counts = sets.validation
        return mean_where(correct(self.logits(params, inputs), targets), counts)

    def row(self, of: Configuration, seed: int, level: int, scores: dict[str, Any]) -> TaskRow:
        """The row of a run."""
        del level, scores["associated"]
        for name in ("validation", "final"):
            if scores[name] is not None:
                scores[name] = TaskScore(*scores[name])
        return TaskRow(seed, of.rate, of.updates, self.task.measured, **scores)


def scores_of(
    factors: chex.Array, doubt: chex.Array, logits: chex.Array, drawn: Drawn
) -> chex.Array:
    """Accuracy, nats and entropy of logits `[B, T, answers]`, float32 `[3]`."""
    answers = logits.shape[-1]
    right = mean_where(correct(logits, drawn.targets), drawn.counts)
    examples = logits.reshape(-1, 1, answers), drawn.targets.reshape(-1, 1)
    nats = recalibrated_nats(factors, doubt, *examples).reshape(drawn.counts.shape)
    of_answers = jax.nn.one_hot(drawn.targets, answers) * drawn.counts[..., None]
    shares = jnp.sum(of_answers, axis=(0, 1)) / jnp.sum(drawn.counts)
    entropy = jnp.sum(jax.scipy.special.entr(shares))
    return jnp.stack([right, mean_where(nats, drawn.counts), entropy])
