"""Recalled bits: what one state tells about each of the last M tokens.

One network with a linear head for each lag 1 .. M, all reading the same flattened carry, is
trained; on fresh sequences the heads are recalibrated, and their cross-entropy is counted in bits.
"""

import math

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.scan import Carry, scan_over_time
from echo_jax.core import network
from echo_jax.core.data import Purpose, purpose_key, uniform_tokens
from echo_jax.core.loss import cross_entropy
from echo_jax.core.network import Network, Params
from echo_jax.core.training import TrainState
from echo_jax.memory_benchmark.protocol import PART
from echo_jax.memory_benchmark.tasks import lagged
from echo_jax.memory_benchmark.training import Block, Run, Training


class CapacityTraining(Training):
    """Training of a cell on all lags 1 .. M at once, with a linear head for each."""

    def __init__(self, by_lag: Training, lags: int) -> None:
        """For the cell, the V and the protocol of another training; D is the `state_size`."""
        super().__init__(by_lag.cell, by_lag.ladder, by_lag.protocol)
        self.name, self.lags, classes = f"bits of {by_lag.name}", lags, by_lag.ladder.vocab_size
        flat = jax.eval_shape(lambda: flatten(self.network.first_state(), 1))
        self.state_size = int(flat.shape[-1])
        lecun = nn.initializers.lecun_normal()  # undefined for a state without numbers
        kernel_init = lecun if self.state_size else nn.initializers.zeros
        self.heads = nn.Dense(lags * classes, kernel_init=kernel_init)

    def length(self, _: int) -> int:
        """L, of all runs."""
        return self.lags + self.protocol.capacity_more

    def init(self, run: Run) -> TrainState:
        """The state of cell and heads before the first update."""
        key = purpose_key(run.seed, Purpose.WEIGHTS)
        cell = network.init_params(self.network, key)["cell"]
        heads = self.heads.init(jax.random.fold_in(key, 1), jnp.zeros((1, self.state_size)))
        return self.start({"cell": cell, "heads": heads["params"]})

    def train_block(self, length: int, run: Run, state: TrainState) -> Block:
        """Updates on the mean cross-entropy of all heads, at every `capacity_every`th step."""
        shape, classes = (self.protocol.batch_size, length), self.ladder.vocab_size
        asked = slice(self.lags, None, self.protocol.capacity_every)

        def loss_of(params: Params, tokens: chex.Array) -> chex.Array:
            logits = self.logits_of(params, states(self.network, params, tokens)[asked])
            return jnp.mean(cross_entropy(logits, self.targets(tokens)[asked]))

        key = jax.random.fold_in(purpose_key(run.seed, Purpose.DATA), 2**31 - 1)
        state, losses = self.make_updates(
            loss_of, lambda key: uniform_tokens(key, shape, classes), key, run, state
        )
        return Block(state, {"loss": losses[-1]}, jnp.isfinite(losses[-1]))

    def targets(self, tokens: chex.Array) -> chex.Array:
        """The tokens 1 .. M steps before each of `[B, L]`: int32 `[L, B, M]`, valid from step M."""
        lags = 1 + jnp.arange(self.lags)
        return jax.vmap(lambda lag: lagged(tokens, lag)[0], out_axes=-1)(lags).swapaxes(0, 1)

    def logits_of(self, params: Params, seen: chex.Array) -> chex.Array:
        """The logits of every head: states `[..., D]` to `[..., M, V]`."""
        read = jnp.asarray(self.heads.apply({"params": params["heads"]}, seen))
        sizes = self.lags, self.ladder.vocab_size
        return read.reshape(*seen.shape[:-1], *sizes)

    def recalled_bits(self, run: Run, params: Params) -> dict[str, chex.Array]:
        """log2 V less the cross-entropy in bits of each lag from 1, float32 `[M]`.

            exact    from the last state of fresh sequences
            float16  from that state rounded to half precision
            noise    from that state with noise added

        The heads are recalibrated on other sequences, seen in the same way. Nothing is clipped: a
        head that knows nothing has about 0 bits, on either side. The tokens are independent, so the
        sum over the lags is a lower bound of what the state holds.
        """
        key = jax.random.fold_in(purpose_key(run.seed, Purpose.EVALUATION), 2**31 - 1)
        fit, fit_targets = self.last_states(params, jax.random.fold_in(key, 0))
        seen, targets = self.last_states(params, jax.random.fold_in(key, 1))
        deviation = jnp.std(fit, axis=0)

        def noisy(states: chex.Array, counter: int) -> chex.Array:
            drawn = jax.random.normal(jax.random.fold_in(key, counter), states.shape)
            return states + self.protocol.noise * deviation * drawn

        def bits(fit: chex.Array, seen: chex.Array) -> chex.Array:
            fit, seen = (self.logits_of(params, states) for states in (fit, seen))
            return recalibrated_bits(fit, fit_targets, seen, targets)

        return {
            "exact": bits(fit, seen),
            "float16": bits(half_precision(fit), half_precision(seen)),
            "noise": bits(noisy(fit, 2), noisy(seen, 3)),
        }

    def last_states(self, params: Params, key: chex.PRNGKey) -> tuple[chex.Array, chex.Array]:
        """The last states of N fresh sequences `[N, D]`, and the tokens 1 .. M back `[N, M]`.

        By the steps of the cell alone, whatever form over time it has.
        """
        shape = (PART, self.length(0))

        def part(counter: chex.Array) -> tuple[chex.Array, chex.Array]:
            """The last states of PART sequences, and the tokens at each lag."""
            drawn = jax.random.fold_in(key, counter)
            tokens = uniform_tokens(drawn, shape, self.ladder.vocab_size)
            first = self.network.initial_state(params, PART)
            carry, _ = network.unroll(self.by_steps, params, first, tokens, None)
            return flatten(carry, PART), tokens[:, -2 : -2 - self.lags : -1]

        found = jax.lax.map(part, jnp.arange(self.protocol.capacity_sequences // PART))
        return jax.tree.map(lambda x: x.reshape(x.shape[0] * PART, x.shape[-1]), found)


def recalibrated_bits(
    fit: chex.Array, fit_targets: chex.Array, logits: chex.Array, targets: chex.Array
) -> chex.Array:
    """Bits of heads about their targets, `[M]`: of logits `[N', M, V]`, after fitting a factor.

    The factor b >= 0 of each head minimises the mean cross-entropy of b z on the logits `fit`,
    `[N, M, V]` (temperature scaling, Guo et al. 2017). That is convex in b, so its slope,
    E[sum_v p_v z_v - z_target], is brought to zero by bisection between 0 and 100. The scored
    probabilities are (1 - e) softmax(b z) + e / V with e = 1 / N: no error in N sequences does not
    show that the next one is right.
    """

    def slope(factor: chex.Array) -> chex.Array:
        """The derivative of the mean loss by the factor of each lag's logits."""
        p = jax.nn.softmax(factor[:, None] * fit)
        right = jnp.take_along_axis(fit, fit_targets[..., None], axis=-1)[..., 0]
        return jnp.mean(jnp.sum(p * fit, axis=-1) - right, axis=0)

    def halve(_: int, ends: tuple[chex.Array, chex.Array]) -> tuple[chex.Array, chex.Array]:
        """A step of the bisection for the factor of slope zero."""
        low, high = ends
        middle = (low + high) / 2
        above = slope(middle) > 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    lags = fit.shape[1]
    low, high = jax.lax.fori_loop(0, 30, halve, (jnp.zeros(lags), jnp.full(lags, 100.0)))
    doubt, classes = 1 / len(fit), fit.shape[-1]
    right = jnp.exp(-cross_entropy((low + high)[:, None] / 2 * logits, targets))
    known = jnp.log((1 - doubt) * right + doubt / classes)
    return (jnp.log(classes) + jnp.mean(known, axis=0)) / jnp.log(2)


def states(net: Network, params: Params, tokens: chex.Array) -> chex.Array:
    """The flattened carry after each step from zero: tokens `[B, L]` to float32 `[L, B, D]`."""
    prepared, first = net.cell.prepare(params["cell"]), net.initial_state(params, len(tokens))

    def step(carry: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        carry, _ = net.cell.step(prepared, carry, x)
        return carry, flatten(carry, len(tokens))

    return scan_over_time(step, first, jax.nn.one_hot(tokens.T, net.tokens), None)[1]


def flatten(carry: Carry, batch: int) -> chex.Array:
    """All numbers of a carry of B rows side by side, float32 `[B, D]`; a complex number is two."""
    rows = [jnp.reshape(x, (batch, math.prod(x.shape[1:]))) for x in jax.tree.leaves(carry)]
    reals = [part for x in rows for part in ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,))]
    nothing = jnp.zeros((batch, 0))  # the carry of a cell without a state
    return jnp.concatenate([nothing, *(x.astype(jnp.float32) for x in reals)], axis=-1)


def half_precision(states: chex.Array) -> chex.Array:
    """Numbers rounded to float16; those beyond its range, 65,504, become its ends."""
    largest = jnp.finfo(jnp.float16).max.astype(jnp.float32)
    return jnp.clip(states, -largest, largest).astype(jnp.float16).astype(jnp.float32)
