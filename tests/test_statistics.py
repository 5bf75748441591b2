import math

import numpy as np
import pytest

from echo_jax import statistics


@pytest.mark.parametrize(
    ("loss", "values", "bits"),
    [(0.0, 8, 3.0), (math.log(8), 8, 0.0), (math.log(2), 8, 2.0), (math.log(16), 8, -1.0)],
)
def test_recalled_bits_of_values_drawn_uniformly(loss, values, bits):
    assert statistics.recalled_bits(loss, math.log(values)) == pytest.approx(bits, abs=1e-12)


def test_the_count_of_sequences_includes_those_of_the_mean():
    accuracy = np.concatenate([np.zeros(30), np.ones(50)])
    assert statistics.sequences_until(accuracy, threshold=1.0, width=20) == 50
    assert statistics.sequences_until(np.ones(25), width=20) == 20


def test_a_mean_of_exactly_the_threshold_counts():
    accuracy = np.array([0.95, 0.95, 0.95, 0.95] + [1.0] * 16, np.float32)
    assert statistics.sequences_until(accuracy) == 20


def test_learning_that_never_arrives_gives_none():
    assert statistics.sequences_until(np.full(100, 0.98)) is None
    assert statistics.sequences_until(np.ones(19)) is None


@pytest.mark.parametrize(
    ("seeds", "rank", "coverage"),
    [
        (2, 1, 1 / 2),
        (5, 1, 15 / 16),
        (8, 2, 1 - 18 / 256),
        (16, 5, 1 - 2 * (1 + 16 + 120 + 560 + 1820) / 2**16),
        (2000, 957, 0.948),
    ],
)
def test_the_interval_of_a_median_is_that_of_the_ranks(seeds, rank, coverage):
    values = np.random.default_rng(0).permutation(np.arange(1.0, seeds + 1))
    interval = statistics.median_interval(values)
    assert (interval.low, interval.high) == (rank, seeds + 1 - rank)
    assert interval.coverage == pytest.approx(coverage, abs=5e-3 if seeds > 100 else 1e-12)


@pytest.mark.parametrize("seeds", [4, 8, 16])
def test_the_interval_of_a_median_covers_as_often_as_it_says(seeds):
    draws = np.random.default_rng(1).exponential(size=(4000, seeds))
    intervals = [statistics.median_interval(draw) for draw in draws]
    covered = np.mean([i.low <= math.log(2) <= i.high for i in intervals])
    coverage = intervals[0].coverage
    assert abs(covered - coverage) < 4 * math.sqrt(coverage * (1 - coverage) / 4000)


def test_seeds_that_never_learn_stand_above_all_others():
    interval = statistics.median_interval(np.array([500.0, 600.0, np.inf, 700.0, np.inf]))
    assert (interval.low, interval.high) == (500, np.inf)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(8, 8, 0.6756, 1.0), (0, 8, 0.0, 0.3244), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_interval_has_its_published_bounds(successes, trials, low, high):
    """The last row is the example of Newcombe (1998), table I, method 3."""
    interval = statistics.wilson_interval(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)
    assert interval.coverage == pytest.approx(0.95, abs=1e-4)
