import math

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax import metrics


def test_cross_entropy_is_minus_the_log_of_the_softmax():
    logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])) + 3.0
    loss = metrics.cross_entropy(logits, jnp.array([1, 2]))
    np.testing.assert_allclose(loss, [math.log(4), -math.log(0.7)], rtol=1e-6)


def test_cross_entropy_stays_finite_for_large_logits():
    chex.assert_trees_all_close(
        metrics.cross_entropy(jnp.array([[1000.0, 0.0]]), jnp.array([1])), jnp.array([1000.0])
    )


def test_correct_is_where_the_largest_logit_is_the_target():
    logits = jnp.array([[0.0, 2.0, 1.0], [5.0, 2.0, 1.0]])
    assert metrics.correct(logits, jnp.array([1, 2])).tolist() == [True, False]


def test_a_mean_counts_only_what_is_scored():
    values = jnp.array([1.0, 5.0, 9.0])
    assert metrics.mean_where(values, None) == 5
    assert metrics.mean_where(values, jnp.array([True, True, False])) == 3
    assert metrics.mean_where(values, jnp.zeros(3, bool)) == 0


@pytest.mark.parametrize(
    ("loss", "vocab_size", "bits"),
    [(0.0, 8, 3.0), (math.log(8), 8, 0.0), (math.log(2), 8, 2.0), (math.log(16), 8, -1.0)],
)
def test_recalled_bits(loss, vocab_size, bits):
    assert metrics.recalled_bits(loss, vocab_size) == pytest.approx(bits, abs=1e-12)


def test_the_count_of_sequences_includes_those_of_the_mean():
    accuracy = np.concatenate([np.zeros(30), np.ones(50)])
    assert metrics.sequences_until(accuracy, threshold=1.0, width=20) == 50
    assert metrics.sequences_until(np.ones(25), width=20) == 20


def test_a_mean_of_exactly_the_threshold_counts():
    accuracy = np.array([0.95, 0.95, 0.95, 0.95] + [1.0] * 16, np.float32)
    assert metrics.sequences_until(accuracy) == 20


def test_learning_that_never_arrives_gives_none():
    assert metrics.sequences_until(np.full(100, 0.98)) is None
    assert metrics.sequences_until(np.ones(19)) is None
