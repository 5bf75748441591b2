"""The score of trained weights: answers by `step` on one stream, recalibrated. Pure.

A cell's step is traced once, scanned over the steps of one stream, and mapped over streams by
`lax.map`: it sees no later input, rows cannot mix, and no rule of the user's for batches is run.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from echo_jax.cells.block import own_state, with_own_state
from echo_jax.cells.interface import Cell
from echo_jax.cells.scan import Carry
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.core.network import Network, Params


class Sets(NamedTuple):
    """The data sets of a run, or their keys; by key there is no calibration.

    calibration, validation   of the seed
    final                     of the seed and the trained weights: not known before training
    """

    calibration: Any
    validation: Any
    final: Any


class Rounding(NamedTuple):
    """How the numbers of a state, `cells.block.flat_state`, are rounded after each step.

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
                       `[K]`; of a task accuracy, nats an answer and entropy of the answers, `[3]`
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


class Answers(NamedTuple):
    """The logits of the heads on a data set, `[E, N, V]`, and their targets, int32 `[E, N]`."""

    logits: chex.Array
    targets: chex.Array


class AnswersAtOnce(NamedTuple):
    """The answers of a network about fixed streams, as `reading` packs them.

    values     the most likely ones, by lag of N = 64, by key of 8 questions, int32 `[10, N]`
    certainty  of these, 0 .. 1: by lag `recalibrated_certainty`, by key the recalibrated
               probability of the value, `[10, N]`
    nats       by lag, of each lag on the final streams after the first asked step, `[N]`
    """

    values: chex.Array
    certainty: chex.Array
    nats: chex.Array | None = None


def set_keys(seed: chex.Numeric, weights: chex.Array) -> Sets:
    """The keys of a seed; `weights` is the SHA-256 of the trained ones, uint32 `[8]`."""
    key = purpose_key(seed, Purpose.EVALUATION)
    final = jax.random.fold_in(key, 2)
    for i in range(len(weights)):
        final = jax.random.fold_in(final, weights[i])
    return Sets(jax.random.fold_in(key, 0), jax.random.fold_in(key, 1), final)


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
        """Readings of one stream `[T]` after its asked steps, and the bytes of its state."""

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
