"""When a rung is passed, how far a seed climbs, and the mean span, on made-up accuracies."""

import math

import pytest

from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.spans import Climb

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


def close(found, mean, low, high, at_least=False):
    assert found.mean == pytest.approx(mean, rel=1e-3)
    assert found.low == pytest.approx(low, rel=1e-3)
    assert found.high == (None if high is None else pytest.approx(high, rel=1e-3))
    assert found.at_least is at_least


def test_seeds_of_one_gap_have_its_midpoint_and_its_ends_as_the_interval():
    close(spans.mean_span([Climb(16, 20)] * 8, 1), math.sqrt(16 * 20), 16, 20)
    close(spans.mean_span([Climb(16, 20)], 1), math.sqrt(16 * 20), 16, 20)


def test_the_mean_is_that_of_the_logarithms_of_the_midpoints():
    found = spans.mean_span([Climb(16, 20), Climb(16, 20), Climb(20, 25)], 1)
    # logs of 17.889, 17.889, 22.361: mean 2.9586, deviation 0.1288; t(0.975, 2) 4.3027,
    # half-width 4.3027 x 0.1288 / sqrt 3 = 0.3200
    close(found, 19.27, 19.27 * math.exp(-0.3200), 19.27 * math.exp(0.3200))


def test_a_censored_seed_makes_it_a_lower_bound_without_an_upper_end():
    found = spans.mean_span([Climb(16, 20), Climb(200, None)], 1)
    middles = math.log(16 * 20) / 2, math.log(200)
    mean, half = sum(middles) / 2, 12.7062 * abs(middles[0] - middles[1]) / 2
    close(found, math.exp(mean), math.exp(mean - half), None, at_least=True)
    close(spans.mean_span([Climb(0, None)] * 2, 1), 0.5, 0.5, None, at_least=True)  # cut at once
    close(spans.mean_span([Climb(200, None)] * 8, 1), 200, 200, None, at_least=True)
