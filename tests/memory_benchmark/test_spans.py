"""When a lag counts as learned and how far a seed got, on curves that no training made."""

import pytest

from echo_jax.memory_benchmark import spans

PROTOCOL = {
    "ladder": [1, 2, 4, 8, 16], "budget": 600, "evaluate_every": 100, "thresholds": [0.99, 0.6],
}  # fmt: skip


def run(accuracy, confirmed=None, *, failed=False):
    """A run that is confirmed at what it reached, unless it is said at what."""
    if confirmed is None:
        confirmed = [None if a is None or a < 0.6 else a for a in accuracy]
    return {"accuracy": accuracy, "confirmed": confirmed, "failed": failed}


LEARNED = run([0.5, 0.8, 0.995])
MISSED = run([0.5, 0.5, 0.55, 0.52, 0.57, 0.56])
HALFWAY = run([0.5, 0.61, 0.7, 0.8, 0.9, 0.98])
CUT = run([0.5, 0.5, 0.55])
CUT_HALFWAY = run([0.5, 0.7])
FAILED = run([0.5, None], failed=True)


def test_a_threshold_is_reached_at_the_first_evaluation_that_is_confirmed():
    assert spans.reached(LEARNED, 0.99, PROTOCOL) == 300
    assert spans.reached(LEARNED, 0.6, PROTOCOL) == 200
    assert spans.reached(run([0.99]), 0.99, PROTOCOL) == 100
    assert spans.reached(MISSED, 0.6, PROTOCOL) is None


def test_noise_around_the_threshold_is_no_success_until_other_data_confirm_it():
    accuracy = [0.985, 0.992, 0.988, 0.991, 0.99, 0.993]
    confirmed = [0.984, 0.987, 0.991, 0.9899, 0.99, 0.995]
    noisy = run(accuracy, confirmed)
    assert spans.reached(noisy, 0.99, PROTOCOL) == 500
    assert spans.reached(noisy, 0.6, PROTOCOL) == 100
    assert spans.reached(run(accuracy[:4], confirmed[:4]), 0.99, PROTOCOL) is None


def test_the_first_evaluation_above_counts_for_nothing_when_it_is_not_confirmed():
    assert spans.reached(run([0.999, 0.999], [0.97, 0.999]), 0.99, PROTOCOL) == 200
    assert spans.reached(run([0.999, 0.999], [None, None]), 0.99, PROTOCOL) is None
    assert spans.reached(run([0.999, 0.5], [0.97, None]), 0.6, PROTOCOL) == 100


def test_what_comes_after_the_budget_does_not_count():
    assert spans.reached(run([0.5] * 6 + [1.0]), 0.99, PROTOCOL) is None
    assert spans.reached(run([0.5] * 5 + [1.0]), 0.99, PROTOCOL) == 600


@pytest.mark.parametrize(
    ("made", "decided"),
    [(LEARNED, True), (MISSED, True), (HALFWAY, True), (FAILED, True),
     (CUT, False), (CUT_HALFWAY, False), (run([]), False)],
)  # fmt: skip
def test_a_run_is_decided_by_success_failure_or_the_end_of_its_budget(made, decided):
    assert spans.decided(made, PROTOCOL) == decided


def test_a_run_that_did_not_arrive_was_watched_for_its_budget_or_until_it_was_cut_short():
    assert spans.arrival(LEARNED, 0.99, PROTOCOL) == (300, True)
    assert spans.arrival(MISSED, 0.99, PROTOCOL) == (600, False)
    assert spans.arrival(CUT, 0.99, PROTOCOL) == (300, False)
    assert spans.arrival(FAILED, 0.99, PROTOCOL) == (600, False)
    assert spans.arrival(CUT_HALFWAY, 0.6, PROTOCOL) == (200, True)


def test_a_span_is_the_longest_unbroken_prefix_of_the_ladder():
    runs = {1: LEARNED, 2: LEARNED, 4: LEARNED, 8: MISSED}
    assert spans.span(runs, 0.99, PROTOCOL) == (4, False)
    assert spans.span({1: MISSED}, 0.99, PROTOCOL) == (0, False)


def test_a_lag_that_is_reached_above_one_that_is_missed_does_not_count():
    runs = {1: LEARNED, 2: MISSED, 4: LEARNED, 8: LEARNED, 16: LEARNED}
    assert spans.span(runs, 0.99, PROTOCOL) == (1, False)


def test_a_lag_that_is_learned_sooner_than_a_shorter_one_makes_no_difference():
    late, soon = run([0.5, 0.5, 0.5, 0.5, 0.995]), run([0.995])
    runs = {1: soon, 2: late, 4: soon, 8: MISSED}
    assert spans.span(runs, 0.99, PROTOCOL) == (4, False)


def test_a_lag_that_was_skipped_ends_a_span_and_leaves_it_a_lower_bound():
    assert spans.span({1: LEARNED, 4: LEARNED}, 0.99, PROTOCOL) == (1, True)
    assert spans.span({}, 0.99, PROTOCOL) == (0, True)


def test_a_span_is_a_lower_bound_where_the_next_lag_was_cut_short_and_not_where_it_failed():
    assert spans.span({1: LEARNED, 2: CUT}, 0.99, PROTOCOL) == (1, True)
    assert spans.span({1: LEARNED, 2: FAILED}, 0.99, PROTOCOL) == (1, False)


def test_a_span_that_ends_with_the_ladder_is_a_lower_bound():
    assert spans.span(dict.fromkeys(PROTOCOL["ladder"], LEARNED), 0.99, PROTOCOL) == (16, True)


def test_the_lower_threshold_has_a_span_of_its_own():
    runs = {1: LEARNED, 2: HALFWAY, 4: CUT_HALFWAY, 8: MISSED}
    assert spans.span(runs, 0.99, PROTOCOL) == (1, False)
    assert spans.span(runs, 0.6, PROTOCOL) == (4, False)


def test_spans_stand_in_the_order_of_the_seeds():
    runs = [
        LEARNED | {"seed": 7, "lag": 2}, LEARNED | {"seed": 7, "lag": 1},
        MISSED | {"seed": 7, "lag": 4}, CUT | {"seed": 3, "lag": 1},
    ]  # fmt: skip
    assert spans.spans(runs, [3, 7], 0.99, PROTOCOL) == [(0, True), (2, False)]


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


def test_a_rate_is_decided_if_the_best_one_learned_something():
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
