"""Recalibrate answers by one factor for each head, fitted on answers that are not scored.

By lag there is a head for each lag, n = 1 .. N; on a task there is one. By key, only `crossing` is
used. All functions are pure.
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from echo_jax.learner.loss import cross_entropy


def fitted_factors(
    logits: chex.Array, targets: chex.Array, largest: float, halvings: int
) -> chex.Array:
    """Return the factor b of each head, `[N]`, from `logits` z `[E, N, V]` and `targets` `[E, N]`.

    The factor, 0 to `largest`, minimises the mean cross-entropy of softmax(b z) (temperature
    scaling, Guo et al. 2017). The loss is convex in b, so bisection brings its slope, E[sum_v p_v
    z_v - z_target], to zero in `halvings` steps. As b is not below 0, the largest b z belongs to
    the largest z, which is subtracted once, before the steps.
    """
    below = logits - jnp.max(logits, axis=-1, keepdims=True)
    right = jnp.take_along_axis(below, targets[..., None], axis=-1)[..., 0]

    def slope(factor: chex.Array) -> chex.Array:
        """Return the slope of each head's mean cross-entropy at its `factor`, `[N]`."""
        # The largest weight is exp(0) = 1: nothing overflows, and the sum is 1 or more.
        weights = jnp.exp(factor[:, None] * below)
        expected = jnp.sum(weights * below, axis=-1) / jnp.sum(weights, axis=-1)
        return jnp.mean(expected - right, axis=0)

    heads = logits.shape[1]
    return crossing(slope, jnp.zeros(heads), jnp.full(heads, largest), halvings)


def crossing(
    rising: Callable[[chex.Array], chex.Array], low: chex.Array, high: chex.Array, halvings: int
) -> chex.Array:
    """Return where the function `rising` crosses zero between the bounds `low` and `high`.

    `low` and `high` are arrays of one shape, which the result has too. `rising` maps such an array
    to another, in which each number rises with its argument. Each range is bisected `halvings`
    times; without a crossing, the result is next to a bound.
    """

    def halve(_: int, ends: tuple[chex.Array, chex.Array]) -> tuple[chex.Array, chex.Array]:
        """Return, for each range between two `ends`, the half in which the sign changes."""
        low, high = ends
        middle = (low + high) / 2
        above = rising(middle) > 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, halvings, halve, (low, high))
    return (low + high) / 2


def recalibrated_nats(
    factors: chex.Array, doubt: chex.Numeric, logits: chex.Array, targets: chex.Array
) -> chex.Array:
    """Return the cross-entropy of each answer after recalibration, `[E, N]`, in nats.

    For the `factors` b `[N]` and the `logits` z `[E, N, V]`, the probability of the `targets`
    `[E, N]` is (1 - doubt) softmax(b z) + doubt / V. The `doubt` is 1 / C for C calibration answers
    of a head: even if all C were right, the next answer may be wrong.
    """
    right = jnp.exp(-cross_entropy(factors[:, None] * logits, targets))
    # The doubt bounds an answer at log(V / doubt) nats, however sure of another one the network is.
    return -jnp.log((1 - doubt) * right + doubt / logits.shape[-1])


def recalibrated_certainty(
    factors: chex.Array, doubt: chex.Numeric, logits: chex.Array
) -> chex.Array:
    """Return the certainty of each recalibrated answer, `[E, N]`: 1 - entropy / log V.

    The probabilities are (1 - doubt) softmax(b z) + doubt / V, with the `factors` b, `[N]`, and the
    `logits` z, `[E, N, V]`, of E examples, N heads and V symbols.
    """
    symbols = logits.shape[-1]
    softmax = jax.nn.softmax(factors[:, None] * logits)
    probabilities = (1 - doubt) * softmax + doubt / symbols
    return 1 + jnp.sum(probabilities * jnp.log(probabilities), axis=-1) / jnp.log(symbols)
