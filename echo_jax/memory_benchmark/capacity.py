"""How much about the past one state holds: recalled bits, and the linear memory capacity. Pure.

bits    one network with one head per lag, all reading the same flattened carry
linear  a ridge readout of the flattened carry (Jaeger 2001), by lag
"""

import math
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from echo_jax.cells.scan import Carry, scan_over_time
from echo_jax.core import network
from echo_jax.core.data import Purpose, one_hot_encode, purpose_key
from echo_jax.core.loss import cross_entropy
from echo_jax.core.network import Network
from echo_jax.core.training import TrainState
from echo_jax.memory_benchmark import lag_training
from echo_jax.memory_benchmark.lag_training import Setting
from echo_jax.memory_benchmark.protocol import Protocol
from echo_jax.memory_benchmark.tasks import lagged, random_tokens

PART = 256
"""Sequences that are run at once where only their last states are wanted."""

STEEPEST = 100.0
"""The largest factor that a recalibration puts on logits."""

RIDGE = 1e-7
"""Of the ridge readout, as a share of the variance of a standardised number, which is 1."""


class Known(NamedTuple):
    """Recalled bits of each lag from 1, float32 `[M]`: log2 V less the cross-entropy in bits.

    exact    of the state as it is
    float16  of the state rounded to half precision
    noise    of the state with noise added
    """

    exact: chex.Array
    float16: chex.Array
    noise: chex.Array


def flatten(carry: Carry, batch: int) -> chex.Array:
    """All numbers of a carry of B rows side by side, float32 `[B, D]`; a complex one is two."""
    rows = [jnp.reshape(x, (batch, math.prod(x.shape[1:]))) for x in jax.tree.leaves(carry)]
    reals = [part for x in rows for part in ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,))]
    nothing = jnp.zeros((batch, 0))  # all that is carried by a cell without a state
    return jnp.concatenate([nothing, *(x.astype(jnp.float32) for x in reals)], axis=-1)


def state_size(net: Network) -> int:
    """D, the numbers of a state."""
    return int(jax.eval_shape(lambda: flatten(network.zero_carry(net, 1), 1)).shape[-1])


def heads(protocol: Protocol) -> nn.Dense:
    """A linear head a lag, side by side: D numbers to M V logits."""

    def kernel_init(key: chex.PRNGKey, shape: Any, dtype: Any) -> chex.Array:
        """As a layer starts; of a state of no numbers there is nothing to draw."""
        init = nn.initializers.lecun_normal() if math.prod(shape) else nn.initializers.zeros
        return jnp.asarray(init(key, shape, dtype))

    return nn.Dense(protocol.capacity_lags * protocol.vocab_size, kernel_init=kernel_init)


def init(net: Network, protocol: Protocol, setting: Setting) -> TrainState:
    """The state before the first update, of the cell and its heads."""
    key = jax.random.fold_in(purpose_key(setting.seed, Purpose.WEIGHTS), 1)
    cell = network.init_params(net, purpose_key(setting.seed, Purpose.WEIGHTS))["cell"]
    readout = heads(protocol).init(key, jnp.zeros((1, state_size(net))))["params"]
    return lag_training.start(protocol, {"cell": cell, "heads": readout})


def states(net: Network, params: Any, carry: Carry, tokens: chex.Array) -> tuple[Carry, chex.Array]:
    """The flattened carry after each step: tokens `[B, L]` to float32 `[L, B, D]`."""
    variables = {"params": params["cell"]}

    def step(carry: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        """One step, and the state that it leaves."""
        carry, _ = net.cell.apply(variables, carry, x)
        return carry, flatten(carry, len(tokens))

    return scan_over_time(step, carry, one_hot_encode(tokens.T, net.tokens), None)


def train_block(
    net: Network, protocol: Protocol, setting: Setting, state: TrainState
) -> tuple[TrainState, chex.Array]:
    """`evaluate_every` updates on the mean loss of all heads; returns the loss of the last one."""
    key = jax.random.fold_in(purpose_key(setting.seed, Purpose.DATA), 2**31 - 1)
    shape = (protocol.batch_size, protocol.capacity_length)

    def loss_of(params: Any, tokens: chex.Array) -> chex.Array:
        """The mean cross-entropy of all heads, at some steps before which all targets lie."""
        _, seen = states(net, params, network.zero_carry(net, len(tokens)), tokens)
        asked = slice(protocol.capacity_lags, None, protocol.capacity_every)
        logits = logits_of(protocol, params, seen[asked])
        return jnp.mean(cross_entropy(logits, targets_of(tokens, protocol)[asked]))

    def update(state: TrainState, counter: chex.Array) -> tuple[TrainState, chex.Array]:
        """One step of the optimizer on fresh sequences."""
        tokens = random_tokens(jax.random.fold_in(key, counter), shape, protocol.vocab_size)
        loss, gradient = jax.value_and_grad(loss_of)(state.params, tokens)
        return lag_training.descend(protocol, setting.rate, state, gradient), loss

    counters = state.step + jnp.arange(protocol.evaluate_every)
    state, losses = jax.lax.scan(update, state, counters)
    return state, losses[-1]


def targets_of(tokens: chex.Array, protocol: Protocol) -> chex.Array:
    """The tokens 1 .. M steps before each, int32 `[L, B, M]`; there are all of them from step M."""
    lags = 1 + jnp.arange(protocol.capacity_lags)
    targets = jax.vmap(lambda lag: lagged(tokens, lag)[0], out_axes=-1)(lags)
    return jnp.swapaxes(targets, 0, 1)


def logits_of(protocol: Protocol, params: Any, seen: chex.Array) -> chex.Array:
    """The logits of every head: states `[..., D]` to `[..., M, V]`."""
    read = jnp.asarray(heads(protocol).apply({"params": params["heads"]}, seen))
    return read.reshape(*seen.shape[:-1], protocol.capacity_lags, protocol.vocab_size)


def recalled(net: Network, protocol: Protocol, setting: Setting, params: Any) -> Known:
    """Recalled bits of each lag in the last state of fresh sequences.

    The heads are recalibrated on some sequences (one factor a head on its logits, Guo et al.
    2017) and tried on others. Nothing is clipped: a head that knows nothing ends near 0 bits, on
    either side. The inputs are independent, so that the sum over the lags is a lower bound of what
    the state holds.
    """
    key = jax.random.fold_in(purpose_key(setting.seed, Purpose.EVALUATION), 2**31 - 1)
    fit, fit_targets = last_states(net, protocol, params, jax.random.fold_in(key, 0))
    seen, targets = last_states(net, protocol, params, jax.random.fold_in(key, 1))
    deviation = jnp.std(fit, axis=0)

    def blurred(states: chex.Array, counter: int) -> chex.Array:
        drawn = jax.random.normal(jax.random.fold_in(key, counter), states.shape)
        return states + protocol.noise * deviation * drawn

    def bits(fit: chex.Array, seen: chex.Array) -> chex.Array:
        """Recalibrated on states seen the same way."""
        fit, seen = (logits_of(protocol, params, states) for states in (fit, seen))
        return recalibrated_bits(fit, fit_targets, seen, targets)

    return Known(
        bits(fit, seen),
        bits(half(fit), half(seen)),
        bits(blurred(fit, 2), blurred(seen, 3)),
    )


def half(states: chex.Array) -> chex.Array:
    """Numbers rounded to half precision; those beyond its range, 65,504, are set to its ends."""
    largest = jnp.finfo(jnp.float16).max.astype(jnp.float32)
    return jnp.clip(states, -largest, largest).astype(jnp.float16).astype(jnp.float32)


def last_states(
    net: Network, protocol: Protocol, params: Any, key: chex.PRNGKey
) -> tuple[chex.Array, chex.Array]:
    """The last states of fresh sequences, `[N, D]`, and the tokens 1 .. M steps back, `[N, M]`."""

    def part(counter: chex.Array) -> tuple[chex.Array, chex.Array]:
        """So many sequences at once."""
        shape = (PART, protocol.capacity_length)
        tokens = random_tokens(jax.random.fold_in(key, counter), shape, protocol.vocab_size)
        zero = network.zero_carry(net, PART)
        carry, _ = network.unroll(net, params, zero, tokens, None)
        return flatten(carry, PART), tokens[:, -2 : -2 - protocol.capacity_lags : -1]

    found = jax.lax.map(part, jnp.arange(protocol.capacity_sequences // PART))
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * PART, x.shape[-1]), found)


def recalibrated_bits(
    fit: chex.Array, fit_targets: chex.Array, logits: chex.Array, targets: chex.Array
) -> chex.Array:
    """Bits that heads know of their targets, after a factor on the logits of each: `[M]`.

    The factor b >= 0 makes the mean cross-entropy of b z on the first data smallest. It is convex
    in b, so its slope, E[sum_v p_v z_v - z_target], is brought to zero by bisection. What is scored
    is (1 - e) softmax(b z) + e / V with e = 1 / N: a head that made no error on N sequences may
    still make one in as many, and is not sure beyond all measure.

    Args:
      fit: logits `[N, M, V]` that the factor is fitted to.
      fit_targets: int32 `[N, M]`.
      logits: those that are scored.
      targets: theirs.
    """

    def slope(factor: chex.Array) -> chex.Array:
        """Of the mean cross-entropy, against the factor of each head."""
        p = jax.nn.softmax(factor[:, None] * fit)
        right = jnp.take_along_axis(fit, fit_targets[..., None], axis=-1)[..., 0]
        return jnp.mean(jnp.sum(p * fit, axis=-1) - right, axis=0)

    def halve(_: int, ends: tuple[chex.Array, chex.Array]) -> tuple[chex.Array, chex.Array]:
        """The half of each bracket in which the slope changes its sign."""
        low, high = ends
        middle = (low + high) / 2
        above = slope(middle) > 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    lags = fit.shape[1]
    ends = (jnp.zeros(lags), jnp.full(lags, STEEPEST))
    low, high = jax.lax.fori_loop(0, 30, halve, ends)
    doubt, classes = 1 / len(fit), fit.shape[-1]
    right = jnp.exp(-cross_entropy((low + high)[:, None] / 2 * logits, targets))
    known = jnp.log((1 - doubt) * right + doubt / classes)
    return (jnp.log(classes) + jnp.mean(known, axis=0)) / jnp.log(2)


def driven(
    net: Network, protocol: Protocol, setting: Setting, params: Any
) -> tuple[chex.Array, chex.Array]:
    """States of two long streams, `[2, T, D]`, and their tokens, int32 `[2, T]`, washout left out.

    What `linear_capacity` is fitted to, and what it is tried on.
    """
    key = jax.random.fold_in(purpose_key(setting.seed, Purpose.EVALUATION), 2**31 - 3)
    shape = (2, protocol.washout + protocol.linear_lags + protocol.linear_steps)
    tokens = random_tokens(key, shape, protocol.vocab_size)
    _, seen = states(net, params, network.zero_carry(net, 2), tokens)
    return jnp.swapaxes(seen, 0, 1)[:, protocol.washout :], tokens[:, protocol.washout :]


def linear_capacity(seen: np.ndarray, tokens: np.ndarray, lags: int) -> tuple[Any, Any]:
    """The linear memory function of each lag from 1, and its null: float64 `[M]` each.

    Squared correlation, on the second stream, of the input n steps before with a ridge readout of
    the state that was fitted to the first (Jaeger 2001). The sum over all lags is at most the
    number of state dimensions. The null is the same for the inputs of half a stream away, of which
    the state knows nothing: what is found where there is nothing to find.

    Args:
      seen: states, `[2, T, D]`.
      tokens: the inputs, `[2, T]`; their numbers count as they are.
      lags: M.
    """
    inputs = np.asarray(tokens, np.float64)
    targets = np.stack([inputs[:, lags - n : inputs.shape[1] - n] for n in range(1, lags + 1)], -1)
    targets = np.concatenate([targets, np.roll(targets, targets.shape[1] // 2, axis=1)], axis=2)
    fit, tried = _standardised(np.asarray(seen, np.float64)[:, lags:])
    ridge = fit.T @ fit + RIDGE * len(fit) * np.eye(fit.shape[1])
    wanted = targets[0] - targets[0].mean(axis=0)
    answers = tried @ np.linalg.solve(ridge, fit.T @ wanted)
    found = _squared_correlation(answers, targets[1])
    return found[:lags], found[lags:]


def _standardised(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both streams by mean and deviation of the first; a number that is constant there is zero."""
    centre, deviation = seen[0].mean(axis=0), seen[0].std(axis=0)
    varies = deviation > 1e-5 * np.abs(seen[0]).max(axis=0)
    scale = np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0)
    first, second = (seen - centre) * scale
    return first, second


def _squared_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of each column, 0 where one of them is constant."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    product = (x**2).sum(axis=0) * (y**2).sum(axis=0)
    return (x * y).sum(axis=0) ** 2 / np.where(product > 0, product, 1.0)
