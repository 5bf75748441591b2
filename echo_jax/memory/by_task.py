"""A task: the network reads its cell's output at each step, and learns the targets. Pure.

tokens   1 0 1 1      parity
targets  . 1 0 1
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.interface import Cell
from echo_jax.core import network
from echo_jax.core.loss import correct, cross_entropy, mean_where
from echo_jax.core.network import Network, Params
from echo_jax.core.recalibration import fitted_factors, recalibrated_nats
from echo_jax.memory import scoring
from echo_jax.memory.learning import Question
from echo_jax.memory.protocol import Configuration, Protocol
from echo_jax.memory.rows import TaskRow, TaskScore
from echo_jax.memory.scoring import Scores, Sets, set_keys
from echo_jax.memory.task_object import TaskObject
from echo_jax.memory.tasks import Rows, Task


class LearnsTask(Question):
    """A linear readout of the cell's output at each step learns a task.

    The loss is the mean cross-entropy over all targets of a batch that are scored. The level of the
    task rises by the ramp, from its first to its last.
    """

    def __init__(self, cell: Cell, protocol: Protocol, task: Task) -> None:
        """A network around a cell, fed one-hot tokens; nothing is compiled."""
        self.protocol = protocol
        self.task = task
        readout = nn.Dense(task.answers, kernel_init=nn.initializers.lecun_normal())
        self.network = Network(cell, readout, task.tokens, task.tokens, task.answers)

    def init_params(self, key: chex.PRNGKey) -> Params:
        """The cell's, and those of the readout."""
        return network.init_params(self.network, key)

    def draw(self, key: chex.PRNGKey, level: chex.Array) -> Rows:
        """A batch of B rows at a level."""
        return self.task.draw(key, self.protocol.rows, "training", level)

    def loss(self, params: Params, key: chex.PRNGKey, done: chex.Numeric) -> chex.Array:
        """The mean over all targets that are scored."""
        drawn = self.draw(key, self.ramp(done))
        logits = self.logits(params, drawn.tokens)
        return mean_where(cross_entropy(logits, drawn.targets), drawn.scored)

    def ramp(self, done: chex.Numeric) -> chex.Array:
        """The level of the ramp after a share of the updates."""
        levels = self.task.levels
        risen = jnp.minimum(done / self.protocol.ramp, 1.0)
        return levels.start + levels.step * jnp.floor((len(levels) - 1) * risen).astype(jnp.int32)

    def logits(self, params: Params, tokens: chex.Array) -> chex.Array:
        """The logits at each step: tokens `[B, T]` to `[B, T, answers]`, by the cell's scan."""
        state = self.network.initial_state(params, len(tokens))
        _, outputs = network.unroll(self.network, params, state, tokens, None)
        return network.read_out(self.network, params, outputs).swapaxes(0, 1)

    def right(self, params: Params, rows: Rows) -> chex.Array:
        """The number of right answers by the cell's scan."""
        return jnp.sum(correct(self.logits(params, rows.tokens), rows.targets) & rows.scored)

    def by_steps(
        self, params: Params, streams: chex.Array, read: Callable[[chex.Array], chex.Array]
    ) -> tuple[chex.Array, chex.Array]:
        """Readings of the logits at each step of streams, `[B, T, ...]`; bytes of state."""
        net = self.network

        def answer(_: Any, output: chex.Array) -> chex.Array:
            return read(network.read_out(net, params, output[0]))

        return scoring.by_steps(net, params, streams, answer)


class ByTask(LearnsTask):
    """A task is asked alone, at its last level."""

    task: TaskObject

    def draw_sets(self, seed: chex.Numeric, weights: chex.Array) -> Sets:
        """The rows of a seed and the digest of its trained weights; of validation there are two."""
        parts = "validation", "validation", "final"
        rows, level = self.protocol.streams, self.task.levels[-1]
        keys = zip(set_keys(seed, weights), parts, strict=True)
        return Sets(*(self.task.draw(key, rows, part, level) for key, part in keys))

    def score(self, params: Params, sets: Sets) -> Scores:
        """Accuracy, nats an answer after recalibration, and entropy of the answers, `[3]`."""
        streams = jnp.concatenate([drawn.tokens for drawn in sets])
        found, carried = self.by_steps(params, streams, lambda logits: logits)
        calibration, *scored = jnp.split(found, len(sets))
        factors = self.factors(calibration, sets.calibration)
        doubt = 1 / jnp.sum(sets.calibration.scored)
        validation, final = (
            scores_of(factors, doubt, logits, drawn)
            for logits, drawn in zip(scored, sets[1:], strict=True)
        )
        return Scores(validation, final, accuracy=validation[0], bytes=carried)

    def factors(self, logits: chex.Array, drawn: Rows) -> chex.Array:
        """The factor of recalibration, `[1]`; logits that are equal have no slope."""
        scored = jnp.where(drawn.scored[..., None], logits, 0.0)
        examples = scored.reshape(-1, 1, logits.shape[-1])
        protocol = self.protocol
        targets = drawn.targets.reshape(-1, 1)
        return fitted_factors(examples, targets, protocol.largest_factor, protocol.halvings)

    def scan_accuracy(self, params: Params, sets: Sets) -> chex.Array:
        """The accuracy on the validation data by the cell's scan, in which it was trained."""
        return self.right(params, sets.validation) / jnp.sum(sets.validation.scored)

    def row(self, of: Configuration, seed: int, scores: dict[str, Any]) -> TaskRow:
        """The row of a run."""
        del scores["associated"]
        for name in ("validation", "final"):
            if scores[name] is not None:
                scores[name] = TaskScore(*scores[name])
        return TaskRow(seed, of.rate, of.updates, self.task.measured, **scores)


def scores_of(
    factors: chex.Array, doubt: chex.Array, logits: chex.Array, drawn: Rows
) -> chex.Array:
    """Accuracy, nats and entropy of logits `[B, T, answers]`, float32 `[3]`."""
    answers = logits.shape[-1]
    right = mean_where(correct(logits, drawn.targets), drawn.scored)
    examples = logits.reshape(-1, 1, answers), drawn.targets.reshape(-1, 1)
    nats = recalibrated_nats(factors, doubt, *examples).reshape(drawn.scored.shape)
    of_answers = jax.nn.one_hot(drawn.targets, answers) * drawn.scored[..., None]
    shares = jnp.sum(of_answers, axis=(0, 1)) / jnp.sum(drawn.scored)
    entropy = jnp.sum(jax.scipy.special.entr(shares))
    return jnp.stack([right, mean_where(nats, drawn.scored), entropy])
