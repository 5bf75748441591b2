"""Measure by a linear readout of the cell's output at each step, by key and on a task. Pure."""

from collections.abc import Callable
from typing import Any
from typing import Protocol as Interface

import chex
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.interface import Cell
from echo_jax.learner import network
from echo_jax.learner.loss import correct, cross_entropy, mean_where
from echo_jax.learner.network import Network, Params
from echo_jax.memory import measurement
from echo_jax.memory.measurement import Measurement
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.tasks import TaskRows


class Drawn(Interface):
    """What a readout learns, such as a `TaskObject` or `Recall`.

    tokens, answers  the numbers of different inputs and of different answers
    levels           the levels of difficulty
    """

    tokens: int
    answers: int
    levels: range

    def draw(self, key: chex.PRNGKey, rows: int, part: str, level: chex.Numeric, /) -> TaskRows:
        """Return `rows` rows of `part` at `level`, drawn from `key`."""


class ReadoutMeasurement(Measurement):
    """A measurement in which a linear readout of the cell's output at each step learns a task.

    The loss is the mean cross-entropy over all scored targets of a batch. The level of the task
    rises from the first to the last during the first updates, a share `Protocol.ramp` of all.
    """

    def __init__(self, cell: Cell, protocol: Protocol, task: Drawn) -> None:
        """Build the network around `cell`, fed one-hot tokens of `task`; nothing is compiled.

        `protocol` has the numbers of the measure.
        """
        self.protocol = protocol
        self.task = task
        readout = nn.Dense(task.answers, kernel_init=nn.initializers.lecun_normal())
        self.network = Network(cell, readout, task.tokens, task.tokens, task.answers)

    def init_params(self, key: chex.PRNGKey) -> Params:
        """Return the initial parameters of the cell and of the readout, drawn from `key`."""
        return network.init_params(self.network, key)

    def draw(self, key: chex.PRNGKey, level: chex.Array) -> TaskRows:
        """Return a batch of B rows for training at `level`, drawn from `key`."""
        return self.task.draw(key, self.protocol.rows, "training", level)

    def loss(self, params: Params, key: chex.PRNGKey, done: chex.Numeric) -> chex.Array:
        """Return the mean cross-entropy, in nats, of `params` on the scored targets of a batch.

        The batch is drawn from `key`, at the level after the share `done` of the updates.
        """
        drawn = self.draw(key, self.ramp(done))
        logits = self.logits(params, drawn.tokens)
        return mean_where(cross_entropy(logits, drawn.targets), drawn.scored)

    def ramp(self, done: chex.Numeric) -> chex.Array:
        """Return the level of the task after the share `done` of the updates."""
        levels = self.task.levels
        risen = jnp.minimum(done / self.protocol.ramp, 1.0)
        return levels.start + levels.step * jnp.floor((len(levels) - 1) * risen).astype(jnp.int32)

    def logits(self, params: Params, tokens: chex.Array) -> chex.Array:
        """Return the logits of `params` at each step, `[B, T, answers]`, by the cell's scan.

        The `tokens` are int32 `[B, T]`.
        """
        state = self.network.initial_state(params, len(tokens))
        _, outputs = network.unroll(self.network, params, state, tokens, None)
        return network.read_out(self.network, params, outputs).swapaxes(0, 1)

    def right(self, params: Params, rows: TaskRows) -> chex.Array:
        """Return the number of right answers of `params` on `rows`, by the cell's scan."""
        return jnp.sum(correct(self.logits(params, rows.tokens), rows.targets) & rows.scored)

    def by_steps(
        self, params: Params, streams: chex.Array, read: Callable[[chex.Array], chex.Array]
    ) -> tuple[chex.Array, chex.Array]:
        """Return `read(logits)` at each step, `[B, T, ...]`, and the bytes of a state.

        The cell with `params` runs by single steps over `streams`, int32 `[B, T]`. `read` gets the
        logits of one step, `[answers]`.
        """
        net = self.network

        def answer(_: Any, output: chex.Array) -> chex.Array:
            return read(network.read_out(net, params, output[0]))

        return measurement.by_steps(net, params, streams, answer)
