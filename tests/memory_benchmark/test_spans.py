"""When a lag counts as learned and how far a seed got, on made-up accuracies."""

import pytest

from echo_jax.memory_benchmark import spans

PROTOCOL = {
    "ladder": [1, 2, 4, 8, 16], "budget": 600, "evaluate_every": 100, "thresholds": [0.99, 0.6],
}  # fmt: skip


def run(accuracy, confirmed=None, *, failed=False):
    """A run; by default a confirmation finds the same accuracy as the evaluation."""
    if confirmed is None:
        confirmed = [None if a is None or a < 0.6 else a for a in accuracy]
    return {"accuracy": accuracy, "confirmed": confirmed, "failed": failed}


LEARNED = run([0.5, 0.8, 0.995])
MISSED = run([0.5, 0.5, 0.55, 0.52, 0.57, 0.56])
HALFWAY = run([0.5, 0.61, 0.7, 0.8, 0.9, 0.98])
CUT = run([0.5, 0.5, 0.55])
CUT_HALFWAY = run([0.5, 0.7])
FAILED = run([0.5, None], failed=True)


@pytest.mark.parametrize(
    ("accuracy", "confirmed", "updates"),
    [
        ([0.5, 0.8, 0.995], None, {0.99: 300, 0.6: 200}),
        ([0.99], None, {0.99: 100}),
        ([0.985, 0.992, 0.988, 0.991], [0.984, 0.987, 0.991, 0.9899], {0.99: None, 0.6: 100}),
        ([0.999, 0.999], [0.97, 0.999], {0.99: 200}),
        ([0.999, 0.999], [None, None], {0.99: None}),
        ([0.5] * 5 + [1.0], None, {0.99: 600}),
        ([0.5] * 6 + [1.0], None, {0.99: None}),  # after the budget
    ],
)
def test_a_threshold_is_reached_at_the_first_evaluation_that_is_confirmed(
    accuracy, confirmed, updates
):
    for threshold, expected in updates.items():
        assert spans.reached(run(accuracy, confirmed), threshold, PROTOCOL) == expected


@pytest.mark.parametrize(
    ("made", "decided", "arrival"),
    [
        (LEARNED, True, (300, True)),
        (MISSED, True, (600, False)),
        (HALFWAY, True, (600, False)),
        (FAILED, True, (600, False)),  # censored at the end of the budget
        (CUT, False, (300, False)),
        (CUT_HALFWAY, False, (200, False)),
        (run([]), False, (0, False)),
    ],
)
def test_a_run_is_decided_by_success_failure_or_its_budget_and_censored_if_it_was_cut_short(
    made, decided, arrival
):
    assert spans.decided(made, PROTOCOL) == decided
    assert spans.arrival(made, 0.99, PROTOCOL) == arrival


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ({1: LEARNED, 2: LEARNED, 4: LEARNED, 8: MISSED}, (4, False)),
        ({1: MISSED}, (0, False)),
        ({1: LEARNED, 2: MISSED, 4: LEARNED, 8: LEARNED}, (1, False)),  # above a miss
        ({1: LEARNED, 4: LEARNED}, (1, True)),  # a lag was skipped
        ({}, (0, True)),
        ({1: LEARNED, 2: CUT}, (1, True)),
        ({1: LEARNED, 2: FAILED}, (1, False)),
        (dict.fromkeys(PROTOCOL["ladder"], LEARNED), (16, True)),  # the ladder ends
        ({1: LEARNED, 2: run([0.5, 0.5, 0.5, 0.5, 0.995]), 4: run([0.995]), 8: MISSED}, (4, False)),
    ],
)
def test_a_span_is_the_longest_unbroken_prefix_of_the_ladder(runs, expected):
    assert spans.span(runs, 0.99, PROTOCOL) == expected


def test_each_threshold_has_a_span_and_they_are_in_the_order_of_the_seeds():
    runs = {1: LEARNED, 2: HALFWAY, 4: CUT_HALFWAY, 8: MISSED}
    assert spans.span(runs, 0.99, PROTOCOL) == (1, False)
    assert spans.span(runs, 0.6, PROTOCOL) == (4, False)
    of_seeds = [
        LEARNED | {"seed": 7, "lag": 2}, LEARNED | {"seed": 7, "lag": 1},
        MISSED | {"seed": 7, "lag": 4}, CUT | {"seed": 3, "lag": 1},
    ]  # fmt: skip
    assert spans.spans(of_seeds, [3, 7], 0.99, PROTOCOL) == [(0, True), (2, False)]


@pytest.mark.parametrize(("lag", "after"), [(0, 1), (1, 2), (3.0, 4), (8, 16), (16, None)])
def test_the_next_lag_is_the_first_above(lag, after):
    assert spans.next_lag(lag, PROTOCOL) == after


def tuned(rate, accuracy, failed=False):
    return {"rate": rate, "accuracy": accuracy, "failed": failed}


def test_the_rate_that_learns_soonest_is_kept():
    slow, fast = tuned(0.1, [0.5, 0.6, 0.7, 1.0]), tuned(0.2, [0.5, 1.0])
    assert spans.best_rate([slow, fast]) == 0.2
    assert spans.best_rate([fast, slow]) == 0.2
    assert spans.best_rate([slow, tuned(0.3, [0.9], failed=True)]) == 0.1
    assert spans.best_rate([tuned(0.3, [0.7]), tuned(0.2, [0.7])]) == 0.2
    # it is decided if the best one learned something
    assert spans.is_decided([tuned(0.1, [0.5, 0.7]), tuned(0.1, [0.5, 0.55])], PROTOCOL)
    assert not spans.is_decided([tuned(0.1, [0.5, 0.55]), tuned(0.2, [0.5, 0.5])], PROTOCOL)


def test_halves_are_the_last_lag_that_half_of_the_seeds_learn_and_the_first_that_they_do_not():
    succeeding = {1: 8, 2: 4, 4: 3, 8: 4}
    runs = [
        (LEARNED if seed < count else MISSED) | {"seed": seed, "lag": lag}
        for lag, count in succeeding.items()
        for seed in range(8)
    ]
    assert spans.halves(runs, range(8), PROTOCOL) == (2, 4)
    assert spans.halves(runs[:16], range(8), PROTOCOL) == (2, None)
    assert spans.halves([], range(8), PROTOCOL) == (None, None)
