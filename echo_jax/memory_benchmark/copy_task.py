"""The copy-memory task as published: ten symbols to be said again after T blanks. Pure.

After Hochreiter & Schmidhuber 1997, as Arjovsky et al. 2016 set it: ten symbols out of eight,
T - 1 blanks, a delimiter that says when, ten blanks to answer in: T + 20 steps. (Bai et al. 2018
show the delimiter at the last eleven steps.) The target is a blank but at the last ten steps,
where it is the symbols in their order. With T = 3, `.` for a blank and `!` for the delimiter:

    input   3 1 4 1 5 0 2 6 5 3 . . ! . . . . . . . . . .
    target  . . . . . . . . . . . . . 3 1 4 1 5 0 2 6 5 3

Who remembers nothing says blank until the delimiter and then each symbol with probability 1/8:
`10 ln 8 / (T + 20)` nats a step.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.config import TracedParameters
from echo_jax.core.data import Batch, Purpose, purpose_key
from echo_jax.core.loss import correct, cross_entropy
from echo_jax.core.network import Network, Params, apply, around, init_params, zero_carry
from echo_jax.core.training import TrainState
from echo_jax.memory_benchmark import lag_training
from echo_jax.memory_benchmark.protocol import COPIED, COPY, SYMBOLS

BLANK, DELIMITER = SYMBOLS, SYMBOLS + 1
ALPHABET = SYMBOLS + 2

EVALUATED = COPY.evaluation["copy"]
"""Fresh sequences that an evaluation has at least: 640 symbols to recall."""


class Scores(NamedTuple):
    """Of some sequences, each float32.

    loss      nats a step, of all T + 20: the published figure
    recall    nats a symbol, of the ten steps at which they are recalled; ln 8 without memory
    accuracy  share of those symbols that are right; 1/8 without memory
    """

    loss: chex.Array
    recall: chex.Array
    accuracy: chex.Array


def draw(key: chex.PRNGKey, batch_size: int, blanks: int) -> tuple[chex.Array, chex.Array]:
    """Inputs and targets, each int32 `[B, T + 20]`, with T = `blanks`, at least 1."""
    bits = jax.random.bits(key, (batch_size, COPIED))
    symbols = (bits % SYMBOLS).astype(jnp.int32)

    def constant(token: int, steps: int) -> chex.Array:
        return jnp.full((batch_size, steps), token, jnp.int32)

    parts = [symbols, constant(BLANK, blanks - 1), constant(DELIMITER, 1), constant(BLANK, COPIED)]
    inputs = jnp.concatenate(parts, axis=1)
    return inputs, jnp.concatenate([constant(BLANK, blanks + COPIED), symbols], axis=1)


def copy_network(cell: nn.RNNCellBase) -> Network:
    """The network around a cell: one-hot tokens in, a linear readout of ten logits a step out."""
    return around(cell, ALPHABET, ALPHABET)


def init(cell: nn.RNNCellBase, settings: TracedParameters) -> TrainState:
    """The state before the first update; it depends on the seed alone."""
    params = init_params(copy_network(cell), purpose_key(settings.seed, Purpose.WEIGHTS))
    return lag_training.start(COPY, params)


def answer(network: Network, params: Params, inputs: chex.Array) -> chex.Array:
    """The logits at every step from a zero carry: int32 `[B, L]` to float32 `[B, L, 10]`."""
    carry = zero_carry(network, len(inputs))
    return apply(network, params, carry, Batch(inputs, None, inputs, None))[1]


def score(logits: chex.Array, targets: chex.Array) -> Scores:
    """What logits `[B, T + 20, 10]` are worth."""
    chex.assert_equal_shape_prefix([logits, targets], 2)
    nats = cross_entropy(logits, targets)
    right = correct(logits[:, -COPIED:], targets[:, -COPIED:])
    return Scores(jnp.mean(nats), jnp.mean(nats[:, -COPIED:]), jnp.mean(right.astype(jnp.float32)))


def train_step(
    network: Network, learning_rate: chex.Numeric, state: TrainState, batch: tuple
) -> tuple[TrainState, Scores]:
    """One update on inputs and targets `[B, T + 20]`; the `Scores` are those before it."""
    inputs, targets = batch

    def loss_fn(params: Params) -> tuple[chex.Array, Scores]:
        """The loss of all steps; the recalled ones get no weight of their own."""
        scores = score(answer(network, params, inputs), targets)
        return scores.loss, scores

    grads, scores = jax.grad(loss_fn, has_aux=True)(state.params)
    return lag_training.descend(COPY, learning_rate, state, grads), scores


def run_chunk(
    cell: nn.RNNCellBase,
    settings: TracedParameters,
    state: TrainState,
    updates: int,
    shape: tuple[int, int],
) -> tuple[TrainState, Scores]:
    """Train for some more updates, each on its own fresh batch.

    Args:
      cell: gives the network; static.
      settings: the seed and the learning rate of this run; may be traced.
      state: after any number of updates; the data of update i depends on the seed and i alone.
      updates: how many, static.
      shape: sequences in a batch and T, static.

    Returns:
      The new state, and the `Scores` of every update, `[updates]`.
    """
    network, key = copy_network(cell), purpose_key(settings.seed, Purpose.DATA)

    def step(state: TrainState, _: None) -> tuple[TrainState, Scores]:
        """One update."""
        batch = draw(jax.random.fold_in(key, state.step), *shape)
        return train_step(network, settings.learning_rate, state, batch)

    return jax.lax.scan(step, state, None, updates)


def evaluate(
    cell: nn.RNNCellBase,
    settings: TracedParameters,
    params: Params,
    batches: int,
    shape: tuple[int, int],
) -> Scores:
    """The mean `Scores` of so many batches of fresh sequences, the same ones at every call."""
    network, key = copy_network(cell), purpose_key(settings.seed, Purpose.EVALUATION)

    def one(i: chex.Array) -> Scores:
        """The scores of a batch."""
        inputs, targets = draw(jax.random.fold_in(key, i), *shape)
        return score(answer(network, params, inputs), targets)

    return jax.tree.map(jnp.mean, jax.lax.map(one, jnp.arange(batches)))


def train_then_evaluate(
    cell: nn.RNNCellBase,
    settings: TracedParameters,
    state: TrainState,
    updates: int,
    shape: tuple[int, int],
) -> tuple[TrainState, Scores]:
    """`run_chunk`, and the `Scores` of what it leaves on `EVALUATED` sequences or more."""
    state, _ = run_chunk(cell, settings, state, updates, shape)
    return state, evaluate(cell, settings, state.params, -(-EVALUATED // shape[0]), shape)


def raw_row(
    blanks: int, seed: int, rate: float, updates: Sequence[int], scores: Sequence[Scores]
) -> dict[str, Any]:
    """A run as a plain row: its `Scores` after so many updates, to five digits, None for no number.

    {"kind": "copy", "T": 100, "seed": 0, "rate": 0.003, "updates": [100, 200], "loss": [...], ...}
    """

    def digits(value: chex.Numeric) -> float | None:
        number = float(value)
        return float(f"{number:.5g}") if math.isfinite(number) else None

    curves = {name: [digits(getattr(s, name)) for s in scores] for name in Scores._fields}
    run = {"kind": "copy", "T": blanks, "seed": seed, "rate": rate, "updates": list(updates)}
    return run | curves
