"""Read values from states by Fisher's linear discriminant, fitted in closed form. Pure.

A discriminant measures what can be read out linearly. If it finds a value, the network need not use
this value. If it does not find a value, a nonlinear readout may still do so: `a xor b` in a state
that holds `a` and `b` side by side. Score it on states to which it was not fitted, and compare its
accuracy with the share of the most common value.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

SHRINKAGE = 1e-3
"""The weight of the identity matrix in the shrunk within-class covariance.

The diagonal of the identity is the total variance of standardised units. The weight is large enough
for float32 to invert the covariance if there are constant units, copied units or more units than
states. It is small enough to find a value that is encoded at a hundredth of the units' deviation.
"""

CONSTANT = 1e-5
"""A unit whose deviation is below this share of its largest magnitude counts as constant and gets
weight 0: float32 resolves 6e-8 of the magnitude, too coarse for such a deviation."""


class Discriminant(NamedTuple):
    """A linear readout from F units to C classes, with the scores `states @ weights + bias`."""

    weights: chex.Array  # float32 `[F, C]`, 0 for a constant unit
    bias: chex.Array  # float32 `[C]`, -inf for a class that was absent from the fit


def fit(states: chex.Array, labels: chex.Array, classes: int) -> Discriminant:
    """Return Fisher's linear discriminant of `states` (Hastie et al. 2009, section 4.3).

    This is the Bayes rule for Gaussian classes with means m_c and one covariance S; x is
    standardised:

        score_c = x^T S^-1 m_c - 1/2 m_c^T S^-1 m_c + log prior_c

    S is the within-class covariance, shrunk: (1 - SHRINKAGE) S + SHRINKAGE I. `states` are float32
    `[N, F]`, and their `labels` int `[N]` in 0 .. `classes` - 1.
    """
    chex.assert_rank([states, labels], [2, 1])
    chex.assert_equal_shape_prefix([states, labels], 1)
    centre = jnp.mean(states, axis=0)
    deviation = jnp.std(states, axis=0)
    varies = deviation > CONSTANT * jnp.max(jnp.abs(states), axis=0)
    scale = jnp.where(varies, 1 / jnp.where(varies, deviation, 1.0), 0.0)
    x = (states - centre) * scale

    members = jax.nn.one_hot(labels, classes, dtype=x.dtype)
    counts = jnp.sum(members, axis=0)
    means = _product(members.T, x) / jnp.maximum(counts, 1.0)[:, None]  # 0 where a class is absent
    within = x - means[labels]
    # Each class takes a degree of freedom, as its mean was estimated.
    freedom = jnp.maximum(len(x) - jnp.sum(counts > 0), 1)
    covariance = _product(within.T, within) / freedom
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * jnp.eye(len(covariance))

    weights = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(covariance), means.T)
    log_prior = jnp.log(counts / len(labels))  # -inf where a class is absent
    bias = log_prior - jnp.sum(means.T * weights, axis=0) / 2
    # For states as they are given, and not standardised.
    weights = weights * scale[:, None]
    return Discriminant(weights, bias - _product(centre, weights))


def accuracy(fitted: Discriminant, states: chex.Array, labels: chex.Array) -> chex.Array:
    """Return the share of `states` `[N, F]` whose label, in `labels` `[N]`, scores highest."""
    chex.assert_equal_shape_prefix([states, labels], 1)
    found = jnp.argmax(_product(states, fitted.weights) + fitted.bias, axis=-1)
    return jnp.mean((found == labels).astype(jnp.float32))


def _product(a: chex.Array, b: chex.Array) -> chex.Array:
    """Return the matrix product of `a` and `b` in full float32, whatever the device's default."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
