"""Train by pure functions, from a chunk of sequences down to one update.

run_chunk       draws the sequences of a chunk and scans `train_sequence` over them
train_sequence  scans `train_batch` over the batches of a sequence, the carry from batch to batch
train_batch     one update on a truncated-BPTT batch: `feed`, loss, gradient, one step of Adam

`start` gives the carry of the cell before the first batch, and `feed` runs one batch. Between
batches, the carry is handed on or reset to the initial state, usually zero. With batches of B = 2
the rows of a sequence continue each other like this:

    batch 0    rows 0 1
                    | |
    batch 1    rows 2 3      row 2 continues row 0, not row 1
"""

import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from echo_jax.cells.interface import Carry, Cell
from echo_jax.config import DynamicParams, RunConfig
from echo_jax.echo.data import Batch, Corpus, Rows, draw_sequences, sequence_batches
from echo_jax.exceptions import ConfigError, reason
from echo_jax.learner.loss import correct, mean_where, token_loss
from echo_jax.learner.network import GLOROT, Compute, Network, Params, init_params, read_out, unroll
from echo_jax.learner.random_tokens import Purpose, purpose_key
from echo_jax.learner.update import TrainState, adam, update


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


class Fed(NamedTuple):
    """The start and the outputs of a network on one batch of B rows.

    before   the carry that each row started from, `[B, ...]`
    outputs  float32 `[W, B, features]`, of the cell after each step
    """

    before: Carry
    outputs: chex.Array


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


def build_network(config: RunConfig, cell: Cell, compute: Compute = "fast") -> Network:
    """Return the network of `config` around `cell`, which `cells.cell_object.cell_of` builds.

    `compute` chooses the form of computation, literal or fast.
    """
    task = config.task
    options = config.network
    outputs = 1 if task.framing == "values" else task.vocab_size
    return Network(
        cell,
        nn.Dense(options.embedding_dim if options.tied else outputs, kernel_init=GLOROT),
        config.input_size,
        task.input_tokens,
        classes=task.vocab_size,
        encoding=options.encoding,
        tied=options.tied,
        framing=task.framing,
        compute=compute,
    )


def build_optimizer(
    config: RunConfig,
    compute: Compute = "fast",
    given: optax.GradientTransformation | None = None,
) -> Optimizer:
    """Return the transformation `given` to a call, or otherwise the Adam that `config` names.

    `compute` chooses the form of Adam, literal or fast. Raises ConfigError if `config` names a
    transformation of optax, but none is given.
    """
    if given:
        return Optimizer(given, has_rate=True)
    name = config.training.optimizer
    if config.training.of_optax:
        rule = "is an object of an earlier call, which a configuration does not contain"
        raise ConfigError("optimizer", name, rule, "pass the object again as {optimizer}")
    return Optimizer(adam(compute, keras_epsilon=name == "keras-adam"))


def check_transformation(learner: Learner) -> None:
    """Raise ConfigError unless the user's transformation in `learner` fits the weights.

    Its functions are traced, and nothing is computed: `update` must return an update of the shape
    of each weight, and a state of the form that `init` returned.
    """
    rule = learner.optimizer.rule

    def traced(key: chex.PRNGKey) -> tuple[Any, ...]:
        params = init_params(learner.network, key)
        before = rule.init(params)
        updates, after = rule.update(params, before, params)
        return params, updates, before, after

    fix = "use a transformation of optax, such as optax.sgd(0.1)"
    try:
        params, updates, before, after = jax.eval_shape(traced, purpose_key(0, Purpose.WEIGHTS))
    except Exception as error:  # user code may raise anything
        raise ConfigError(None, "the optimizer", f"fails ({reason(error)})", fix) from error
    if not _same_form(params, updates, "shape"):
        broken = "returns updates that have other shapes than the weights"
        raise ConfigError(None, "the optimizer", broken, fix)
    if not _same_form(before, after, "shape", "dtype"):
        broken = "returns a state of another form than its first state"
        raise ConfigError(None, "the optimizer", broken, fix)


def _same_form(tree: Any, other: Any, *attributes: str) -> bool:
    forms: list[Any] = [jax.tree.structure(each) for each in (tree, other)]
    return forms[0] == forms[1] and all(
        getattr(a, name) == getattr(b, name)
        for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
        for name in attributes
    )


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


def start(config: RunConfig, network: Network, params: Params) -> Carry:
    """Return the carry of `network` before a sequence, for the B rows of a batch of `config`."""
    return network.initial_state(params, config.task.batch_size)


def feed(
    network: Network, stateful: chex.Numeric, params: Params, carry: Carry, rows: Rows
) -> tuple[Carry, Fed]:
    """Feed the next batch, `rows`, to `network`; return the next carry and the `Fed` of the batch.

    `carry` is the carry that the batch before left. In a `stateful` network (the Keras rule), row b
    continues row b of the batch before. So with batch size B, row r of a sequence continues row
    r - B, *not* row r - 1. In other networks every batch starts from the cell's initial state,
    which is usually zero.
    """
    before = carried(network, stateful, params, carry, len(rows.inputs))
    after, outputs = unroll(network, params, before, *rows)
    return after, Fed(before, outputs)


def carried(
    network: Network, stateful: chex.Numeric, params: Params, carry: Carry, batch_size: int
) -> Carry:
    """Return `carry` if `stateful`, and otherwise the initial carry for `batch_size` rows."""
    zero = network.initial_state(params, batch_size)
    # `stateful` may be traced: one program serves stateful and stateless runs.
    return jax.tree.map(lambda old, new: jnp.where(stateful, old, new), carry, zero)


def target_logits(
    network: Network, params: Params, outputs: chex.Array, targets: chex.Array
) -> chex.Array:
    """Return the logits `[B, T, V]` for `targets` `[B, T]`, from the last T of `outputs`.

    The `outputs` of the cell are `[W, B, features]`.
    """
    chex.assert_rank([outputs, targets], [3, 2])
    read = outputs[-targets.shape[-1] :]
    return jnp.swapaxes(read_out(network, params, read), 0, 1)


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
