"""States made so that what a linear readout can find in them is known."""

import math

import jax
import numpy as np
import pytest

from echo_jax.echo.studies import linear_discriminant

V, UNITS, STATES = 8, 24, 4096
fit = jax.jit(linear_discriminant.fit, static_argnums=2)
accuracy = jax.jit(linear_discriminant.accuracy)


def pairs(rng):
    """Two independent values, every pair of them equally often, and noise of 1e-3."""
    a, b = rng.permutation(np.arange(STATES) % V**2) // [[V], [1]] % V
    return a, b, 1e-3 * rng.normal(size=(STATES, UNITS))


def fitted_and_fresh(states_of, target_of, seed=0):
    """The accuracy on fresh states of a probe fitted to as many others."""
    rng = np.random.default_rng(seed)
    drawn = [pairs(rng) for _ in range(2)]
    states = [np.float32(states_of(a, b, noise)) for a, b, noise in drawn]
    labels = [np.asarray(target_of(a, b)) for a, b, _ in drawn]
    return float(accuracy(fit(states[0], labels[0], V), states[1], labels[1]))


def side_by_side():
    """States that are the sum of a random linear embedding of each value."""
    of_a, of_b = np.random.default_rng(9).normal(size=(2, V, UNITS))
    return lambda a, b, noise: of_a[a] + of_b[b] + noise


HOSTILE = {
    "as they are": lambda x: x,
    "constant units": lambda x: np.hstack([x, np.tile([0.0, 0.3, -1.0], (len(x), 1))]),
    "copies": lambda x: np.tile(x, 5),
    "nearly constant": lambda x: 1 + 1e-4 * x,
    "huge": lambda x: 1e9 * x,
}
"""States changed so that their covariance is singular, or nearly."""


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_probe_finds_a_value_where_the_covariance_cannot_be_inverted(kind):
    embed = side_by_side()
    assert fitted_and_fresh(lambda *drawn: HOSTILE[kind](embed(*drawn)), lambda a, b: a) > 0.999


def test_a_probe_does_not_find_what_is_there_but_not_linearly():
    """Both values are there, so their exclusive or is too; but its classes have all one mean."""
    embed, exclusive_or = side_by_side(), np.bitwise_xor
    found = fitted_and_fresh(embed, exclusive_or)
    assert abs(found - 1 / V) < 4 * math.sqrt((1 - 1 / V) / V / STATES)
    linearly = fitted_and_fresh(lambda a, b, noise: embed(a ^ b, b, noise), exclusive_or)
    assert linearly > 0.999


@pytest.mark.parametrize("distance", [0.5, 3.0])
def test_a_probe_of_two_gaussian_classes_reaches_the_rate_of_bayes(distance):
    """Phi(d / 2) for classes d apart, in units of their noise along the way (Mahalanobis)."""
    rng, states = np.random.default_rng(1), 20_000
    mixing = np.array([[3.0, 0.0, 0.0], [2.9, 0.3, 0.0], [-1.0, 0.5, 0.7]])  # far from round
    label = rng.integers(2, size=(2, states))
    noise = rng.normal(size=(2, states, 3))
    x = np.float32((noise + label[..., None] * [0.0, distance, 0.0]) @ mixing.T + 5.0)
    found = accuracy(fit(x[0], label[0], 2), x[1], label[1])
    rate = (1 + math.erf(distance / 2 / math.sqrt(2))) / 2
    assert abs(found - rate) < 4 * math.sqrt(rate * (1 - rate) / states)


def test_the_covariance_is_pooled_with_a_degree_of_freedom_less_for_each_class():
    """Means 1 and 6, squares within 4, so S = 4 / (4 - 2): w = 5 / S, b = -(36 - 1) / (2 S)."""
    probe = fit(np.float32([[0], [2], [5], [7]]), np.array([0, 0, 1, 1]), 2)
    found = np.diff(probe.weights[0])[0], np.diff(probe.bias)[0]
    assert found == pytest.approx((2.5, -8.75), rel=0.01)
