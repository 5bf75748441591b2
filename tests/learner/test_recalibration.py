import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special

from echo_jax.learner.recalibration import fitted_factors

VALUES = 5


def plain_nats(factor, logits, targets):
    log_p = special.log_softmax(factor * logits.astype(np.float64), axis=-1)
    return -log_p[np.arange(len(targets)), targets].mean()


def test_factors_are_those_of_a_minimisation_by_scipy():
    """Of heads that are half as sure as they should be, too sure, and wrong."""
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(400, 3, VALUES))
    p = np.exp(2 * logits) / np.exp(2 * logits).sum(-1, keepdims=True)
    targets = (p.cumsum(-1) < rng.random((400, 3, 1))).sum(-1)
    logits = np.float32(logits * [[1], [8], [-1]])
    factors = np.asarray(fitted_factors(jnp.asarray(logits), jnp.asarray(targets), 100.0, 30))
    for head in range(2):
        of_head = logits[:, head], targets[:, head]
        by_scipy = optimize.minimize_scalar(plain_nats, bounds=(0, 100), args=of_head).x
        assert factors[head] == pytest.approx(by_scipy, rel=1e-3)
    assert factors[0] == pytest.approx(2, rel=0.1)
    assert factors[0] / factors[1] == pytest.approx(8, rel=0.3)
    assert factors[2] < 1e-6  # not below 0
