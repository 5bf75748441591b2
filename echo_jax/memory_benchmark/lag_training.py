"""A network around any cell, trained on one lag until it succeeds. Pure.

train_block  so many updates on fresh data, then an evaluation, and where it is good a confirmation
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.scan import Carry
from echo_jax.core import network
from echo_jax.core.data import Purpose, one_hot_encode, purpose_key
from echo_jax.core.loss import correct, cross_entropy, mean_where
from echo_jax.core.network import Network, Params
from echo_jax.core.training import TrainState, clipped_adam
from echo_jax.memory_benchmark import tasks
from echo_jax.memory_benchmark.protocol import TASKS, Protocol, Task
from echo_jax.memory_benchmark.tasks import Sequences

DEVIATIONS = (0.1, 0.3, 1.0, 3.0)
"""Of the noise on all weights with which `depends_nearby` tries an answer again."""


class Setting(NamedTuple):
    """What a run takes as data.

    seed    of its weights, training data and evaluation data
    lag     n
    rate    the learning rate
    active  False for a run that is over: its state is kept as it is
    """

    seed: chex.Numeric
    lag: chex.Numeric
    rate: chex.Numeric
    active: chex.Numeric


class Progress(NamedTuple):
    """After a block of updates.

    accuracy   on fresh sequences, in `[0, 1]`
    confirmed  on other, more fresh sequences; NaN where the accuracy reached no threshold
    finite     whether the loss of every update was a finite number
    """

    accuracy: chex.Array
    confirmed: chex.Array
    finite: chex.Array


def build(cell: nn.RNNCellBase, task: Task, protocol: Protocol) -> Network:
    """The network of a task: the cell, fed one-hot tokens, and a readout of V classes."""
    tokens = tasks.alphabet(task, protocol.vocab_size)
    return network.around(cell, tokens, protocol.vocab_size)


def init(net: Network, protocol: Protocol, setting: Setting) -> TrainState:
    """The state before the first update; it depends on the seed alone, not on the lag."""
    params = network.init_params(net, purpose_key(setting.seed, Purpose.WEIGHTS))
    return start(protocol, params)


def start(protocol: Protocol, params: Params) -> TrainState:
    """A state with these weights, and an optimizer that has seen nothing yet."""
    return TrainState(jnp.zeros((), jnp.int32), params, clipped_adam(protocol.clip).init(params))


def data_key(setting: Setting, task: Task, stream: Purpose) -> chex.PRNGKey:
    """The key of a stream of data of one seed, task and lag: no two lags share sequences."""
    key = jax.random.fold_in(purpose_key(setting.seed, stream), TASKS.index(task))
    return jax.random.fold_in(key, setting.lag)


def answers(net: Network, params: Params, tokens: chex.Array) -> chex.Array:
    """Logits of sequences from a zero state: tokens `[B, L]` to `[B, L, V]`."""
    zero = network.zero_carry(net, len(tokens))
    _, outputs = network.unroll(net, params, zero, tokens, None)
    return jnp.swapaxes(network.read_out(net, params, outputs), 0, 1)


def loss_of(net: Network, params: Params, asked: Sequences) -> chex.Array:
    """The mean cross-entropy of what is scored, in nats."""
    losses = cross_entropy(answers(net, params, asked.tokens), asked.targets)
    return mean_where(losses, asked.scored)


def accuracy_of(net: Network, params: Params, asked: Sequences) -> chex.Array:
    """The share of what is scored that is right."""
    return mean_where(correct(answers(net, params, asked.tokens), asked.targets), asked.scored)


def update(
    net: Network, protocol: Protocol, rate: chex.Numeric, state: TrainState, asked: Sequences
) -> tuple[TrainState, chex.Array]:
    """One step of the optimizer; returns the loss before it."""
    loss, gradient = jax.value_and_grad(lambda params: loss_of(net, params, asked))(state.params)
    return descend(protocol, rate, state, gradient), loss


def descend(
    protocol: Protocol, rate: chex.Numeric, state: TrainState, gradient: Params
) -> TrainState:
    """One step of the optimizer along a gradient."""
    direction, opt_state = clipped_adam(protocol.clip).update(gradient, state.opt_state)
    params = jax.tree.map(lambda p, d: p - rate * d, state.params, direction)
    return TrainState(state.step + 1, params, opt_state)


def train_block(
    net: Network, task: Task, protocol: Protocol, length: int, setting: Setting, state: TrainState
) -> tuple[TrainState, Progress]:
    """`evaluate_every` updates and an evaluation; a run that is not active is passed over.

    Args:
      net: the network, see `build`.
      task: what it is trained on.
      protocol: gives batch, optimizer, evaluation; static.
      length: L, static; that of `protocol.length`, or longer.
      setting: of this run, may be traced.
      state: after a whole number of blocks.
    """

    def train(state: TrainState) -> tuple[TrainState, Progress]:
        """Draw the data of all updates, then make them."""
        key = data_key(setting, task, Purpose.DATA)
        shape = (protocol.batch_size, length)

        def drawn(counter: chex.Array) -> Sequences:
            of_update = jax.random.fold_in(key, counter)
            return tasks.draw(task, of_update, shape, setting.lag, protocol.vocab_size)

        batches = jax.vmap(drawn)(state.step + jnp.arange(protocol.evaluate_every))
        state, losses = jax.lax.scan(
            lambda state, x: update(net, protocol, setting.rate, state, x), state, batches
        )
        accuracy, confirmed = evaluate(net, task, protocol, length, setting, state)
        return state, Progress(accuracy, confirmed, jnp.all(jnp.isfinite(losses)))

    def pass_over(state: TrainState) -> tuple[TrainState, Progress]:
        """Keep the state."""
        return state, Progress(jnp.nan, jnp.nan, True)

    return jax.lax.cond(setting.active, train, pass_over, state)


def evaluate(
    net: Network, task: Task, protocol: Protocol, length: int, setting: Setting, state: TrainState
) -> tuple[chex.Array, chex.Array]:
    """Accuracy on fresh sequences and, where that reaches a threshold, on more of them."""
    key = jax.random.fold_in(data_key(setting, task, Purpose.EVALUATION), state.step)
    shape = (protocol.evaluation[task], length)

    def share(first: chex.Array, part: chex.Array) -> tuple[chex.Array, chex.Array]:
        """The accuracy on sequences that nothing else has seen; NaN where the first is too low."""

        def measured() -> chex.Array:
            """On the sequences of this part."""
            of_part = jax.random.fold_in(key, part)
            asked = tasks.draw(task, of_part, shape, setting.lag, protocol.vocab_size)
            return accuracy_of(net, state.params, asked)

        found = jax.lax.cond(first >= min(protocol.thresholds), measured, lambda: jnp.nan)
        return jnp.where(part == 0, found, first), found

    parts = jnp.arange(1 + protocol.confirmation)
    _, shares = jax.lax.scan(share, jnp.float32(jnp.inf), parts)  # one loop: compiled once
    return shares[0], jnp.mean(shares[1:])


def gradient_profile(
    net: Network, protocol: Protocol, length: int, longest: int, setting: Setting, params: Params
) -> chex.Array:
    """How much the last answer of a stream depends on each input: float32 `[longest + 1]`.

    The norm of the gradient of the answer's logit margin (the target's logit less the largest
    other) with respect to the input j steps back, j = 0 .. longest; the mean over sequences. The
    target is the token `setting.lag` steps back.
    """
    key = jax.random.fold_in(data_key(setting, "stream", Purpose.EVALUATION), 2**31 - 1)
    shape = (protocol.gradient_sequences, length)
    asked = tasks.draw_stream(key, shape, setting.lag, protocol.vocab_size)
    inputs = one_hot_encode(asked.tokens.T, net.tokens)
    zero, target = network.zero_carry(net, shape[0]), asked.targets[:, -1]

    def margins(inputs: chex.Array) -> chex.Array:
        """The sum over sequences: no two have an input in common."""
        _, outputs = network.unroll_inputs(net, params, zero, inputs, None)
        logits = network.read_out(net, params, outputs[-1])
        own = jax.nn.one_hot(target, logits.shape[-1], dtype=bool)
        best_other = jnp.max(jnp.where(own, -jnp.inf, logits), axis=-1)
        return jnp.sum(jnp.sum(jnp.where(own, logits, 0), axis=-1) - best_other)

    norms = jnp.linalg.norm(jax.grad(margins)(inputs), axis=-1)
    return jnp.mean(norms, axis=1)[::-1][: longest + 1]


def depends(
    net: Network, protocol: Protocol, length: int, setting: Setting, params: Params
) -> chex.Array:
    """Whether another token `setting.lag` steps back changes any bit of the last answer's logits.

    Tried on all sequences of `gradient_profile`, whose zeros it checks.
    """
    key = jax.random.fold_in(data_key(setting, "stream", Purpose.EVALUATION), 2**31 - 1)
    shape = (protocol.gradient_sequences, length)
    tokens = tasks.draw_stream(key, shape, setting.lag, protocol.vocab_size).tokens
    asked = jnp.arange(length) == length - 1 - setting.lag
    others = jnp.where(asked, (tokens + 1) % protocol.vocab_size, tokens)
    last, last_of_others = (answers(net, params, each)[:, -1] for each in (tokens, others))
    return jnp.any(last != last_of_others)


def depends_nearby(
    net: Network, protocol: Protocol, length: int, setting: Setting, params: Params
) -> chex.Array:
    """Whether the answer `depends` at these weights, or at random ones around them.

    A network whose gate is shut depends on nothing behind it, and one step away the gate is open.
    Around every weight normal noise is drawn of each of `DEVIATIONS`: an analytic function of the
    weights that is zero at weights drawn so is zero at all of them, but for a chance of zero.
    """
    key = jax.random.fold_in(data_key(setting, "stream", Purpose.EVALUATION), 2**31 - 3)
    leaves, tree = jax.tree.flatten(params)

    def at(deviation: chex.Array) -> chex.Array:
        """With noise of one deviation."""
        keys = jax.random.split(key, len(leaves))
        drawn = [
            x + deviation * jax.random.normal(k, x.shape, x.dtype)
            for k, x in zip(keys, leaves, strict=True)
        ]
        return depends(net, protocol, length, setting, jax.tree.unflatten(tree, drawn))

    return jnp.any(jax.lax.map(at, jnp.asarray((0.0, *DEVIATIONS))))


def beyond(
    net: Network, protocol: Protocol, length: int, setting: Setting, params: Params
) -> chex.Array:
    """Accuracy over the last L steps of streams of k L steps, k = 1 .. max(beyond), float32."""
    longest = max(protocol.beyond)
    key = jax.random.fold_in(data_key(setting, "stream", Purpose.EVALUATION), 2**31 - 2)
    shape = (protocol.evaluation["stream"], longest * length)
    asked = tasks.draw_stream(key, shape, setting.lag, protocol.vocab_size)
    parts = jax.tree.map(lambda x: jnp.stack(jnp.split(x, longest, axis=1)), asked)

    def part(carry: Carry, asked: Sequences) -> tuple[Carry, chex.Array]:
        """The next L steps, from the state that those before them left."""
        carry, outputs = network.unroll(net, params, carry, asked.tokens, None)
        logits = jnp.swapaxes(network.read_out(net, params, outputs), 0, 1)
        return carry, mean_where(correct(logits, asked.targets), asked.scored)

    return jax.lax.scan(part, network.zero_carry(net, shape[0]), parts)[1]
