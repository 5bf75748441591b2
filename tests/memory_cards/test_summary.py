"""The summary of a card, from raw rows whose summary can be derived by hand."""

import math
import random

import pytest
from protocol_2_cards import (
    SMALL,
    copied,
    curriculum,
    jacobian,
    lag_rows,
    missed,
    price,
    run,
    stopped,
    whole,
)

from echo_jax.memory_cards.summary import summarize

CARDS = {"whole": whole, "stopped": stopped, "copied": copied}


@pytest.mark.parametrize("name", CARDS)
def test_raw_rows_in_any_order_give_the_same_summary(name):
    card = CARDS[name]()
    shuffled = random.Random(0).sample(card["raw"], len(card["raw"]))
    assert summarize(shuffled, card["protocol"]) == card["rows"]


def test_a_ladder_has_the_climb_of_each_seed_their_mean_and_a_line_for_each_rung():
    found = summarize(lag_rows(), SMALL)["ladders"]
    assert set(found) == {"lag-2"}
    ladder = found["lag-2"]
    assert ladder["by_seed"] == [
        {"seed": 0, "passed": 6, "missed": 8, "rate": 0.003, "updates": 300},
        {"seed": 1, "passed": 4, "missed": 6, "rate": 0.01, "updates": 200},
    ]
    # midpoints: the roots of 48 and of 24; t of one degree of freedom: 12.706
    middles = math.log(48) / 2, math.log(24) / 2
    half = 12.7062 * (middles[0] - middles[1]) / 2
    assert ladder["mean"] == pytest.approx(math.exp(sum(middles) / 2), rel=1e-5)
    assert ladder["high"] == pytest.approx(ladder["mean"] * math.exp(half), rel=1e-4)
    assert ladder["low"] == pytest.approx(ladder["mean"] / math.exp(half), rel=1e-4)
    assert (ladder["at_least"], ladder["skipped"]) == (False, [2, 3])
    # rung 1: 2 and 1 evaluations, 4: 2 and 2, 6: 3, 5, 5 and 5, 8: 5, 5 and 5
    assert ladder["updates"] == 100 * (3 + 4 + 18 + 15)
    assert ladder["rungs"] == [
        {"rung": 1, "seeds": 2, "passed": 2, "updates": 150, "closest": None},
        {"rung": 4, "seeds": 2, "passed": 2, "updates": 200, "closest": None},
        {"rung": 6, "seeds": 2, "passed": 1, "updates": 300, "closest": 0.75},
        {"rung": 8, "seeds": 2, "passed": 0, "updates": None, "closest": 0.75},
    ]


ENDS = [run(1, 0), run(1, 1)]
"""Both seeds pass 1 and then miss 2: the cause is asked at lag 2."""
LIMIT = [*ENDS, *missed(2, 0), *missed(2, 1)]
FADES, STOPS = [1, 0.5, 0.125], [1, 0.5, 0]


def two(before, after=None, change=0.5):
    return [jacobian(seed, 2, before, after, change) for seed in (0, 1)]


VERDICTS = {
    "no raw row of a cause": (LIMIT, None),
    "nothing shows either": ([*LIMIT, *two(FADES)], "undetermined"),
    "one learns by a curriculum": (
        [*LIMIT, *two(FADES), curriculum(2, 0, 1, True), curriculum(2, 1, 1, False)],
        "could not learn",
    ),
    "no curriculum helps": (
        [*LIMIT, *two(FADES), *(curriculum(2, seed, 1, False) for seed in (0, 1))], "undetermined",
    ),
    # seed 0 passes 2 by itself, so the lag that half missed is 3
    "one learns from scratch": (
        [*ENDS, run(2, 0), *missed(2, 1), *missed(3, 0), jacobian(0, 3, [*FADES, 0.1])],
        "undetermined",
    ),
    "one of three learns from scratch": (
        [run(1, 2), *missed(2, 2), *ENDS, run(2, 0), *missed(2, 1), run(3, 0), *two(FADES)],
        "could not learn",
    ),
    "an exact zero": ([*LIMIT, *two(STOPS, change=0.0)], "could not hold"),
    "an exact zero of one seed alone": (
        [*LIMIT, jacobian(0, 2, STOPS, change=0.0), jacobian(1, 2, FADES, change=0.0)],
        "not held at any tested weights",
    ),
    "a gradient after training": (
        [*LIMIT, *two(STOPS, [1, 0.5, 1e-9], change=0.0)], "not held at any tested weights",
    ),
    "a change of rounding": ([*LIMIT, *two(STOPS, change=9e-7)], "not held at any tested weights"),
    "a change beyond rounding": ([*LIMIT, *two(STOPS, change=2e-6)], "undetermined"),
    "a change of logits that are not finite": (
        [*LIMIT, jacobian(0, 2, STOPS, change=None), jacobian(1, 2, STOPS, change=0.0)],
        "undetermined",
    ),
    "a state of too few bits": ([*LIMIT, *two(FADES), price(0)], "could not hold"),
    "a state of enough bits": ([*LIMIT, *two(FADES), price(1)], "undetermined"),
    "too few bits, and yet it learns": (
        [*LIMIT, *two(FADES), price(0), curriculum(2, 0, 1, True)], "could not learn",
    ),
    "the whole ladder": (
        [run(rung, seed) for rung in (1, 2, 3, 4, 6, 8) for seed in (0, 1)], "no limit found",
    ),
    "cut before any seed missed": (ENDS, "no limit found"),
}  # fmt: skip


@pytest.mark.parametrize("case", VERDICTS)
def test_a_verdict_is_given_only_where_the_raw_rows_show_it(case):
    raw, verdict = VERDICTS[case]
    cause = summarize(raw, SMALL)["cause"]
    assert (cause and cause["verdict"]) == verdict
