import itertools

import jax
import numpy as np
import pytest

from echo_jax.learner import loss

token_loss = jax.jit(loss.token_loss, static_argnums=2)
correct = jax.jit(loss.correct)


def test_the_loss_of_values_is_the_squared_error_of_what_was_read_and_of_classes_the_entropy():
    read, targets = np.array([[0.3], [1.5]]), np.array([2, 0])
    logits = np.float32(-((read - np.array([0, 0.5, 1])) ** 2))
    np.testing.assert_allclose(token_loss(logits, targets, "values"), [0.7**2, 1.5**2], rtol=1e-6)
    of_classes = token_loss(logits, targets, "classes")
    np.testing.assert_array_equal(of_classes, jax.jit(loss.cross_entropy)(logits, targets))


@pytest.mark.parametrize("values", [[0.0, 1.0], [-np.inf, -0.0, 0.0, np.inf], [0.0, 1.0, np.nan]])
def test_an_answer_is_correct_where_argmax_names_it_and_no_logit_is_nan(values):
    """All rows of 4 logits of few values, so with ties at every place, beside all 4 targets."""
    logits = np.array(list(itertools.product(values, repeat=4)), np.float32)
    targets = np.arange(4)[:, None].repeat(len(logits), axis=1)
    plain = (logits.argmax(-1) == targets) & ~np.isnan(logits).any(-1)
    found = correct(np.stack([logits] * 4), targets)
    np.testing.assert_array_equal(found, plain)


def test_a_chunk_without_a_target_has_a_loss_and_a_gradient_of_0():
    values = np.array([[1.0, 4.0, 7.0]], np.float32)
    of_mean = jax.jit(jax.value_and_grad(loss.mean_where))
    for scored, mean, slope in (([0, 1, 1], 5.5, [0, 0.5, 0.5]), ([0, 0, 0], 0, [0, 0, 0])):
        found, gradient = of_mean(values, np.array([scored], bool))
        assert (found, gradient.tolist()) == (mean, [slope])
