"""Recalibration of the heads: one factor a lag, and a share of errors."""

import chex
import jax
import jax.numpy as jnp

from echo_jax.core.loss import cross_entropy


def fitted_factors(logits: chex.Array, targets: chex.Array) -> chex.Array:
    """The factor b of each lag, `[N]`, fitted on calibration logits `[E, N, V]` and targets.

    The factor, 0 to 100, minimises the mean cross-entropy of softmax(b z) (temperature scaling, Guo
    et al. 2017). That is convex in b, so its slope, E[sum_v p_v z_v - z_target], is brought to zero
    by bisection.
    """

    def slope(factor: chex.Array) -> chex.Array:
        """The derivative of the mean loss by the factor of each lag's logits."""
        p = jax.nn.softmax(factor[:, None] * logits)
        right = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
        return jnp.mean(jnp.sum(p * logits, axis=-1) - right, axis=0)

    def halve(_: int, ends: tuple[chex.Array, chex.Array]) -> tuple[chex.Array, chex.Array]:
        """A step of the bisection for the factor of slope zero."""
        low, high = ends
        middle = (low + high) / 2
        above = slope(middle) > 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    lags = logits.shape[1]
    low, high = jax.lax.fori_loop(0, 30, halve, (jnp.zeros(lags), jnp.full(lags, 100.0)))
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
