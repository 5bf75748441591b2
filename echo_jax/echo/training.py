"""Train by pure functions, from a chunk of sequences down to one update.

run_chunk       draws the sequences of a chunk and scans `train_sequence` over them
train_sequence  scans `train_batch` over the batches of a sequence, the carry from batch to batch
train_batch     one update on a truncated-BPTT batch
update          loss -> gradient -> one step of the optimizer
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from echo_jax.cells.interface import Carry, Cell
from echo_jax.config import DynamicParams, RunConfig
from echo_jax.echo.data import Batch, Corpus, Purpose, draw_sequences, purpose_key, sequence_batches
from echo_jax.echo.loss import correct, mean_where, token_loss
from echo_jax.echo.network import (
    Compute,
    Network,
    Params,
    build_network,
    carried,
    feed,
    init_params,
    start,
    target_logits,
)
from echo_jax.exceptions import ConfigError

# Those of Keras; the epsilon of optax is 1e-8 by default.
ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-7}


class Optimizer(NamedTuple):
    """An update rule for the parameters p: p <- p - rate * direction.

    rule      the transformation of the gradient into the direction
    has_rate  True for a user's transformation of optax, which has its own rate: its direction is
              added, p <- p + direction
    """

    rule: optax.GradientTransformation
    has_rate: bool = False


class Learner(NamedTuple):
    """The network and the optimizer of a run: built once, and static in every program."""

    network: Network
    optimizer: Optimizer


class TrainState(NamedTuple):
    """Everything that training carries from update to update.

    step       int32, updates made so far
    params     the network's parameters
    opt_state  the state of the optimizer: for Adam, its moments
    """

    step: chex.Array
    params: Params
    opt_state: optax.OptState


class Metrics(NamedTuple):
    """Loss in nats and accuracy in `[0, 1]` of one update, on its batch, before the step.

    In framing `values` the loss is a mean squared error.
    """

    loss: chex.Array
    accuracy: chex.Array


class BPTTBatch(NamedTuple):
    """A batch, and the k-1 batches before it that are run again so that the gradient reaches them.

    In truncated backpropagation through time over k batches (`bptt_batches`), the gradient is cut
    before the first of the k batches. The K batches of a sequence are stacked along a leading axis.

    earlier  `Batch` with a leading axis k-1, or None where k is 1
    exists   bool `[k-1]`, False for an earlier batch that would lie before the sequence
    batch    the `Batch` whose loss counts
    """

    earlier: Batch | None
    exists: chex.Array | None
    batch: Batch


def build_learner(
    config: RunConfig,
    cell: Cell,
    compute: Compute = "fast",
    given: optax.GradientTransformation | None = None,
) -> Learner:
    """Return the network of `config` around `cell`, with its optimizer.

    The optimizer is the transformation `given` to a call, or otherwise the optimizer of `config`.
    `compute` chooses the form of computation, literal or fast.
    """
    return Learner(build_network(config, cell, compute), build_optimizer(config, compute, given))


def init(learner: Learner, dynamic: DynamicParams) -> TrainState:
    """Return the state of `learner` before the first update, drawn with the seed of `dynamic`."""
    params = init_params(learner.network, purpose_key(dynamic.seed, Purpose.WEIGHTS))
    return TrainState(jnp.zeros((), jnp.int32), params, learner.optimizer.rule.init(params))


def state_shapes(config: RunConfig, learner: Learner) -> TrainState:
    """Return the shapes and types of the states of all seeds, `[S, ...]`, without making arrays."""
    one = jax.eval_shape(lambda: init(learner, config.dynamic))
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((config.seeds, *leaf.shape), leaf.dtype), one
    )


def run_chunk(  # noqa: PLR0913, PLR0917 - three static ones, then arrays
    config: RunConfig,
    learner: Learner,
    size: int,
    dynamic: DynamicParams,
    state: TrainState,
    count: chex.Numeric,
    corpus: Corpus | None = None,
) -> tuple[TrainState, Metrics]:
    """Train on the next `count` sequences of a run; return the next state and the `Metrics`.

    `state` is a state between two sequences. `size` sequences are drawn, or cut from a `corpus`,
    and the first `count` are trained on. The size is static. The count may be traced, so that the
    last chunk of a run needs no program of its own. The metrics are `[size, K]`, and 0 from entry
    `count` on.
    """
    # Counted from the step: a resumed run draws what an uninterrupted one would have drawn.
    counters = state.step // config.task.updates_per_sequence + jnp.arange(size)
    tokens = draw_sequences(dynamic.seed, Purpose.DATA, counters, config.task, corpus)
    return train_on(config, learner, dynamic, state, tokens, jnp.arange(size) < count)


def train_on(
    config: RunConfig,
    learner: Learner,
    dynamic: DynamicParams,
    state: TrainState,
    tokens: chex.Array,
    wanted: chex.Array | None = None,
) -> tuple[TrainState, Metrics]:
    """Train on the sequences `tokens`, in order; return the next state and `Metrics` `[N, K]`.

    The tokens are int32 `[N, L]`, or in streams `[N, B, L]`. Where `wanted` (bool `[N]`) is False,
    the sequence is skipped: the state is kept, and the metrics are 0.
    """
    wanted = jnp.ones(len(tokens), bool) if wanted is None else wanted
    train = functools.partial(train_sequence, config, learner, dynamic)

    def skip(state: TrainState, _: chex.Array) -> tuple[TrainState, Metrics]:
        nothing = jnp.zeros(config.task.updates_per_sequence)
        return state, Metrics(nothing, nothing)

    # Under `lax.map` a skipped sequence costs nothing; `vmap` turns cond into a select, which runs
    # both.
    return jax.lax.scan(
        lambda state, x: jax.lax.cond(x[0], train, skip, state, x[1]), state, (wanted, tokens)
    )


def train_sequence(
    config: RunConfig,
    learner: Learner,
    dynamic: DynamicParams,
    state: TrainState,
    tokens: chex.Array,
) -> tuple[TrainState, Metrics]:
    """Make one update for each of the K batches of the sequence `tokens`, int32 `[L]`.

    The first batch starts from the cell's initial state. Returns the next state, and the `Metrics`
    `[K]`. In streams the tokens are `[B, L]`.
    """
    carry = start(config, learner.network, state.params)
    batches = with_earlier(config, sequence_batches(tokens, config.task, dynamic.lag))

    def step(memory: tuple[TrainState, Carry], batch: BPTTBatch) -> tuple[Any, Metrics]:
        state, carry, metrics = train_batch(config, learner, dynamic, *memory, batch)
        return (state, carry), metrics

    metrics: Metrics
    (state, _), metrics = jax.lax.scan(step, (state, carry), batches)
    return state, metrics


def train_batch(
    config: RunConfig,
    learner: Learner,
    dynamic: DynamicParams,
    state: TrainState,
    carry: Carry,
    batch: BPTTBatch,
) -> tuple[TrainState, Carry, Metrics]:
    """Make one update on `batch`; return the next state, the next carry and the `Metrics`.

    `carry` is the carry before the first of the earlier batches, or without earlier batches the
    carry before the batch itself. The returned carry is the `carry` of the next call: the carry
    after the first of the earlier batches, or otherwise after the batch itself. All batches are run
    with the weights before the step, and only the loss of the last batch counts.
    """
    network, optimizer = learner

    def loss_fn(params: Params) -> tuple[chex.Array, tuple[Carry, chex.Array]]:
        """Return the loss of the last batch, with the carry of the next call and the accuracy."""
        if config.training.frozen:
            params = {**params, "cell": jax.lax.stop_gradient(params["cell"])}
        # The gradient is cut here: `update` differentiates by the parameters alone, and the carry
        # that came in is a constant of this function. The loss of this batch never trains what
        # batches before those that `run_earlier` runs again put into the state.
        before, after_first = run_earlier(network, dynamic.stateful, params, carry, batch)
        stateful = dynamic.stateful if batch.earlier is None else True
        after, fed = feed(network, stateful, params, before, batch.batch.rows)
        targets = batch.batch.targets
        scored = batch.batch.scored
        logits = target_logits(network, params, fed.outputs, targets)
        loss = mean_where(token_loss(logits, targets, network.framing), scored)
        next_carry = after if after_first is None else after_first
        return loss, (next_carry, mean_where(correct(logits, targets), scored))

    # Updates of optax are added, and have the minus sign and the rate in them already.
    rate = -1.0 if optimizer.has_rate else dynamic.learning_rate
    state, loss, (next_carry, accuracy) = update(loss_fn, optimizer.rule, rate, state)
    return state, next_carry, Metrics(loss, accuracy)


def update(
    loss_fn: Callable[[Params], tuple[chex.Array, Any]],
    rule: optax.GradientTransformation,
    learning_rate: chex.Numeric,
    state: TrainState,
) -> tuple[TrainState, chex.Array, Any]:
    """Make one optimizer step: p <- p - learning_rate * direction, for the parameters p.

    `loss_fn` maps parameters to the loss and a further output. The `rule` turns the gradient into
    a direction. The learning rate is not part of the rule, so that the rate can be traced. Returns
    the new state, the loss before the step, and the further output of `loss_fn`.
    """
    (loss, also), gradient = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    direction, opt_state = rule.update(gradient, state.opt_state, state.params)
    params = jax.tree.map(lambda p, d: p - learning_rate * d, state.params, direction)
    return TrainState(state.step + 1, params, opt_state), loss, also


def with_earlier(config: RunConfig, batches: Batch) -> BPTTBatch:
    """Return the K stacked `batches` of a sequence, each with the batches that are run again.

    With k = 3 the batches before batch 0, 1, 2, 3 are  - -   - 0   0 1   1 2
    """
    updates = config.task.updates_per_sequence
    back = min(config.training.bptt_batches, updates) - 1
    if back == 0:
        return BPTTBatch(None, None, batches)
    before = np.arange(updates)[:, None] - np.arange(back, 0, -1)  # static indices
    # Batch 0 stands in for those that do not exist: `run_earlier` runs it and drops the result.
    earlier = jax.tree.map(lambda x: x[np.maximum(before, 0)], batches)
    return BPTTBatch(earlier, jnp.asarray(before >= 0), batches)


def run_earlier(
    network: Network, stateful: chex.Numeric, params: Params, carry: Carry, batch: BPTTBatch
) -> tuple[Carry, Carry | None]:
    """Run the earlier batches of `batch` again; return the carries after the last and the first.

    The first earlier batch starts from `carry`, or from the initial carry if `stateful` is False.
    Without earlier batches, the results are `carry` and None. A batch before the sequence leaves
    the carry, which is then initial, unchanged.
    """
    if batch.earlier is None:
        return carry, None
    # A run with earlier batches is stateful. So it is selected once, before the loop: one more
    # operation in it would change the last bits.
    carry = carried(network, stateful, params, carry, len(batch.batch.inputs))

    def step(carry: Carry, x: tuple[Batch, chex.Array]) -> tuple[Carry, Carry]:
        earlier, exists = x
        after, _ = feed(network, True, params, carry, earlier.rows)
        carry = jax.tree.map(lambda old, new: jnp.where(exists, new, old), carry, after)
        return carry, carry

    last, all_after = jax.lax.scan(step, carry, (batch.earlier, batch.exists))
    return last, jax.tree.map(lambda x: x[0], all_after)


def build_optimizer(
    config: RunConfig,
    compute: Compute = "fast",
    given: optax.GradientTransformation | None = None,
) -> Optimizer:
    """Return the transformation `given` to a call, or otherwise the Adam that `config` names.

    In the form `compute` literal, Adam is that of optax, except for keras-adam. In the form fast,
    it is `fused_adam`. Raises ConfigError if `config` names a transformation of optax, but none is
    given.
    """
    if given:
        return Optimizer(given, has_rate=True)
    name = config.training.optimizer
    if config.training.of_optax:
        rule = "is an object of an earlier call, which a configuration does not contain"
        raise ConfigError("optimizer", name, rule, "pass the object again as {optimizer}")
    keras_epsilon = name == "keras-adam"
    if compute == "literal" and not keras_epsilon:
        # The epsilon of Keras has no form in optax, so keras-adam is fused in both computations.
        return Optimizer(optax.scale_by_adam(**ADAM))
    return Optimizer(fused_adam(keras_epsilon))


def clipped_adam(largest_norm: float) -> optax.GradientTransformation:
    """Return `fused_adam`; a gradient with a global norm above `largest_norm` is scaled to it."""
    return optax.chain(optax.clip_by_global_norm(largest_norm), fused_adam())


def fused_adam(keras_epsilon: bool = False) -> optax.GradientTransformation:
    """Return Adam (Kingma & Ba 2015) with one root and one division per weight.

        m = b1 m + (1 - b1) g      v = b2 v + (1 - b2) g^2      s = sqrt(1 - b2^t)
        direction = s / (1 - b1^t) * m / (sqrt(v) + e)

    g is the gradient of a weight at update t = 1, 2, ..., and m and v are its moments, at first 0.
    b1, b2 and eps are in `ADAM`. With e = eps s this equals algorithm 1 of the paper and
    `optax.scale_by_adam`, whose bias corrections cost two more divisions per weight: 6% of an
    update of part 4. With `keras_epsilon`, e = eps, as Keras adds epsilon before it corrects v.
    """
    b1 = ADAM["b1"]
    b2 = ADAM["b2"]
    eps = ADAM["eps"]

    def direction_of(
        grads: Params, state: optax.ScaleByAdamState, params: Params | None = None
    ) -> tuple[Params, optax.ScaleByAdamState]:
        """Return Adam's direction for the gradients `grads`, and the next moments."""
        del params
        count = state.count + 1
        step = count.astype(jnp.result_type(float))
        s = jnp.sqrt(1 - b2**step)
        # sqrt(v / s^2) + eps = (sqrt(v) + eps s) / s, so s can leave the root.
        e = eps if keras_epsilon else eps * s
        rate = s / (1 - b1**step)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, grads)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, grads)
        direction = jax.tree.map(lambda m, v: rate * m / (jnp.sqrt(v) + e), mu, nu)
        return direction, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, direction_of)
