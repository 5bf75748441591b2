"""The copy-memory task as published: ten symbols to be repeated after T blanks.

Hochreiter & Schmidhuber 1997, in the form of Arjovsky et al. 2016: ten symbols out of eight, T - 1
blanks, a delimiter, ten blanks to answer in; T + 20 steps. (Bai et al. 2018 show the delimiter at
the last eleven steps.) The target is a blank except at the last ten steps, where it is the symbols
in order. With T = 3, `.` for a blank and `!` for the delimiter:

    input   3 1 4 1 5 0 2 6 5 3 . . ! . . . . . . . . . .
    target  . . . . . . . . . . . . . 3 1 4 1 5 0 2 6 5 3

A network without memory says blank until the delimiter and then each symbol with probability 1/8:
`10 ln 8 / (T + 20)` nats per step.
"""

from collections.abc import Iterator
from typing import Any

import chex
import jax
import jax.numpy as jnp

from echo_jax.core.data import Purpose, purpose_key, uniform_tokens
from echo_jax.core.loss import correct, cross_entropy
from echo_jax.core.training import TrainState
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns, RawRow
from echo_jax.memory_benchmark.protocol import COPIED, SYMBOLS, Protocol
from echo_jax.memory_benchmark.tasks import Sequences
from echo_jax.memory_benchmark.training import Block, Run, Training

BLANK, DELIMITER = SYMBOLS, SYMBOLS + 1


class CopyTraining(Training):
    """Training on the copy-memory task, to the end of the budget."""

    number_format = ".5g"

    def train_block(self, length: int, run: Run, state: TrainState) -> Block:
        """Updates, and an evaluation by steps; the loss gives recalled steps no extra weight."""
        key, shape = purpose_key(run.seed, Purpose.DATA), (self.protocol.batch_size, length)
        state, _ = self.make_updates(self.loss, lambda key: draw(key, *shape), key, run, state)
        key = purpose_key(run.seed, Purpose.EVALUATION)  # the same batches at every evaluation

        def scores_of(i: chex.Array) -> dict[str, chex.Array]:
            """The scores of batch i."""
            asked = draw(jax.random.fold_in(key, i), *shape)
            logits = self.logits(state.params, asked.tokens, self.by_steps)
            return score(logits, asked.targets)

        batches = jnp.arange(-(-self.protocol.answers // (COPIED * shape[0])))
        scores = jax.tree.map(jnp.mean, jax.lax.map(scores_of, batches))
        return Block(state, scores, jnp.isfinite(scores["loss"]))


def draw(key: chex.PRNGKey, batch_size: int, length: int) -> Sequences:
    """Inputs and targets, each int32 `[B, T + 20]`, for a length of T + 20 with T at least 1."""
    symbols = uniform_tokens(key, (batch_size, COPIED), SYMBOLS)
    blanks = jnp.full((batch_size, length - COPIED), BLANK, jnp.int32)
    inputs = jnp.concatenate([symbols, blanks], axis=1).at[:, -COPIED - 1].set(DELIMITER)
    return Sequences(inputs, jnp.concatenate([blanks, symbols], axis=1), None)


def score(logits: chex.Array, targets: chex.Array) -> dict[str, chex.Array]:
    """The scores of logits `[B, T + 20, 10]`, float32.

    loss      nats per step, over all T + 20 steps: the published figure
    recall    nats per symbol, over the ten steps that repeat them; ln 8 without memory
    accuracy  the share of those symbols that are right; 1/8 without memory
    """
    nats = cross_entropy(logits, targets)
    right = correct(logits[:, -COPIED:], targets[:, -COPIED:])
    scores = {"loss": nats, "recall": nats[:, -COPIED:], "accuracy": right.astype(jnp.float32)}
    return jax.tree.map(jnp.mean, scores)


def rows(cell: Any, parallel: ParallelRuns, protocol: Protocol) -> Iterator[RawRow]:
    """The raw rows of a cell: every seed at every rate and T, to the end of its budget."""
    training = CopyTraining(cell, protocol.ladders[0], protocol)
    for blanks in training.ladder.rungs:
        for rate in protocol.rates:
            parallel.interrupts.check()
            parallel.tell(f"copy: T = {blanks:,}, rate {rate:g}")
            runs = [Run(seed, blanks, rate) for seed in parallel.seeds]
            trained = parallel.train(training, runs, protocol.budget)
            for row in trained.rows:
                updates = [protocol.evaluate_every * (i + 1) for i in range(len(row["loss"]))]
                curves = {name: row[name] for name in ("loss", "recall", "accuracy")}
                found = {"kind": "copy", "T": blanks, "seed": row["seed"], "rate": rate}
                yield found | {"updates": updates} | curves
