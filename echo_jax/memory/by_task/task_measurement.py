"""Measure a task: a linear readout learns its targets, and the last level is scored. Pure."""

from typing import Any

import chex
import jax
import jax.numpy as jnp

from echo_jax.learner.loss import correct, mean_where
from echo_jax.learner.network import Params
from echo_jax.learner.recalibration import fitted_factors, recalibrated_nats
from echo_jax.memory.by_task.checked_task import TaskObject
from echo_jax.memory.by_task.task_rows_and_bits import BY_TASK, TaskRow, TaskScore
from echo_jax.memory.measurement import Scores, Sets, set_keys
from echo_jax.memory.question import with_known
from echo_jax.memory.readout_measurement import ReadoutMeasurement
from echo_jax.memory.tasks import TaskRows


class TaskMeasurement(ReadoutMeasurement):
    """The measurement of a task, scored at its last level. The question is `BY_TASK`."""

    question = BY_TASK
    task: TaskObject

    def draw_sets(self, seed: chex.Numeric, weights: chex.Array) -> Sets:
        """Return the data sets of `seed` and `weights`, the digest of the trained weights.

        The calibration and the validation set are drawn from the part validation of the task, and
        the final set from the part final.
        """
        # The first recalibrates: a factor that is fitted to the scored rows would add bits.
        parts = "validation", "validation", "final"
        rows, level = self.protocol.streams, self.task.levels[-1]
        keys = zip(set_keys(seed, weights), parts, strict=True)
        return Sets(*(self.task.draw(key, rows, part, level) for key, part in keys))

    def score(self, params: Params, sets: Sets) -> Scores:
        """Return the scores `[3]` of `params` on the validation and on the final rows of `sets`.

        The scores are the accuracy, the nats per recalibrated answer, and the entropy of the right
        answers.
        """
        streams = jnp.concatenate([drawn.tokens for drawn in sets])
        found, carried = self.by_steps(params, streams, lambda logits: logits)
        validation, final = self.scores_of(found, sets)
        return Scores(validation, final, accuracy=validation[0], bytes=carried)

    def scores_of(self, found: chex.Array, sets: Sets) -> list[chex.Array]:
        """Return the scores `[3]` of the validation and of the final rows, see `score`.

        `found` has the logits on all rows of the three `sets`, `[B, T, answers]`.
        """
        calibration, *scored = jnp.split(found, len(sets))
        factors = self.factors(calibration, sets.calibration)
        doubt = 1 / jnp.sum(sets.calibration.scored)
        of_sets = zip(scored, sets[1:], strict=True)
        return [accuracy_nats_entropy(factors, doubt, *of) for of in of_sets]

    def factors(self, logits: chex.Array, drawn: TaskRows) -> chex.Array:
        """Return the factor of recalibration, `[1]`, fitted to `logits` on the rows `drawn`.

        The logits of steps that are not scored become 0, so that these steps do not change the
        factor.
        """
        scored = jnp.where(drawn.scored[..., None], logits, 0.0)
        examples = scored.reshape(-1, 1, logits.shape[-1])
        protocol = self.protocol
        targets = drawn.targets.reshape(-1, 1)
        return fitted_factors(examples, targets, protocol.largest_factor, protocol.halvings)

    def scan_accuracy(self, params: Params, sets: Sets) -> chex.Array:
        """Return the accuracy of `params` on the validation data of `sets`, by the cell's scan.

        Training uses the scan, and the score uses single steps.
        """
        return self.right(params, sets.validation) / jnp.sum(sets.validation.scored)

    def row(self, fields: dict[str, Any]) -> TaskRow:
        """Return the row of a run from its `fields`, with the scores that `score` returned."""
        sets = [name for name in ("validation", "final") if fields[name] is not None]
        scores = {name: TaskScore(*fields[name]) for name in sets}
        return with_known(TaskRow, {"task": self.task.measured, **fields, **scores})


def accuracy_nats_entropy(
    factors: chex.Array, doubt: chex.Array, logits: chex.Array, drawn: TaskRows
) -> chex.Array:
    """Return the accuracy, the nats per answer and the entropy of the targets, float32 `[3]`.

    The targets are the scored targets of `drawn`, and the `logits` `[B, T, answers]` answer them.
    `factors` and `doubt` recalibrate the logits, see `recalibrated_nats`.
    """
    answers = logits.shape[-1]
    right = mean_where(correct(logits, drawn.targets), drawn.scored)
    examples = logits.reshape(-1, 1, answers), drawn.targets.reshape(-1, 1)
    nats = recalibrated_nats(factors, doubt, *examples).reshape(drawn.scored.shape)
    of_answers = jax.nn.one_hot(drawn.targets, answers) * drawn.scored[..., None]
    shares = jnp.sum(of_answers, axis=(0, 1)) / jnp.sum(drawn.scored)
    entropy = jnp.sum(jax.scipy.special.entr(shares))
    return jnp.stack([right, mean_where(nats, drawn.scored), entropy])
