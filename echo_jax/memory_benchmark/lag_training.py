"""Training of a network around any cell on one lag. Pure.

init ─► train_block ─► train_block ─► ...      updates on fresh data, then an evaluation
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.adapters.adapt import adapt
from echo_jax.core import network
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.core.loss import correct, cross_entropy, mean_where
from echo_jax.core.network import Network, Params
from echo_jax.core.training import TrainState, clipped_adam, update
from echo_jax.memory_benchmark import protocol, spans, tasks
from echo_jax.memory_benchmark.protocol import TASKS, Protocol
from echo_jax.memory_benchmark.tasks import Sequences

Loss = Callable[[Params, Any], chex.Array]


class Run(NamedTuple):
    """One run; arrays where it is traced.

    seed    int32, of the weights, the training data and the evaluation data
    lag     int32, steps back (stream), distractors (hold) or blanks T (copy)
    rate    float32, the learning rate
    active  bool, False for a run that is over: a block leaves its state as it is
    """

    seed: chex.Numeric
    lag: chex.Numeric
    rate: chex.Numeric
    active: chex.Numeric = True


class Block(NamedTuple):
    """The state after a block, float32 scores by name, and False if the loss became non-finite."""

    state: TrainState
    scores: dict[str, chex.Array]
    finite: chex.Array


class Training:
    """A cell, a task and a protocol: the network, its initial state and blocks of updates."""

    number_format = ".6f"  # in a raw row

    def __init__(self, cell: Any, task: protocol.Task, chosen: Protocol) -> None:
        """A network around any cell that `adapt` takes; nothing is traced yet."""
        self.cell, self.task, self.protocol = adapt(cell), task, chosen
        self.fields, classes = protocol.to_dict(chosen), chosen.vocab_size
        self.network: Network = network.around(self.cell, tasks.alphabet(task, classes), classes)
        self.by_steps = self.network._replace(compute="literal")

    def length(self, lag: int) -> int:
        """L, the steps of a training sequence; runs of one length share a compiled program."""
        return protocol.length(self.protocol, self.task, lag)

    def init(self, run: Run) -> TrainState:
        """The state before the first update; it depends on the seed alone, not on the lag."""
        key = purpose_key(run.seed, Purpose.WEIGHTS)
        return self.start(network.init_params(self.network, key))

    def start(self, params: Params) -> TrainState:
        """A state with these weights and a new optimizer."""
        optimizer = clipped_adam(self.protocol.clip)
        return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))

    def train_block(self, length: int, run: Run, state: TrainState) -> Block:
        """Make `evaluate_every` updates on sequences of `length` steps, and evaluate."""
        raise NotImplementedError

    def is_over(self, row: dict[str, Any]) -> bool:
        """True if a run with this raw row needs no further block; here the budget ends a run."""
        del row
        return False

    def make_updates(
        self,
        loss_of: Loss,
        draw: Callable[[chex.PRNGKey], Any],
        key: chex.PRNGKey,
        run: Run,
        state: TrainState,
    ) -> tuple[TrainState, chex.Array]:
        """`evaluate_every` updates, number i on `draw(fold_in(key, i))`, and their losses."""
        counters = state.step + jnp.arange(self.protocol.evaluate_every)
        batches = jax.vmap(lambda i: draw(jax.random.fold_in(key, i)))(counters)
        return self.update_on(batches, loss_of, run, state)

    def update_on(
        self, batches: Any, loss_of: Loss, run: Run, state: TrainState
    ) -> tuple[TrainState, chex.Array]:
        """An update on each of some stacked batches, and the losses before them."""
        optimizer = clipped_adam(self.protocol.clip)

        def step(state: TrainState, batch: Any) -> tuple[TrainState, chex.Array]:
            """One update on a batch."""

            def loss(params: Params) -> tuple[chex.Array, None]:
                return loss_of(params, batch), None

            return update(loss, optimizer, run.rate, state)[:2]

        return jax.lax.scan(step, state, batches)

    def logits(self, params: Params, tokens: chex.Array, net: Network | None = None) -> chex.Array:
        """The logits at each step from the initial state: tokens `[B, L]` to `[B, L, V]`."""
        net = net or self.network
        first = net.initial_state(params, len(tokens))
        _, outputs = network.unroll(net, params, first, tokens, None)
        return jnp.swapaxes(network.read_out(net, params, outputs), 0, 1)

    def loss(self, params: Params, asked: Sequences) -> chex.Array:
        """The mean cross-entropy of the scored steps, in nats."""
        losses = cross_entropy(self.logits(params, asked.tokens), asked.targets)
        return mean_where(losses, asked.scored)


class LagTraining(Training):
    """Training on one lag of the stream or hold task, until the accuracy is high enough."""

    def train_block(self, length: int, run: Run, state: TrainState) -> Block:
        """Updates, an evaluation and, where that reaches a threshold, a confirmation."""
        key, shape = self.data_key(run, Purpose.DATA), (self.protocol.batch_size, length)
        state, losses = self.make_updates(
            self.loss, lambda key: self.draw(key, shape, run.lag), key, run, state
        )
        return Block(state, self.evaluate(length, run, state), jnp.all(jnp.isfinite(losses)))

    def is_over(self, row: dict[str, Any]) -> bool:
        """True after success or failure."""
        return row["failed"] or spans.succeeded(row, self.fields)

    def draw(self, key: chex.PRNGKey, shape: tuple[int, int], lag: chex.Numeric) -> Sequences:
        """Sequences of the task, see `tasks.draw`."""
        return tasks.draw(self.task, key, shape, lag, self.protocol.vocab_size)

    def data_key(self, run: Run, purpose: Purpose) -> chex.PRNGKey:
        """A key of its own for each seed, purpose, task and lag."""
        key = jax.random.fold_in(purpose_key(run.seed, purpose), TASKS.index(self.task))
        return jax.random.fold_in(key, run.lag)

    def accuracy(self, params: Params, asked: Sequences, net: Network | None = None) -> chex.Array:
        """The share of the scored steps with a correct answer."""
        logits = self.logits(params, asked.tokens, net)
        return mean_where(correct(logits, asked.targets), asked.scored)

    def evaluate(self, length: int, run: Run, state: TrainState) -> dict[str, chex.Array]:
        """Accuracies on fresh sequences, in one scan so that each form is compiled once.

        accuracy   on part 0
        confirmed  on the other parts, by the steps of the cell alone, whatever form over time it
                   has; NaN if `accuracy` is below all thresholds
        """
        key = jax.random.fold_in(self.data_key(run, Purpose.EVALUATION), state.step)
        shape = (self.protocol.evaluation[self.task], length)

        def part(first: chex.Array, number: chex.Array) -> tuple[chex.Array, chex.Array]:
            """The accuracy on a part of the fresh data; after the first only if that is high."""

            def measured(net: Network) -> chex.Array:
                asked = self.draw(jax.random.fold_in(key, number), shape, run.lag)
                return self.accuracy(state.params, asked, net)

            def of_the_form() -> chex.Array:
                if not self.cell.has_scan:  # the form is that of the steps
                    return measured(self.network)
                forms = [lambda: measured(self.by_steps), lambda: measured(self.network)]
                return jax.lax.cond(number > 0, *forms)

            high_enough = first >= min(self.protocol.thresholds)
            found = jax.lax.cond(high_enough, of_the_form, lambda: jnp.nan)
            return jnp.where(number == 0, found, first), found

        parts = jnp.arange(1 + self.protocol.confirmation)
        _, shares = jax.lax.scan(part, jnp.float32(jnp.inf), parts)
        return {"accuracy": shares[0], "confirmed": jnp.mean(shares[1:])}
