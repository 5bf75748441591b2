"""Heads that are fitted to one part, chosen on a second one and scored on a third."""

import numpy as np
import pytest

from echo_jax.probing.heads import Examples, _objective, nats_of

NO_SHARES = np.zeros((1, 1, 2), np.float32)


def examples(random, count, noise, width):
    """Tokens 0 and 1 as one-hot vectors, three long, among numbers that tell nothing."""
    tokens = random.integers(2, size=count)
    states = noise * random.normal(size=(count, width)).astype(np.float32)
    states[:, :2] += 3 * np.eye(2)[tokens]
    return Examples(states, np.int32(tokens[:, None]), np.zeros(count, np.int32))


def test_the_penalty_is_the_one_that_loses_least_on_other_examples_than_those_fitted():
    """Of 100 examples 40 numbers separate all; the weakest penalty loses 0.24 nats on others."""
    random = np.random.default_rng(0)
    fitted, chosen, scored = (examples(random, n, 1, 40) for n in (100, 1000, 1000))
    assert nats_of(fitted, chosen, scored, NO_SHARES).mean() < 0.19


def test_all_weights_are_penalised_but_the_bias():
    some = examples(np.random.default_rng(0), 5, 1, 3)
    weights = np.float32([[[1, 2]], [[0, 0]], [[-1, 0]], [[7, 8]]])  # of 3 numbers, then the bias
    free, penalised = (_objective(weights, some, NO_SHARES, x)[0] for x in (0.0, 10.0))
    assert penalised - free == pytest.approx(10 / 2 * (1 + 4 + 1), rel=1e-5)


def test_a_head_that_was_always_right_doubts_one_answer_in_those_it_was_chosen_on():
    random = np.random.default_rng(0)
    fitted, chosen, scored = (examples(random, n, 0, 2) for n in (50, 40, 30))
    scored.targets[0] = 1 - scored.targets[0]
    nats = nats_of(fitted, chosen, scored, NO_SHARES)[:, 0]
    assert nats[0] == pytest.approx(np.log(40 * 2))  # a share of 1 in 40 goes to both tokens alike
    np.testing.assert_allclose(nats[1:], -np.log(1 - 1 / 80), rtol=1e-4)
