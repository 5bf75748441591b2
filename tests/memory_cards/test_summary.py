"""The summary of a card, from raw rows whose summary can be derived by hand."""

import math
import random

import pytest
from fabricated_cards import (
    CARDS,
    FULL,
    SMALL,
    card,
    curriculum,
    cut,
    jacobian,
    raw_of,
    run,
    stream_runs,
)  # fmt: skip

from echo_jax.memory_cards.summary import estimate, summarize


def summarized(raw, protocol=SMALL):
    return summarize(raw, protocol)


@pytest.mark.parametrize("name", CARDS)
def test_raw_rows_in_any_order_give_the_same_summary(name):
    raw = raw_of(name)
    shuffled = random.Random(0).sample(raw, len(raw))
    protocol = CARDS[name].get("protocol", FULL)
    assert summarize(shuffled, protocol) == summarize(raw, protocol) == card(name)["rows"]


def test_of_nothing_there_are_no_summarized():
    assert set(summarized([]).values()) == {None}


def test_spans_are_medians_over_the_seeds_with_their_interval_and_the_next_rung():
    spans = card("irnn")["rows"]["stream_span"]
    assert spans["0.99"] == {
        "by_seed": [8, 8, 2, 12, 8, 2, 8, 12], "median": 8, "low": 2, "high": 12,
        "coverage": 0.929688, "next": 12,
        "at_least": [False] * 8,
    }  # fmt: skip
    assert spans["0.6"]["by_seed"] == [20, 20, 2, 12, 8, 2, 8, 12]
    reached = {0: [1], 1: [1, 2, 3]}
    raw = [run("hold", lag, seed, SMALL, 100) for seed in reached for lag in reached[seed]]
    span = summarized(raw)["hold_span"]["0.99"]
    assert (span["by_seed"], span["median"], span["next"]) == ([1, 3], 1, 2)
    assert summarized(raw)["stream_span"] is None


def test_learning_counts_the_seeds_that_never_arrived():
    raw = [run("stream", 2, seed, SMALL, after) for seed, after in enumerate([300, 700, math.inf])]
    (line,) = summarized(raw)["learning"]["stream"]
    assert line == {"lag": 2, "seeds": 3, "reached": 2, "median": 700, "low": 300, "high": None}
    short = [run("stream", 2, 3, SMALL, **cut(4)), run("stream", 2, 4, SMALL, **cut(4))]
    (line,) = summarized(raw + short)["learning"]["stream"]
    assert (line["seeds"], line["reached"], line["median"]) == (5, 2, 700)  # 4/5, then 2/5
    assert summarized(raw)["learning"]["hold"] == []


def test_capacities_are_sums_over_the_lags_and_may_be_below_zero():
    bits = {"kind": "bits", "lags": [1, 2], "float16": [0.5, 0.1], "noise": [0.2, 0.2],
            "state_numbers": 3}  # fmt: skip
    raw = [
        bits | {"seed": 0, "exact": [0.9, -0.2]}, bits | {"seed": 1, "exact": [0.7, 0.4]},
        bits | {"seed": 2, "exact": [None, None]},
    ]  # fmt: skip
    capacity = summarized(raw)["capacity"]
    assert capacity["exact"]["by_seed"] == [0.7, 1.1, 0]
    assert (capacity["exact"]["median"], capacity["float16"]["median"]) == (0.7, 0.6)
    assert capacity["by_lag"] == {"lags": [1, 2], "median": [0.7, 0]}
    assert capacity["state_numbers"] == 3


def test_a_linear_capacity_is_less_that_of_shuffled_targets():
    raw = [
        {"kind": "linear", "seed": 0, "lags": [1, 2], "trained": [0.9, 0.4],
         "untrained": [0.5, 0], "trained_null": [0.1, 0.1], "untrained_null": [0.25, 0.25]}
    ]  # fmt: skip
    linear = summarized(raw)["linear"]
    assert (linear["trained"]["median"], linear["untrained"]["median"]) == (1.1, 0)
    assert linear["by_lag"] == {
        "lags": [1, 2], "trained": [0.8, 0.3], "untrained": [0.25, -0.25],
    }  # fmt: skip
    assert (linear["trained"]["low"], linear["trained"]["coverage"]) == (None, None)


NEVER = (math.inf, math.inf)
VERDICTS = {
    "no raw row of a cause": (stream_runs(*NEVER), None),
    "nothing shows either": (
        [*stream_runs(*NEVER), jacobian(0, [1, 0.5, 0.1]), jacobian(1, [1, 0.5, 0.1])],
        "undetermined",
    ),
    "one learns by a curriculum": (
        [*stream_runs(*NEVER), curriculum(0, 200), curriculum(1, math.inf)], "could not learn",
    ),
    "none does": (
        [*stream_runs(*NEVER), curriculum(0, math.inf), curriculum(1, math.inf)], "undetermined",
    ),
    "one learns from scratch": (
        [*stream_runs(100, math.inf), curriculum(1, math.inf)], "could not learn",
    ),
    "no gradient at all": (
        [*stream_runs(*NEVER), jacobian(0, [1, 0.5, 0]), jacobian(1, [1, 0.5, 0])],
        "could not hold",
    ),
    "a gradient after training": (
        [*stream_runs(*NEVER), jacobian(0, [1, 0.5, 0], [1, 0.5, 1e-9]), jacobian(1, [1, 0.5, 0])],
        "undetermined",
    ),
    "a gradient that may be underflow": (
        [*stream_runs(*NEVER), jacobian(0, [1, 1e-33, 0]), jacobian(1, [1, 0.5, 0])],
        "undetermined",
    ),
    "gradients that are all 0": (
        [*stream_runs(*NEVER), jacobian(0, [0, 0, 0]), jacobian(1, [0, 0, 0])], "undetermined",
    ),
    "no gradient, but all were cut short": (
        [*stream_runs(), *(run("stream", 2, seed, SMALL, **cut(4)) for seed in (0, 1)),
         jacobian(0, [1, 0.5, 0])], "undetermined",
    ),
    "no gradient, but nobody has failed": (
        [*stream_runs(100, 100), jacobian(0, [1, 0.5, 0])], "undetermined",
    ),
    "the whole ladder": (
        [*stream_runs(100, 100), *(run("stream", 3, seed, SMALL, 100) for seed in (0, 1))],
        "no limit found",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", VERDICTS)
def test_a_cause_is_named_only_where_something_shows_it(case):
    raw, verdict = VERDICTS[case]
    cause = summarized(raw)["cause"]
    assert (cause and cause["verdict"]) == verdict


def test_a_cause_says_how_many_failed_and_how_the_gradient_fades():
    raw = [
        *stream_runs(100, math.inf), curriculum(1, 200),
        jacobian(0, [2, 1, 0.5], [4, 2, 2]), jacobian(1, [0, 0, 0], [4, 2, 1]),
    ]  # fmt: skip
    cause = summarized(raw)["cause"]
    assert (cause["lag"], cause["failed"], cause["tried"], cause["learned"]) == (2, 1, 1, 1)
    assert (cause["arrived"], cause["closest"]) == (1, None)
    assert cause["before"]["by_seed"] == [0.25, None]
    assert cause["before"]["median"] == 0.25
    assert cause["after"]["by_seed"] == [0.5, 0.25]
    assert cause["profile"] == {"before": [1, 0.5, 0.25], "after": [1, 0.5, 0.375]}


def test_a_cause_says_how_near_those_came_that_never_arrived():
    lost = run("stream", 2, 0, SMALL, failed=True) | {"accuracy": [], "confirmed": []}
    short = run("stream", 2, 1, SMALL, math.inf)
    better = curriculum(1, math.inf)
    better["accuracy"] = [0.75, *better["accuracy"][1:]]
    cause = summarized([*stream_runs(), lost, short, better, jacobian(0, [1, 0.5, 0.1])])["cause"]
    assert max(short["accuracy"]) < 0.75
    assert (cause["arrived"], cause["failed"], cause["learned"]) == (0, 2, 0)
    assert cause["closest"]["by_seed"] == [0, 0.75]


def test_prices_are_medians_and_copy_memory_stands_beside_its_floors():
    raw = [{"kind": "price", "parameters": 7, "state_bytes": 8, "train": {"1": [3.0, 9.0, 4.0]},
            "stream": {"1": [1.0, 2.0]}}]  # fmt: skip
    curve = {"kind": "copy", "T": 1000, "rate": 0.01, "updates": [100, 200], "accuracy": [0, 1]}
    raw += [
        curve | {"seed": 0, "loss": [0.02, 0.01], "recall": [2.0, 1.0]},
        curve | {"seed": 1, "loss": [0.02, None], "recall": [2.0, None]},
        curve | {"seed": 2, "loss": [0.02, 0.02], "recall": [2.0, 1.5]},
    ]
    found = summarized(raw)
    assert (found["price"]["train"], found["price"]["stream"]) == ({"1": 4}, {"1": 1.5})
    (line,) = found["copy"]
    assert (line["T"], line["seeds"], line["updates"]) == (1000, 3, 200)
    assert (line["recall"]["by_seed"], line["recall"]["median"]) == ([1, None, 1.5], 1.5)
    assert (line["recall"]["low"], line["recall"]["high"]) == (1, None)
    assert line["floor"] == pytest.approx(math.log(8), abs=1e-5)
    assert line["loss_floor"] == pytest.approx(0.0204, abs=5e-5)  # as published for T = 1,000


def test_an_estimate_leaves_out_what_is_unknown_and_counts_what_never_came():
    assert estimate([1, None, 3])["median"] == 2
    assert estimate([1, None, None], math.inf)["median"] is None
    assert estimate([None, None]) == {
        "by_seed": [None, None], "median": None, "low": None, "high": None, "coverage": None,
    }  # fmt: skip
