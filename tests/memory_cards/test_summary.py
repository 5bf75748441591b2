"""The summary of a card, from raw rows whose summary can be derived by hand."""

import math
import random

import pytest
from protocol_2_cards import (
    SMALL,
    SMALL_COPY,
    bits,
    copied,
    copy_rows,
    curriculum,
    jacobian,
    lag_rows,
    linear,
    missed,
    price,
    run,
    stopped,
    whole,
    whole_rows,
)

from echo_jax.memory_cards.summary import estimate, summarize, total_bytes, unfinished

CARDS = {"whole": whole, "stopped": stopped, "copied": copied}


@pytest.mark.parametrize("name", CARDS)
def test_raw_rows_in_any_order_give_the_same_summary(name):
    card = CARDS[name]()
    shuffled = random.Random(0).sample(card["raw"], len(card["raw"]))
    assert summarize(shuffled, card["protocol"]) == card["rows"]


def test_of_nothing_there_is_no_summary():
    assert set(summarize([], SMALL).values()) == {None}


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


def test_a_ladder_is_unfinished_while_a_seed_may_climb_on():
    assert unfinished(whole()["raw"], SMALL) == []
    assert unfinished([], SMALL) == ["lag-2", "key-16", "hold-2"]
    rows = [row for row in whole_rows() if row.get("seed") != 1 or row.get("ladder") != "key-16"]
    assert unfinished(rows, SMALL) == ["key-16"]
    last = next(i for i, row in enumerate(rows) if (row.get("rung"), row.get("rate")) == (6, 0.003))
    assert unfinished(rows[:last] + rows[last + 1 :], SMALL) == ["lag-2", "key-16"]
    assert unfinished(copy_rows(), SMALL_COPY) == []
    assert unfinished(copy_rows()[1:], SMALL_COPY) == ["copy-10"]
    cut = [copy_rows()[0] | {"updates": [500], "loss": [1.0]}, *copy_rows()[1:]]
    assert unfinished(cut, SMALL_COPY) == ["copy-10"]


def test_the_bits_held_are_the_largest_that_a_ladder_or_a_network_shows():
    raw = [*lag_rows(), run(2, 0, "key-16"), run(2, 1, "key-16")]
    found = summarize(raw, SMALL)["bits"]
    assert set(found["ladders"]) == {"lag-2", "key-16"}
    assert found["networks"] == {}
    assert found["shown_by"] == "key-16"  # log2 56 = 5.81 bits less what is unknown
    assert found["held"] == found["ladders"]["key-16"]
    lag = found["ladders"]["lag-2"]["by_seed"]
    assert 5.9 < lag[0] < 6
    assert 3.9 < lag[1] < 4
    many = [bits(seed, [1.0, 0.75, 0.25 * seed, 7.0], 4) for seed in (0, 1)]
    found = summarize([*raw, *many, *(bits(seed, [1.0, 0.5]) for seed in (0, 1))], SMALL)["bits"]
    assert set(found["networks"]) == {"lag-2, 2 lags", "lag-2, 4 lags"}
    assert found["shown_by"] == "lag-2, 4 lags"
    assert found["held"]["by_seed"] == [8.75, 9]
    network = found["networks"]["lag-2, 4 lags"]
    assert (network["by_lag"], network["state_numbers"]) == ([1, 0.75, 0.125, 7], 5)


def test_no_network_has_bits_below_zero_and_one_that_failed_has_none():
    raw = [bits(0, [0.25, -0.5]), bits(1, [0.75, -0.25]), bits(2, [None, None])]
    raw[1] |= {"float16": [0.5, 0.125], "noise": [-0.5, 0.25]}
    (network,) = summarize(raw, SMALL)["bits"]["networks"].values()
    assert network["exact"]["by_seed"] == [0, 0.5, 0]
    assert network["float16"]["by_seed"] == [0, 0.625, 0]
    assert network["noise"]["by_seed"] == [0, 0, 0]
    assert network["by_lag"] == [0.25, -0.25]  # of one lag, not clipped


def test_a_linear_capacity_is_less_that_of_unrelated_targets():
    found = summarize([linear(0, (0.875, 0.5), (0.5, 0.0))], SMALL)["linear"]
    assert (found["trained"]["median"], found["untrained"]["median"]) == (1.1875, 0.25)
    assert found["by_lag"] == {
        "lags": [1, 2], "trained": [0.75, 0.4375], "untrained": [0.5, -0.25],
    }  # fmt: skip
    assert (found["trained"]["low"], found["trained"]["coverage"]) == (None, None)


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


def test_a_cause_says_how_many_missed_what_was_tried_and_how_the_gradient_fades():
    raw = [*LIMIT, *two([2, 1, 0.5], [4, 2, 2])[:1], jacobian(1, 2, [0, 0, 0], [4, 2, 1], 0.25)]
    raw += [curriculum(2, 0, 1, False) | {"accuracy": [0.875] * 5}, curriculum(2, 1, 1, True)]
    cause = summarize(raw, SMALL)["cause"]
    counts = {name: cause[name] for name in ("lag", "passed", "missed", "tried", "learned")}
    assert counts == {"lag": 2, "passed": 0, "missed": 2, "tried": 2, "learned": 1}
    assert cause["change"] == 0.5
    assert cause["closest"]["by_seed"] == [0.875]  # of the seed that never learned it
    # of a seed without a gradient at the present input nothing is relative to it
    assert cause["profile"] == {"before": [1, 0.5, 0.25], "after": [1, 0.5, 0.375]}


def test_a_cause_is_asked_for_by_the_protocol():
    protocol = SMALL | {"rows": ["ladders"]}
    assert summarize([*LIMIT, *two(FADES)], protocol)["cause"] is None


def test_longer_streams_have_an_accuracy_for_each_factor():
    row = {"kind": "beyond", "lag": 2, "length": 48, "times": [1, 10]}
    raw = [row | {"seed": 0, "accuracy": [1.0, 0.75]}, row | {"seed": 1, "accuracy": [0.5, None]}]
    found = summarize(raw, SMALL)["beyond"]
    assert (found["lag"], found["length"], found["times"]) == (2, 48, [1, 10])
    assert [each["by_seed"] for each in found["accuracy"]] == [[1, 0.5], [0.75, 0]]


def test_prices_are_medians_and_the_whole_state_has_the_convolutions():
    found = summarize([price(400, 384)], SMALL)["price"]
    assert (found["train"], found["stream"]) == ({"1": 4}, {"1": 1.5, "16": 8})
    assert (found["parameters"], found["state_bytes"], found["convolution_bytes"]) == (70, 400, 384)
    assert total_bytes(found) == 784


def test_copy_memory_has_the_best_rate_of_each_seed_beside_its_floors():
    found = summarize(copy_rows(), SMALL_COPY)["copy"]
    assert [line["T"] for line in found] == [100, 1000]
    line = found[1]
    assert (line["seeds"], line["updates"], line["rates"]) == (2, 1000, [0.003, 0.003])
    assert line["recall"]["by_seed"] == [1.3, 2.3]
    assert line["accuracy"]["by_seed"] == [0.5, 0.5]
    assert line["floor"] == pytest.approx(math.log(8), abs=1e-5)
    assert line["loss_floor"] == pytest.approx(0.0204, abs=5e-5)  # as published for T = 1,000
    lost = [row | {"recall": [2.0, None]} for row in copy_rows() if row["T"] == 100]
    (line,) = summarize(lost, SMALL_COPY)["copy"]
    assert (line["recall"]["by_seed"], line["recall"]["median"]) == ([None, None], None)


def test_an_estimate_leaves_out_what_is_unknown_and_counts_what_never_came():
    assert estimate([1, None, 3])["median"] == 2
    assert estimate([1, None, None], math.inf)["median"] is None
    assert estimate([None, None]) == {
        "by_seed": [None, None], "median": None, "low": None, "high": None, "coverage": None,
    }  # fmt: skip
