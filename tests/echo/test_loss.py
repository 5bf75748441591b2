import itertools
import math

import jax
import numpy as np
import pytest

from echo_jax.echo import loss

cross_entropy = jax.jit(loss.cross_entropy)
mean_where = jax.jit(loss.mean_where)
token_loss = jax.jit(loss.token_loss, static_argnums=2)
correct = jax.jit(loss.correct)


def test_cross_entropy_is_minus_the_log_of_the_softmax():
    logits = np.log(np.float32([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])) + 3.0
    value = cross_entropy(logits, np.array([1, 2]))
    np.testing.assert_allclose(value, [math.log(4), -math.log(0.7)], rtol=1e-6)


def test_a_mean_counts_only_what_is_scored():
    values = np.array([1.0, 5.0, 9.0])
    assert mean_where(values, None) == 5
    assert mean_where(values, np.array([True, True, False])) == 3
    assert mean_where(values, np.zeros(3, bool)) == 0


def test_the_loss_of_values_is_the_squared_error_of_what_was_read_and_of_classes_the_entropy():
    read, targets = np.array([[0.3], [1.5]]), np.array([2, 0])
    logits = np.float32(-((read - np.array([0, 0.5, 1])) ** 2))
    np.testing.assert_allclose(token_loss(logits, targets, "values"), [0.7**2, 1.5**2], rtol=1e-6)
    of_classes = token_loss(logits, targets, "classes")
    np.testing.assert_array_equal(of_classes, cross_entropy(logits, targets))


@pytest.mark.parametrize("values", [[0.0, 1.0], [-np.inf, -0.0, 0.0, np.inf], [0.0, 1.0, np.nan]])
def test_an_answer_is_correct_where_argmax_names_it_and_no_logit_is_nan(values):
    """All rows of 4 logits of few values, so with ties at every place, beside all 4 targets."""
    logits = np.array(list(itertools.product(values, repeat=4)), np.float32)
    targets = np.arange(4)[:, None].repeat(len(logits), axis=1)
    plain = (logits.argmax(-1) == targets) & ~np.isnan(logits).any(-1)
    found = correct(np.stack([logits] * 4), targets)
    np.testing.assert_array_equal(found, plain)
