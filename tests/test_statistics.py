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


@pytest.mark.parametrize(
    ("accuracy", "sequences"),
    [
        ([0.0] * 30 + [1.0] * 50, 50),  # with those of the mean
        ([1.0] * 25, 20),
        ([0.95] * 4 + [1.0] * 16, 20),  # a mean of exactly the threshold, in float32
        ([0.98] * 100, None),
        ([1.0] * 19, None),
    ],
)
def test_sequences_until_a_running_mean_of_20_reaches_99_percent(accuracy, sequences):
    assert statistics.sequences_until(np.array(accuracy, np.float32)) == sequences


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


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(8, 8, 0.6756, 1.0), (0, 8, 0.0, 0.3244), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_interval_has_its_published_bounds(successes, trials, low, high):
    """The last row is the example of Newcombe (1998), table I, method 3."""
    interval = statistics.wilson_interval(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)
    assert interval.coverage == pytest.approx(0.95, abs=1e-4)


@pytest.mark.parametrize(
    ("values", "summary"),
    [
        ([300, None, 400], (400, (300, math.inf, 0.75))),  # what never came counts as infinity
        ([300, None, None], (math.inf, (300, math.inf, 0.75))),
        ([2.0, 1.0, 4.0, 3.0], (2.5, (1, 4, 0.875))),
        ([7.0], (7, None)),
        ([None], (math.inf, None)),
    ],
)
def test_a_summary_is_a_median_and_its_interval(values, summary):
    assert statistics.summary_of(values)[:2] == summary


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1.0] * 8, 2 / 256),
        ([-0.1] * 8, 2 / 256),  # sums of 0.1 are rounded, and count as ties all the same
        ([3.0, 1.0, -1.0], 6 / 8),
        ([1.0, 2.0, 4.0], 2 / 8),
        ([1.0, 2.0, 4.0, -8.0], 16 / 16),  # the sum, -1, is the smallest there is
        ([0.1, 0.2, -0.3], 1.0),  # 0 but for rounding
        ([0.0, 0.0, 5.0], 1.0),  # one pair that differs says nothing
        ([0.0] * 8, 1.0),
    ],
)
def test_the_sign_flip_test_counts_the_assignments_of_signs(differences, p):
    assert statistics.sign_flip_test(differences) == p


def test_random_signs_give_nearly_what_all_of_them_give_and_never_zero():
    differences = np.random.default_rng(2).normal(0.4, size=17)
    signs = 1 - 2 * (np.arange(2**17)[:, None] >> np.arange(17) & 1)
    p = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9)
    found = statistics.sign_flip_test(differences)
    assert 0.01 < p < 0.5
    assert 0 < abs(found - p) < 8 * math.sqrt(p * (1 - p) / 100_000)  # one side, doubled
    assert statistics.sign_flip_test(differences) == found
    assert statistics.sign_flip_test(np.full(40, 1.0)) == pytest.approx(2 / 100_001)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # times 3, 1, 2, 4; 0.04 as 0.06
        ([0.5, 0.4], [0.8, 0.8]),
        ([], []),
    ],
)
def test_holms_p_values_step_down_and_keep_their_order(p_values, adjusted):
    assert statistics.holm(p_values) == pytest.approx(adjusted, abs=1e-15)


def test_a_comparison_is_of_the_differences_and_not_of_the_medians():
    first = [0.0, 10.0, 20.0, 30.0, 40.0]
    second = [1.0, 12.0, 19.0, 30.0, 45.0]  # 1, 2, -1, 0, 5
    # of the signs of 1, 2, 1, 5 (and 0): as far as 7 are 5 and 2, 2 or 4 of the others: 3 in 8
    found = statistics.paired_comparison(first, second)
    assert found == (1.0, (-1.0, 5.0, 15 / 16), 12 / 32, 3.5 / 5)
    back = statistics.paired_comparison(second, first)
    assert back == (-1.0, (-5.0, 1.0, 15 / 16), 12 / 32, 1.5 / 5)
