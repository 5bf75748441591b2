"""Training as pure functions: `run_chunk` maps a state to the state some sequences later.

run_chunk       scan over the sequences of a chunk, whose data is drawn first
train_sequence  scan over the batches of a sequence, the carry from batch to batch
train_step      one optimizer step on one batch, and on those that it runs again
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from echo_jax.cells.scan import Carry
from echo_jax.config import RunConfig, TracedParameters
from echo_jax.core.data import Batch, Corpus, Purpose, draw_sequences, purpose_key, sequence_batches
from echo_jax.core.loss import correct, mean_where, score
from echo_jax.core.network import (
    Network,
    Params,
    apply,
    build_network,
    enter_batch,
    init_params,
    zero_carry,
)

ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-7}


class TrainState(NamedTuple):
    """All that training carries from update to update.

    step       int32, updates made so far
    params     the network's parameters
    opt_state  the optimizer's moments
    """

    step: chex.Array
    params: Params
    opt_state: optax.OptState


class Metrics(NamedTuple):
    """Of one update, on its batch, before the step: loss in nats, accuracy in `[0, 1]`.

    Of framing values the loss is a mean squared error.
    """

    loss: chex.Array
    accuracy: chex.Array


class Lesson(NamedTuple):
    """What an update is of: its batch, and the k-1 batches before it that it runs again.

    Truncated backpropagation through time over k batches (`bptt_batches`): the gradient passes back
    through all of them, and is cut before the first. A leading axis K where all are stacked.

    earlier  `Batch` with a leading axis k-1, or None where k is 1
    there    bool `[k-1]`, False for what would lie before the first batch of the sequence
    batch    the `Batch` whose loss counts
    """

    earlier: Batch | None
    there: chex.Array | None
    batch: Batch


def init(config: RunConfig, settings: TracedParameters) -> TrainState:
    """The state before the first update; it depends on the seed alone."""
    params = init_params(build_network(config), purpose_key(settings.seed, Purpose.WEIGHTS))
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer(config).init(params))


def run_chunk(
    config: RunConfig,
    settings: TracedParameters,
    state: TrainState,
    size: int,
    count: chex.Numeric,
    corpus: Corpus | None = None,
) -> tuple[TrainState, Metrics]:
    """Train on the next `count` sequences of the run, at most `size` of them.

    Args:
      config: gives every shape; static.
      settings: seed, lag, learning rate, stateful; may be traced.
      state: after a whole number of sequences.
      size: sequences drawn, static.
      count: how many of them are trained on, the first ones; may be traced, so that the last
        chunk of a run needs no compile of its own.
      corpus: cut the sequences from it; None for random ones.

    Returns:
      The new state, and `Metrics` of `[size, K]`; entries from `count` on mean nothing.
    """
    first = state.step // config.task.updates_per_sequence
    counters = first + jnp.arange(size)
    tokens = draw_sequences(settings.seed, Purpose.DATA, counters, config.task, corpus)
    return train_on(config, settings, state, tokens, jnp.arange(size) < count)


def train_on(
    config: RunConfig,
    settings: TracedParameters,
    state: TrainState,
    tokens: chex.Array,
    wanted: chex.Array | None = None,
) -> tuple[TrainState, Metrics]:
    """Train on given sequences, in order: int32 `[N, L]` (streams `[N, B, L]`).

    Where `wanted` (bool `[N]`) is False the sequence is passed over and the state kept.
    """
    network = build_network(config)
    wanted = jnp.ones(len(tokens), bool) if wanted is None else wanted

    def train(state: TrainState, sequence: chex.Array) -> tuple[TrainState, Metrics]:
        return train_sequence(config, network, settings, state, sequence)

    def pass_over(state: TrainState, sequence: chex.Array) -> tuple[TrainState, Metrics]:
        """Keep the state, of a sequence beyond those wanted."""
        del sequence
        nothing = jnp.zeros(config.task.updates_per_sequence)
        return state, Metrics(nothing, nothing)

    return jax.lax.scan(
        lambda state, x: jax.lax.cond(x[0], train, pass_over, state, x[1]), state, (wanted, tokens)
    )


def train_sequence(
    config: RunConfig,
    network: Network,
    settings: TracedParameters,
    state: TrainState,
    tokens: chex.Array,
) -> tuple[TrainState, Metrics]:
    """One optimizer step for each of the K batches of a sequence; the state starts from zero."""
    zero = zero_carry(network, config.task.batch_size)
    batches = sequence_batches(tokens, config.task, settings.lag)

    def step(memory: tuple[TrainState, Carry], lesson: Lesson) -> tuple[Any, Metrics]:
        """One update, from the carry that the one before it left."""
        state, carry = memory
        carry = enter_batch(carry, zero, settings.stateful)
        state, carry, metrics = train_step(config, network, settings, state, carry, lesson)
        return (state, carry), metrics

    metrics: Metrics
    (state, _), metrics = jax.lax.scan(step, (state, zero), lessons(config, batches))
    return state, metrics


def lessons(config: RunConfig, batches: Batch) -> Lesson:
    """The K `Lesson`s of a sequence, stacked, of its stacked batches.

    With k = 3 the batches before update 0, 1, 2, 3 are  - -   - 0   0 1   1 2
    """
    updates = config.task.updates_per_sequence
    back = min(config.training.bptt_batches, updates) - 1
    if back == 0:
        return Lesson(None, None, batches)
    # Static: the batches before update u are those from u - back to u - 1.
    before = np.arange(updates)[:, None] - np.arange(back, 0, -1)
    earlier = jax.tree.map(lambda x: x[np.maximum(before, 0)], batches)
    return Lesson(earlier, jnp.asarray(before >= 0), batches)


def run_again(
    network: Network, params: Params, carry: Carry, lesson: Lesson
) -> tuple[Carry, Carry | None]:
    """The carries after the last and after the first of a lesson's earlier batches, run again.

    A batch that is not there holds the carry, zero as it is then.
    """
    if lesson.earlier is None:
        return carry, None

    def step(carry: Carry, x: tuple[Batch, chex.Array]) -> tuple[Carry, Carry]:
        """One earlier batch, run again."""
        batch, there = x
        after, _ = apply(network, params, carry, batch)
        carry = jax.tree.map(lambda old, new: jnp.where(there, new, old), carry, after)
        return carry, carry

    last, all_after = jax.lax.scan(step, carry, (lesson.earlier, lesson.there))
    return last, jax.tree.map(lambda x: x[0], all_after)


def train_step(
    config: RunConfig,
    network: Network,
    settings: TracedParameters,
    state: TrainState,
    carry: Carry,
    lesson: Lesson,
) -> tuple[TrainState, Carry, Metrics]:
    """One step of the optimizer on the batch of a lesson.

    The carry handed in is that before the lesson's first batch, the one handed out that before the
    first of the next lesson: after the batch itself where there are no earlier ones. All of a
    lesson is run with the weights before the step, and only the loss of its own batch counts.
    """

    def loss_fn(params: Params) -> tuple[chex.Array, tuple[Carry, chex.Array]]:
        """The loss of the own batch, with the next carry and the accuracy."""
        before, after_first = run_again(network, params, carry, lesson)
        after, logits = apply(network, params, before, lesson.batch)
        targets, scored = lesson.batch.targets, lesson.batch.scored
        loss = mean_where(score(logits, targets, config.task.framing), scored)
        next_carry = after if after_first is None else after_first
        return loss, (next_carry, mean_where(correct(logits, targets), scored))

    rule = optimizer(config)
    state, loss, (next_carry, accuracy) = update(loss_fn, rule, settings.learning_rate, state)
    return state, next_carry, Metrics(loss, accuracy)


def update(
    loss_fn: Callable[[Params], tuple[chex.Array, Any]],
    rule: optax.GradientTransformation,
    learning_rate: chex.Numeric,
    state: TrainState,
) -> tuple[TrainState, chex.Array, Any]:
    """One optimizer step, the only one in the package: p <- p - learning_rate * direction.

    Args:
      loss_fn: parameters to the loss and whatever else the caller wants back.
      rule: gives the direction from the gradient.
      learning_rate: an argument and no part of the rule, so that it can be traced.
      state: before the step.

    Returns:
      The state after the step, the loss before it, and what `loss_fn` returned beside the loss.
    """
    (loss, also), gradient = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    direction, opt_state = rule.update(gradient, state.opt_state)
    params = jax.tree.map(lambda p, d: p - learning_rate * d, state.params, direction)
    return TrainState(state.step + 1, params, opt_state), loss, also


def optimizer(config: RunConfig) -> optax.GradientTransformation:
    """Adam's direction; `train_step` scales it, so that the learning rate can be data."""
    return scale_by_adam(keras_epsilon=config.training.optimizer == "keras-adam")


def clipped_adam(largest_norm: float) -> optax.GradientTransformation:
    """Adam's direction of a gradient that is scaled down to a norm where its own is larger."""
    return optax.chain(optax.clip_by_global_norm(largest_norm), scale_by_adam())


def scale_by_adam(keras_epsilon: bool = False) -> optax.GradientTransformation:
    """Adam (Kingma & Ba 2015), one root and one division a weight.

        m = b1 m + (1 - b1) g      v = b2 v + (1 - b2) g^2      s = sqrt(1 - b2^t)
        direction = s / (1 - b1^t) * m / (sqrt(v) + e)

    With e = eps s this is algorithm 1 of the paper and `optax.scale_by_adam`, whose bias
    corrections cost two divisions more a weight: 6% of an update of part 4. Keras adds epsilon
    before it corrects v, which is e = eps.
    """
    b1, b2, eps = ADAM["b1"], ADAM["b2"], ADAM["eps"]

    def update(
        grads: Params, state: optax.ScaleByAdamState, params: Params | None = None
    ) -> tuple[Params, optax.ScaleByAdamState]:
        """The direction from the gradient, and the moments after it."""
        del params
        count = state.count + 1
        step = count.astype(jnp.float32)
        s = jnp.sqrt(1 - b2**step)
        e = eps if keras_epsilon else eps * s
        rate = s / (1 - b1**step)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, grads)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, grads)
        direction = jax.tree.map(lambda m, v: rate * m / (jnp.sqrt(v) + e), mu, nu)
        return direction, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)
