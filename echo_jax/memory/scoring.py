"""The score of trained weights: answers by `step` on one stream, recalibrated. Pure.

A cell's step is traced once, scanned over the steps of one stream, and mapped over streams by
`lax.map`: it sees no later input, rows cannot mix, and no rule of the user's for batches is run.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from echo_jax.cells.block import own_state, with_own_state
from echo_jax.cells.interface import Cell
from echo_jax.cells.scan import Carry
from echo_jax.core import network
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.core.loss import correct, cross_entropy
from echo_jax.core.network import Network, Params
from echo_jax.memory.by_key import ByKey, Recall, draw_pairs, recall
from echo_jax.memory.by_lag import ByLag, draw_streams, earlier_tokens, flat_state
from echo_jax.memory.protocol import Protocol


class Sets(NamedTuple):
    """The data sets of a run; calibration by lag alone.

    calibration, validation   of the seed; a rounded state is asked for no validation
    final                     of the seed and the trained weights: not known before training
    """

    calibration: Any
    validation: Any
    final: Any


class Rounding(NamedTuple):
    """How the numbers of a state, `flat_state`, are rounded after each step.

    A number is clipped to low .. high and becomes the nearest of `levels` that divide this range
    evenly. A number stays as it is where high is not above low, and where it is an integer.

    low, high  float32 `[D]`
    levels     float32
    """

    low: chex.Array
    high: chex.Array
    levels: chex.Numeric


class Scores(NamedTuple):
    """The score of trained weights, by the steps of one stream.

    validation, final  by lag mean nats of each lag, `[N]`; by key right answers of each K, int32
                       `[K]`
    accuracy           the mean on the validation data
    bytes              int32, of the state that was carried from step to step, less convolutions
    low, high          by lag the smallest and largest of each number of the state after the asked
                       steps of the validation streams, `[D]`
    """

    validation: chex.Array
    final: chex.Array
    accuracy: chex.Array
    bytes: chex.Array
    low: chex.Array | None = None
    high: chex.Array | None = None


def set_keys(seed: chex.Numeric, weights: chex.Array) -> Sets:
    """The keys of the data sets; `weights` is the SHA-256 of the trained ones, uint32 `[8]`."""
    key = purpose_key(seed, Purpose.EVALUATION)
    final = jax.random.fold_in(key, 2)
    for i in range(len(weights)):
        final = jax.random.fold_in(final, weights[i])
    return Sets(jax.random.fold_in(key, 0), jax.random.fold_in(key, 1), final)


def draw_lag_sets(question: ByLag, seed: chex.Numeric, weights: chex.Array) -> Sets:
    """Streams `[streams, T]` of each data set."""
    protocol = question.protocol
    return Sets(*(draw_streams(protocol, x, protocol.streams) for x in set_keys(seed, weights)))


def draw_key_sets(question: ByKey, seed: chex.Numeric, weights: chex.Array) -> Sets:
    """`Recall`s of each data set, with a leading axis of the numbers of pairs."""
    protocol = question.protocol
    asked = protocol.pairs_asked(question.most)
    recalls = protocol.recalls
    keys = set_keys(seed, weights)

    def drawn(key: chex.PRNGKey) -> Recall:
        pairs = draw_pairs(protocol, key, len(asked) * recalls, question.most)
        of_k = recall(protocol, pairs, jnp.repeat(jnp.array(asked), recalls))
        return jax.tree.map(lambda x: x.reshape(len(asked), recalls, *x.shape[1:]), of_k)

    return Sets(None, drawn(keys.validation), drawn(keys.final))


def score_by_lag(question: ByLag, params: Params, sets: Sets) -> Scores:
    """Nats of each lag after recalibration, and the mean accuracy over all lags."""
    states, carried = flat_states(question, params, sets)
    nats, accuracies = answers_by_lag(question, params, sets, states)
    return Scores(
        nats.validation,
        nats.final,
        accuracies.validation,
        bytes=carried,
        low=jnp.min(states.validation, axis=(0, 1)),
        high=jnp.max(states.validation, axis=(0, 1)),
    )


def rounded_nats(question: ByLag, params: Params, sets: Sets, rounding: Rounding) -> chex.Array:
    """Nats of each lag on the final streams with the state rounded, `[N]`."""
    sets = sets._replace(validation=None)
    states, _ = flat_states(question, params, sets, rounding)
    return answers_by_lag(question, params, sets, states)[0].final


def answers_by_lag(question: ByLag, params: Params, sets: Sets, states: Sets) -> tuple[Sets, Sets]:
    """Of each set and its states the nats of each lag, recalibrated, and the mean accuracy."""
    protocol = question.protocol

    def examples(states_of_set: chex.Array) -> chex.Array:
        """The logits of a set, `[E, N, V]`."""
        read = question.logits(params, states_of_set, states.calibration)
        return read.reshape(-1, *read.shape[2:])

    logits = jax.tree.map(examples, states)
    targets = jax.tree.map(lambda x: earlier_tokens(protocol, x).reshape(-1, protocol.lags), sets)
    factors = fitted_factors(protocol, logits.calibration, targets.calibration)
    nats = functools.partial(recalibrated_nats, factors, 1 / len(logits.calibration))
    accuracies = jax.tree.map(lambda *of: jnp.mean(correct(*of)), logits, targets)
    return jax.tree.map(nats, logits, targets), accuracies


def scan_accuracy_by_lag(question: ByLag, params: Params, sets: Sets) -> chex.Array:
    """The accuracy on the validation data by the cell's scan, in which it was trained."""
    states, reference = (question.states(params, x) for x in (sets.validation, sets.calibration))
    targets = earlier_tokens(question.protocol, sets.validation)
    return jnp.mean(correct(question.logits(params, states, reference), targets))


def score_by_key(question: ByKey, params: Params, sets: Sets) -> Scores:
    """Right answers of each K, and the mean accuracy over all questions."""
    net = question.network
    asked: Recall = jax.tree.map(lambda *of: jnp.stack(of), sets.validation, sets.final)
    streams = asked.tokens.reshape(-1, asked.tokens.shape[-1])

    def answer(_: Carry, output: chex.Array) -> chex.Array:
        return jnp.argmax(network.read_out(net, params, output[0])).astype(jnp.int32)

    found, carried = by_steps(net, params, streams, answer)
    is_right = (found.reshape(asked.targets.shape) == asked.targets) & asked.scored
    validation, final = jnp.sum(is_right, axis=(2, 3))
    accuracy = jnp.sum(validation) / jnp.sum(sets.validation.scored)
    return Scores(validation, final, accuracy, carried)


def scan_accuracy_by_key(question: ByKey, params: Params, sets: Sets) -> chex.Array:
    """The accuracy on the validation data by the cell's scan, in which it was trained."""

    def right(asked: Recall) -> chex.Array:
        is_right = correct(question.logits(params, asked.tokens), asked.targets)
        return jnp.sum(is_right & asked.scored)

    return jnp.sum(jax.lax.map(right, sets.validation)) / jnp.sum(sets.validation.scored)


def flat_states(
    question: ByLag, params: Params, sets: Sets, rounding: Rounding | None = None
) -> tuple[Sets, chex.Array]:
    """The flat states after the asked steps of each set, `[B, A, D]`, and the bytes of a state."""
    net = question.network
    asked = question.protocol.asked
    streams, tree = jax.tree.flatten(sets)
    states, carried = by_steps(
        net,
        params,
        jnp.concatenate(streams),
        lambda state, _: flat_state(net.cell, state, 1)[0],
        lambda state: rounded(net.cell, state, rounding) if rounding else state,
        asked=slice(asked.start, asked.stop, asked.step),
    )
    return jax.tree.unflatten(tree, jnp.split(states, len(streams))), carried


def rounded(cell: Cell, state: Carry, rounding: Rounding) -> Carry:
    """The state of a cell, of one stream, with its own numbers rounded."""

    def reals(x: chex.Array) -> Any:
        """The real numbers of an array, in the order of `flat_state`."""
        parts = (x.real, x.imag) if jnp.iscomplexobj(x) else (x,)
        return [part.astype(jnp.float32) for part in parts]

    def of_type(x: chex.Array, parts: list[chex.Array]) -> chex.Array:
        """The rounded numbers in the place of an array; an integer stays."""
        if jnp.iscomplexobj(x):
            return jax.lax.complex(*parts)
        return parts[0].astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    own = own_state(cell, state)
    exact, unravelled = ravel_pytree(jax.tree.map(reals, own))
    low, high, levels = rounding
    used = high > low
    step = jnp.where(used, high - low, 1) / (levels - 1)
    nearest = low + step * jnp.round((jnp.clip(exact, low, high) - low) / step)
    numbers = unravelled(jnp.where(used, nearest, exact))
    return with_own_state(cell, state, jax.tree.map(of_type, own, numbers))


def by_steps(
    net: Network,
    params: Params,
    streams: chex.Array,
    read: Any,
    carry_on: Callable[[Carry], Carry] = lambda state: state,
    asked: slice = slice(None),
) -> tuple[chex.Array, chex.Array]:
    """`read(state, output)` after the asked steps of each stream, `[B, A, ...]`; bytes of state.

    `carry_on` changes a state before it is read and handed to the next step.
    """
    prepared = net.cell.prepare(params["cell"])

    def of_stream(tokens: chex.Array) -> tuple[chex.Array, chex.Array]:

        def step(state: Carry, token: chex.Array) -> tuple[Carry, chex.Array]:
            x = jax.nn.one_hot(token, net.input_size)[None]
            state, output = net.cell.step(prepared, state, x)
            state = carry_on(state)
            return state, read(state, output)

        state, found = jax.lax.scan(step, net.initial_state(params, 1), tokens)
        # Counted where it is carried: a cell cannot show another state to who counts it.
        leaves = jax.tree.leaves(own_state(net.cell, state))
        kept = jax.tree.map(lambda x: x[asked], found)  # here: of all streams they take gigabytes
        return kept, jnp.int32(sum(x.size * x.dtype.itemsize for x in leaves))

    found, carried = jax.lax.map(of_stream, streams)
    return found, carried[0]


def fitted_factors(protocol: Protocol, logits: chex.Array, targets: chex.Array) -> chex.Array:
    """The factor b of each lag, `[N]`, fitted on calibration logits `[E, N, V]` and targets.

    The factor minimises the mean cross-entropy of softmax(b z) (temperature scaling, Guo et al.
    2017). That is convex in b, so its slope, E[sum_v p_v z_v - z_target], is brought to zero by
    bisection. As b is not below 0, the largest b z is that of the largest z, which is taken once.
    """
    below = logits - jnp.max(logits, axis=-1, keepdims=True)
    right = jnp.take_along_axis(below, targets[..., None], axis=-1)[..., 0]

    def slope(factor: chex.Array) -> chex.Array:
        weights = jnp.exp(factor[:, None] * below)
        expected = jnp.sum(weights * below, axis=-1) / jnp.sum(weights, axis=-1)
        return jnp.mean(expected - right, axis=0)

    def halve(_: int, ends: tuple[chex.Array, chex.Array]) -> tuple[chex.Array, chex.Array]:
        low, high = ends
        middle = (low + high) / 2
        above = slope(middle) > 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    lags = logits.shape[1]
    ends = jnp.zeros(lags), jnp.full(lags, protocol.largest_factor)
    low, high = jax.lax.fori_loop(0, protocol.halvings, halve, ends)
    return (low + high) / 2


def recalibrated_nats(
    factors: chex.Array, doubt: float, logits: chex.Array, targets: chex.Array
) -> chex.Array:
    """The mean cross-entropy of each lag, `[N]`, of logits `[E, N, V]` after recalibration.

    The scored probabilities are (1 - doubt) softmax(b z) + doubt / V. With 1 / E for the doubt: no
    error in E calibration answers does not show that the next one is right.
    """
    right = jnp.exp(-cross_entropy(factors[:, None] * logits, targets))
    return -jnp.mean(jnp.log((1 - doubt) * right + doubt / logits.shape[-1]), axis=0)
