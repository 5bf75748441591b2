"""What the tutorial claims, with 8 seeds each: the parts that learn, and the one that cannot."""

import functools
import math

import jax
import numpy as np
import pytest
from whole_runs import train_and_evaluate

from echo_jax.config import PARTS, changed
from echo_jax.echo import many_seeds
from echo_jax.statistics import sequences_until

pytestmark = pytest.mark.slow
SEEDS = 8


train = jax.jit(train_and_evaluate, static_argnums=0)


@functools.cache
def learn(config):
    """Held-out accuracy and loss of each seed, `[S]`, and its sequences to 99%."""
    runs = [changed(config, seed=seed) for seed in range(SEEDS)]
    results = train(config.static_config, many_seeds.stack_dynamic(runs))
    _, metrics, scored = jax.device_get(results)
    reached = [sequences_until(curve) for curve in metrics.accuracy.mean(axis=2)]
    return scored.accuracy, scored.loss, reached


STATELESS = changed(PARTS["context"], stateful=False)
LEARNED = {
    "part 2": (PARTS["current"], 1.0),
    "part 3 with its target in the window": (changed(PARTS["no-context"], lag=0), 0.99),
    "part 4": (PARTS["context"], 0.99),
    "part 4 from a zero state": (STATELESS, 1.0),
}
"""Runs, and the accuracy that each seed has at least; the second is the control of part 3."""


@pytest.mark.parametrize("name", LEARNED)
def test_it_is_learned_in_every_seed(name):
    config, least = LEARNED[name]
    accuracy, _, reached = learn(config)
    assert np.all(accuracy >= least)
    assert None not in reached


def test_part_3_stays_at_chance_in_every_seed():
    """The target is independent of what is seen, so right answers are a binomial count."""
    config = PARTS["no-context"]
    accuracy, loss, reached = learn(config)
    trials = config.evaluation_sequences * len(config.task.row_times)
    deviation = math.sqrt(0.01 * 0.99 / trials)
    assert np.all(np.abs(accuracy - 0.01) < 4 * deviation)
    assert abs(np.mean(accuracy) - 0.01) < 4 * deviation / math.sqrt(SEEDS)
    assert np.all(loss > math.log(100) - 0.001)
    assert reached == [None] * SEEDS


def test_part_3_with_batch_1_has_the_target_in_its_state_but_is_not_taught_to_keep_it():
    accuracy, _, reached = learn(changed(PARTS["no-context"], batch_size=1))
    assert np.all((accuracy > 0.04) & (accuracy < 0.12))
    assert reached == [None] * SEEDS


def test_part_4_is_learned_sooner_without_a_carried_state():
    assert max(learn(STATELESS)[2]) < min(learn(PARTS["context"])[2])
