"""When a rung is passed, how far a seed climbs, and the mean span, on made-up accuracies."""

import math

import pytest

from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.spans import Climb, MeanSpan

RUNGS = (1, 2, 4, 8, 16)
PROTOCOL = {
    "ladders": [{"name": "lag-2", "rungs": [*RUNGS], "threshold": 0.99},
                {"name": "key-16", "rungs": [2, 4], "threshold": 0.9}],
    "budget": 600, "evaluate_every": 100, "rates": [0.01, 0.003],
}  # fmt: skip


def run(accuracy, confirmed=None, rung=1, rate=0.01, seed=0, **fields):
    """A run; by default a confirmation finds the same accuracy as the evaluation."""
    if confirmed is None:
        confirmed = [(i, a) for i, a in enumerate(accuracy) if a is not None and a >= 0.99]
    row = {"kind": "run", "ladder": "lag-2", "rung": rung, "rate": rate, "seed": seed}
    return row | {"accuracy": accuracy, "confirmed": confirmed, "failed": False} | fields


@pytest.mark.parametrize(
    ("accuracy", "confirmed", "updates"),
    [
        ([0.5, 0.8, 0.995], [(2, 0.995)], 300),
        ([0.99], [(0, 0.99)], 100),
        ([0.985, 0.992, 0.988, 0.991], [(1, 0.987), (3, 0.9899)], None),
        ([0.999, 0.999], [(0, 0.97), (1, 0.999)], 200),
        ([0.999, 0.999], [], None),  # never confirmed
        ([0.989, 0.5], [(0, 1.0)], None),  # a confirmation alone is none
        ([None, 0.995], [(0, 1.0), (1, 0.99)], 200),
        ([], [], None),
    ],
)
def test_a_rung_is_passed_at_the_first_evaluation_that_is_confirmed(accuracy, confirmed, updates):
    assert spans.passed(run(accuracy, confirmed), PROTOCOL) == updates


def test_each_ladder_has_its_own_threshold():
    row = run([0.92], [(0, 0.91)])
    assert spans.passed(row, PROTOCOL) is None
    assert spans.passed(row | {"ladder": "key-16"}, PROTOCOL) == 100


@pytest.mark.parametrize(
    ("row", "over"),
    [
        (run([0.5, 0.995]), True),
        (run([0.5] * 6), True),
        (run([0.5] * 5), False),
        (run([0.995] * 5, [(i, 0.98) for i in range(5)]), False),
        (run([0.5, None], failed=True), True),
    ],
)
def test_a_run_is_over_by_a_pass_a_failure_or_its_budget(row, over):
    assert bool(spans.is_over(row, PROTOCOL)) is over


def passing(rung, rate=0.01, after=1, seed=0):
    return run([0.5] * (after - 1) + [1.0], rung=rung, rate=rate, seed=seed)


def missing(rung, rates=(0.01, 0.003), seed=0):
    return [run([0.5] * 6, rung=rung, rate=rate, seed=seed) for rate in rates]


FAILED = run([0.5, None], rung=2, failed=True)
CUT = run([0.5, 0.6], rung=2)


@pytest.mark.parametrize(
    ("rows", "skipped", "climb"),
    [
        ([], [], Climb(0, None)),
        (missing(1), [], Climb(0, 1)),
        (missing(1, [0.01]), [], Climb(0, None)),  # a rate is left: undecided
        ([passing(1, after=3), *missing(2)], [], Climb(1, 2, 0.01, 300)),
        ([passing(1), *missing(2, [0.01]), passing(2, 0.003, 2), *missing(4)], [],
         Climb(2, 4, 0.003, 200)),  # any rate passes
        ([passing(1), FAILED, *missing(2, [0.003])], [], Climb(1, 2, 0.01, 100)),
        ([passing(1), CUT, *missing(2, [0.003])], [], Climb(1, None, 0.01, 100)),
        ([passing(1), CUT | {"rate": 0.003}, *missing(2, [0.01])], [],
         Climb(1, None, 0.01, 100)),
        ([passing(1), *missing(2), passing(4), passing(8)], [], Climb(1, 2, 0.01, 100)),
        ([passing(1), passing(4)], [], Climb(1, None, 0.01, 100)),  # 2 was not run
        ([passing(1), passing(4, after=2)], [2], Climb(4, None, 0.01, 200)),
        ([passing(1), passing(8), *missing(16)], [2, 4], Climb(8, 16, 0.01, 100)),
        ([passing(rung) for rung in RUNGS], [], Climb(16, None, 0.01, 100)),  # the ladder ends
        ([], [1, 2], Climb(0, None)),  # skipped rungs alone are no climb
    ],
)  # fmt: skip
def test_a_seed_climbs_its_unbroken_prefix(rows, skipped, climb):
    assert spans.climb(rows, skipped, RUNGS, PROTOCOL) == climb


def test_refined_and_exact_rungs_are_among_those_of_the_ladder():
    raw = [passing(1), passing(2), passing(4), passing(6), *missing(7), *missing(8)]
    raw += [passing(1, seed=5), *missing(2, seed=5)]
    raw += [passing(1) | {"ladder": "key-16"}, {"kind": "skipped", "ladder": "key-16", "rung": 2}]
    assert spans.rungs_of(raw, "lag-2", PROTOCOL) == [1, 2, 4, 6, 7, 8, 16]
    found = spans.climbs(raw, "lag-2", PROTOCOL)
    assert found == {0: Climb(6, 7, 0.01, 100), 5: Climb(1, 2, 0.01, 100)}
    cut = [passing(1), passing(2), passing(4), CUT | {"rung": 6}, *missing(8)]
    assert spans.climbs(cut, "lag-2", PROTOCOL) == {0: Climb(4, 8, 0.01, 100)}
    up_to_40 = [passing(rung) for rung in RUNGS] + [passing(40)]
    assert spans.climbs(up_to_40, "lag-2", PROTOCOL)[0].passed == 40


def close(found, mean, low, high, at_least=False):
    assert found.mean == pytest.approx(mean, rel=1e-3)
    assert found.low == pytest.approx(low, rel=1e-3)
    assert found.high == (None if high is None else pytest.approx(high, rel=1e-3))
    assert found.at_least is at_least


def test_seeds_of_one_gap_have_its_midpoint_and_its_ends_as_the_interval():
    close(spans.mean_span([Climb(16, 20)] * 8, 1), math.sqrt(16 * 20), 16, 20)
    close(spans.mean_span([Climb(16, 20)], 1), math.sqrt(16 * 20), 16, 20)


def test_the_first_rung_missed_counts_as_half_of_it_passed():
    close(spans.mean_span([Climb(0, 1)] * 4, 1), math.sqrt(0.5), 0.5, 1)
    close(spans.mean_span([Climb(0, 8)] * 4, 8), math.sqrt(32), 4, 8)


def test_the_mean_is_that_of_the_logarithms_of_the_midpoints():
    found = spans.mean_span([Climb(16, 20), Climb(16, 20), Climb(20, 25)], 1)
    # logs of 17.889, 17.889, 22.361: mean 2.9586, deviation 0.1288; t(0.975, 2) 4.3027,
    # half-width 4.3027 x 0.1288 / sqrt 3 = 0.3200
    close(found, 19.27, 19.27 * math.exp(-0.3200), 19.27 * math.exp(0.3200))


def test_the_half_width_is_never_below_half_of_the_mean_gap():
    # deviation of log 8 and of log 8 x 2 / 2 is 0: gaps of log 4 and 0 around one midpoint
    found = spans.mean_span([Climb(4, 16), Climb(8, 8)], 1)
    close(found, 8, 8 * math.exp(-math.log(4) / 4), 8 * math.exp(math.log(4) / 4))


def test_a_censored_seed_makes_it_a_lower_bound_without_an_upper_end():
    found = spans.mean_span([Climb(16, 20), Climb(200, None)], 1)
    middles = math.log(16 * 20) / 2, math.log(200)
    mean, half = sum(middles) / 2, 12.7062 * abs(middles[0] - middles[1]) / 2
    close(found, math.exp(mean), math.exp(mean - half), None, at_least=True)
    close(spans.mean_span([Climb(0, None)] * 2, 1), 0.5, 0.5, None, at_least=True)  # cut at once
    close(spans.mean_span([Climb(200, None)] * 8, 1), 200, 200, None, at_least=True)


@pytest.mark.parametrize(
    ("first", "second", "disjoint"),
    [
        ((10, 14), (15, 20), True),
        ((10, 15), (15, 20), True),
        ((10, 15.1), (15, 20), False),
        ((10, 30), (15, 20), False),
        ((10, None), (5, 9), True),
        ((10, None), (5, 12), False),
        ((10, None), (500, None), False),
    ],
)
def test_intervals_are_disjoint_only_where_they_have_no_span_in_common(first, second, disjoint):
    one, other = (MeanSpan(low, low, high, high is None) for low, high in (first, second))
    assert spans.are_disjoint(one, other) is spans.are_disjoint(other, one) is disjoint


def test_half_of_the_seeds_climbed_to_the_last_rung_and_some_missed_the_next():
    found = [Climb(2, 4)] * 4 + [Climb(4, 8)] * 3 + [Climb(8, 16)]
    assert spans.span_of_half(dict(enumerate(found))) == (4, 8)
    assert spans.span_of_half(dict(enumerate(found[:7]))) == (2, 4)
    assert spans.span_of_half({0: Climb(0, 1), 1: Climb(0, 1)}) == (None, 1)
    assert spans.span_of_half({0: Climb(16, None), 1: Climb(16, None)}) == (16, None)
    assert spans.span_of_half({0: Climb(2, 4), 1: Climb(16, None)}) == (16, None)
    # the seed with the smallest of the missed rungs above the last one
    assert spans.span_of_half({0: Climb(2, 4), 1: Climb(2, 3), 2: Climb(8, 16)}) == (2, 3)
