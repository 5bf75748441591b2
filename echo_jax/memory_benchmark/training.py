"""Training of a network around any cell on one rung of a ladder. Pure.

init ─► train_block ─► train_block ─► ...      updates on fresh data, then an evaluation
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.adapters.adapt import adapt
from echo_jax.config import GENERATOR
from echo_jax.core import network
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.core.loss import correct, cross_entropy, mean_where
from echo_jax.core.network import Network, Params
from echo_jax.core.training import TrainState, clipped_adam, update
from echo_jax.memory_benchmark import protocol, spans, tasks
from echo_jax.memory_benchmark.protocol import TASKS, Ladder, Protocol
from echo_jax.memory_benchmark.tasks import Sequences

Loss = Callable[[Params, Any], chex.Array]

HOPELESS = 0.1
"""Share of answers below the threshold from which the rest of an evaluation is left out."""


class Run(NamedTuple):
    """One run; arrays where it is traced.

    seed    int32, of the weights, the training data and the evaluation data
    rung    int32, see `protocol.Ladder.rungs`; of copy memory the blanks T
    rate    float32, the learning rate
    active  bool, False for a run that is over: a block leaves its state as it is
    """

    seed: chex.Numeric
    rung: chex.Numeric
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

    def __init__(self, cell: Any, ladder: Ladder, chosen: Protocol) -> None:
        """A network around any cell that `adapt` takes; nothing is traced yet."""
        self.cell, self.ladder, self.protocol = adapt(cell), ladder, chosen
        self.name, self.task, vocab_size = ladder.name, ladder.task, ladder.vocab_size
        self.fields = protocol.to_dict(chosen)
        sizes = tasks.alphabet(self.task, vocab_size), tasks.classes(self.task, vocab_size)
        self.network: Network = network.around(self.cell, *sizes)
        self.by_steps = self.network._replace(compute="literal")

    def length(self, rung: int) -> int:
        """L, the steps of a training sequence; runs of one length share a compiled program."""
        return protocol.length(self.fields, self.task, rung)

    def init(self, run: Run) -> TrainState:
        """The state before the first update; it depends on the seed alone, not on the rung."""
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


class LadderTraining(Training):
    """Training on one rung of a ladder, until the accuracy is high enough."""

    @property
    def is_exact(self) -> bool:
        """True for a cell without parameters on a lag or hold ladder: its memory is known."""
        key = jax.random.key(0, impl=GENERATOR)
        params = jax.eval_shape(lambda: self.cell.init(key, self.network.input_size))
        return self.task in ("lag", "hold") and not jax.tree.leaves(params)

    def train_block(self, length: int, run: Run, state: TrainState) -> Block:
        """Updates, an evaluation and, where that passes the rung, a confirmation."""
        key, rows = self.data_key(run, Purpose.DATA), self.protocol.batch_size
        state, losses = self.make_updates(
            self.loss, lambda key: self.draw(key, rows, length, run.rung), key, run, state
        )
        return Block(state, self.evaluate(length, run, state), jnp.all(jnp.isfinite(losses)))

    def is_over(self, row: dict[str, Any]) -> bool:
        """True after a pass or a failure."""
        return spans.is_over(row, self.fields)

    def draw(self, key: chex.PRNGKey, rows: int, length: int, rung: chex.Numeric) -> Sequences:
        """Sequences of the task, see `tasks.draw`."""
        return tasks.draw(self.task, key, (rows, length), rung, self.ladder.vocab_size)

    def data_key(self, run: Run, purpose: Purpose) -> chex.PRNGKey:
        """A key of its own for each seed, purpose, task, V and rung."""
        key = jax.random.fold_in(purpose_key(run.seed, purpose), TASKS.index(self.task))
        return jax.random.fold_in(jax.random.fold_in(key, self.ladder.vocab_size), run.rung)

    def accuracy(self, params: Params, asked: Sequences, net: Network | None = None) -> chex.Array:
        """The share of the scored steps with a correct answer."""
        logits = self.logits(params, asked.tokens, net)
        return mean_where(correct(logits, asked.targets), asked.scored)

    def parts(self, length: int) -> tuple[int, int]:
        """The parts of an evaluation, and the sequences of each."""
        single = self.task in ("marked", "key")
        rung = tasks.asked_for(self.task, length) if single else 1
        return protocol.sequences(self.fields, self.task, rung, length)

    def evaluate(self, length: int, run: Run, state: TrainState) -> dict[str, chex.Array]:
        """Accuracies on fresh sequences, part by part so that each form is compiled once.

        accuracy   of at least `answers` answers; of fewer, the parts so far, where those are below
                   the threshold by more than `HOPELESS`
        confirmed  of others, `confirmation` times as many, by the steps of the cell alone,
                   whatever form over time it has; NaN if `accuracy` does not pass the rung
        """
        key = jax.random.fold_in(self.data_key(run, Purpose.EVALUATION), state.step)
        threshold, (count, rows) = self.ladder.threshold, self.parts(length)

        def part(sums: chex.Array, number: chex.Array) -> tuple[chex.Array, None]:
            """Add the accuracy on a part to the sum of the evaluation or of the confirmation."""
            confirms = number >= count

            def measured(net: Network) -> chex.Array:
                drawn = jax.random.fold_in(key, number)
                return self.accuracy(state.params, self.draw(drawn, rows, length, run.rung), net)

            def of_the_form() -> chex.Array:
                """The accuracy by the steps for a confirmation, by the scan for an evaluation."""
                if not self.cell.has_scan:  # the form is that of the steps
                    return measured(self.network)
                forms = [lambda: measured(self.by_steps), lambda: measured(self.network)]
                return jax.lax.cond(confirms, *forms)

            needed = jnp.where(confirms, threshold, threshold - HOPELESS)
            wanted = (number == 0) | (sums[0, 0] / sums[0, 1] >= needed)
            found = jax.lax.cond(wanted, of_the_form, lambda: 0.0)
            added = jnp.stack([found, wanted.astype(jnp.float32)])
            return sums.at[confirms.astype(jnp.int32)].add(added), None

        parts = jnp.arange((1 + self.protocol.confirmation) * count)
        sums, _ = jax.lax.scan(part, jnp.zeros((2, 2)), parts)
        accuracy, confirmed = sums[:, 0] / sums[:, 1]  # 0 / 0 where nothing was confirmed
        return {"accuracy": accuracy, "confirmed": confirmed}
