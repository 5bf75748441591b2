"""Memory cards: what follows from raw rows, what is believed, what is written, what is said."""

import contextlib
import copy
import json
import math
import random
import re
import subprocess
import sys

import pytest
from fabricated_cards import CARDS, FULL, QUICK, card, cut, raw_of, run, tuning_rows

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import card_file as cards
from echo_jax.memory_cards import card_text, json_types, schema
from echo_jax.memory_cards.summary import estimate, span_estimate

SMALL = FULL | {"ladder": [1, 2, 3], "seeds": 2, "rows": ["stream", "price", "cause"]}


def rows(raw, protocol=SMALL):
    return cards.rows_of(raw, protocol)


# ---------------------------------------------------------------------------------- rows


@pytest.mark.parametrize("name", CARDS)
def test_the_same_raw_rows_in_any_order_give_the_same_rows(name):
    raw = raw_of(name)
    shuffled = random.Random(0).sample(raw, len(raw))
    protocol = CARDS[name].get("protocol", FULL)
    assert raw_of(name) == raw
    assert rows(shuffled, protocol) == rows(raw, protocol) == card(name)["rows"]


def test_of_nothing_there_are_no_rows():
    assert set(rows([]).values()) == {None}


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
    span = rows(raw)["hold_span"]["0.99"]
    assert (span["by_seed"], span["median"], span["next"]) == ([1, 3], 1, 2)
    assert rows(raw)["stream_span"] is None


def test_learning_counts_the_seeds_that_never_arrived():
    raw = [run("stream", 2, seed, SMALL, after) for seed, after in enumerate([300, 700, math.inf])]
    (line,) = rows(raw)["learning"]["stream"]
    assert line == {"lag": 2, "seeds": 3, "reached": 2, "median": 700, "low": 300, "high": None}
    short = [run("stream", 2, 3, SMALL, **cut(4)), run("stream", 2, 4, SMALL, **cut(4))]
    (line,) = rows(raw + short)["learning"]["stream"]
    assert (line["seeds"], line["reached"], line["median"]) == (5, 2, 700)  # 4/5, then 2/5
    assert rows(raw)["learning"]["hold"] == []


def test_capacities_are_sums_over_the_lags_and_may_be_below_zero():
    bits = {"kind": "bits", "lags": [1, 2], "float16": [0.5, 0.1], "noise": [0.2, 0.2],
            "state_numbers": 3}  # fmt: skip
    raw = [
        bits | {"seed": 0, "exact": [0.9, -0.2]}, bits | {"seed": 1, "exact": [0.7, 0.4]},
        bits | {"seed": 2, "exact": [None, None]},
    ]  # fmt: skip
    capacity = rows(raw)["capacity"]
    assert capacity["exact"]["by_seed"] == [0.7, 1.1, 0]
    assert (capacity["exact"]["median"], capacity["float16"]["median"]) == (0.7, 0.6)
    assert capacity["by_lag"] == {"lags": [1, 2], "median": [0.7, 0]}
    assert capacity["state_numbers"] == 3


def test_a_linear_capacity_is_less_that_of_shuffled_targets():
    raw = [
        {"kind": "linear", "seed": 0, "lags": [1, 2], "trained": [0.9, 0.4],
         "untrained": [0.5, 0], "trained_null": [0.1, 0.1], "untrained_null": [0.25, 0.25]}
    ]  # fmt: skip
    linear = rows(raw)["linear"]
    assert (linear["trained"]["median"], linear["untrained"]["median"]) == (1.1, 0)
    assert linear["by_lag"] == {
        "lags": [1, 2], "trained": [0.8, 0.3], "untrained": [0.25, -0.25],
    }  # fmt: skip
    assert (linear["trained"]["low"], linear["trained"]["coverage"]) == (None, None)


def stream_runs(*after):
    """Runs of two seeds: both pass lag 1, and lag 2 after so many updates."""
    passed = [run("stream", 1, seed, SMALL, 100) for seed in (0, 1)]
    return passed + [run("stream", 2, seed, SMALL, n) for seed, n in enumerate(after)]


def jacobian(seed, before, after=None, depends=False):
    curves = {"before": before, "after": after or before}
    return {"kind": "jacobian", "seed": seed, "lag": 2, "depends": depends} | curves


def curriculum(seed, after):
    return run("stream", 2, seed, SMALL, after) | {"kind": "curriculum", "from": 1}


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
    cause = rows(raw)["cause"]
    assert (cause and cause["verdict"]) == verdict


def test_a_cause_says_how_many_failed_and_how_the_gradient_fades():
    raw = [
        *stream_runs(100, math.inf), curriculum(1, 200),
        jacobian(0, [2, 1, 0.5], [4, 2, 2]), jacobian(1, [0, 0, 0], [4, 2, 1]),
    ]  # fmt: skip
    cause = rows(raw)["cause"]
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
    cause = rows([*stream_runs(), lost, short, better, jacobian(0, [1, 0.5, 0.1])])["cause"]
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
    found = rows(raw)
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


# ---------------------------------------------------------------------------------- belief


@pytest.mark.parametrize("name", CARDS)
def test_a_card_as_it_was_made_is_believed(name):
    cards.validate(card(name))


def signed(made):
    """A card whose rows, hash and digest are those of what was changed in it."""
    made["protocol_hash"] = atomic_files.digest_of(made["protocol"])
    made["rows"] = cards.rows_of(made["raw"], made["protocol"])
    return made | {"digest": cards.digest_of(made)}


def index(made, kind, **fields):
    wanted = {"kind": kind, **fields}
    return next(i for i, row in enumerate(made["raw"]) if wanted.items() <= row.items())


def changed(path, value):
    """A change of what stands at a path, by names and indices."""

    def change(made):
        *above, last = path
        place = made
        for name in above:
            place = place[name]
        place[last] = value
        return made

    return change


def without(*path):
    def change(made):
        *above, last = path
        place = made
        for name in above:
            place = place[name]
        del place[last]
        return made

    return change


def of_raw(kind, name, value, **fields):
    """A change of one field of the first raw row of a kind."""
    return lambda made: changed(("raw", index(made, kind, **fields), name), value)(made)


def better(made):
    """A raw row that says more than was measured, and rows that follow from it."""
    place = index(made, "run", task="stream", lag=30, seed=0)
    made["raw"][place] = run("stream", 30, 0, FULL, 100)
    del made["raw"][index(made, "curriculum", seed=0)]
    return made | {"rows": cards.rows_of(made["raw"], made["protocol"])}


TAMPERED = {
    "a newer schema": (
        changed(("schema",), 2),
        "schema is 2, and this version of echo_jax reads 1 alone",
    ),
    "no table": (lambda _: [1], "the card is [1], not a table"),
    "a field missing": (without("device"), "the card has no field device"),
    "a field unknown": (
        changed(("colour",), "red"),
        "the card has a field 'colour', which a card does not have",
    ),
    "a name that is a path": (
        changed(("name",), "../x"),
        "name is '../x', not a text of 1 to 100 letters",
    ),
    "a text for a terminal": (
        changed(("device",), "\x1b[2J"),
        "device is '\\x1b[2J', not a text of one line",
    ),
    "a number that is a text": (
        of_raw("run", "lag", "1"),
        "raw[6].lag is '1', not a whole number from 1",
    ),
    "a number that is a truth value": (
        of_raw("run", "seed", True),
        "raw[6].seed is True, not a whole number",
    ),
    "an accuracy above 1": (
        of_raw("run", "accuracy", [1.2]),
        "raw[6].accuracy[0] is 1.2, not a number from 0 to 1",
    ),
    "an accuracy below 0": (
        of_raw("beyond", "accuracy", [-0.1] * 7),
        "is -0.1, not a number from 0 to 1",
    ),
    "no number": (of_raw("bits", "exact", [math.nan]), "exact[0] is nan, not a number: use"),
    "an infinite number": (
        of_raw("price", "train", {"1": [math.inf]}),
        "train.1[0] is inf, not a number",
    ),
    "an endless number": (changed(("seconds", "all"), 10**400), "seconds.all is 1000"),
    "a kind unknown": (
        of_raw("price", "kind", "gift"),
        "not a table whose kind is one of tune, run,",
    ),
    "a number in an argument": (
        changed(("cell", "args"), {"x": math.inf}),
        "cell.args is {'x': inf}, not a table",
    ),
    "no time": (of_raw("price", "stream", {"1": []}), "stream has a list without an entry"),
    "another protocol": (changed(("protocol", "budget"), 9000), "not that of the protocol in it"),
    "a day that never was": (changed(("date",), "2026-02-31"), "date is '2026-02-31', not a date"),
    "a digest of nothing": (
        changed(("digest",), "0" * 64),
        "digest is 000000000000..., not that of what the card",
    ),
    "a better median": (
        changed(("rows", "stream_span", "0.99", "median"), 30.0),
        "rows.stream_span.0.99.median is 30.0 and the raw rows say 20.0",
    ),
    "a better verdict": (
        changed(("rows", "cause", "verdict"), "no limit found"),
        "rows.cause.verdict is 'no limit found' and the raw rows say 'could not learn'",
    ),
    "a row kept back": (
        changed(("rows", "beyond"), None),
        "rows.beyond is None and the raw rows say {'lag'",
    ),
    "a threshold more": (
        changed(("rows", "hold_span", "0.5"), None),
        "rows.hold_span.0.5 is None, not a table",
    ),
    "better raw rows": (better, "digest is "),
    "another rate that learned sooner": (
        of_raw("tune", "accuracy", [0.9]),
        "rate is 0.01, and that chosen for stream is 0.003",
    ),
    "cheaper": (
        changed(("rows", "price", "train", "1"), 1.0),
        "rows.price.train.1 is 1.0 and the raw rows say",
    ),
    "smaller": (lambda made: signed_price(made, 1), "digest is "),
    "another cell": (changed(("cell", "args", "features"), 5), "digest is "),
    "a reason for what was measured": (
        changed(("not_measured", "cause"), "no time"),
        "not_measured has 'cause': it says why of each row that is null",
    ),
}


def signed_price(made, parameters):
    made["raw"][index(made, "price")]["parameters"] = parameters
    made["rows"]["price"]["parameters"] = parameters
    return made


@pytest.mark.parametrize("kind", TAMPERED)
def test_a_tampered_card_is_refused_by_its_first_fault(kind):
    change, sentence = TAMPERED[kind]
    with pytest.raises(ConfigError) as said:
        cards.validate(change(card("lstm")))
    assert sentence in str(said.value)
    assert str(said.value).endswith(": use a card as scripts/probe.py wrote it")
    assert "\n" not in str(said.value)
    assert "\x1b" not in str(said.value)


def twice(made):
    made["raw"].append(dict(made["raw"][index(made, "run", lag=2, seed=3)], rate=0.03))
    return made


def dropped(**fields):
    """Without the raw rows that have all of these."""

    def change(made):
        made["raw"] = [row for row in made["raw"] if not fields.items() <= row.items()]
        return made

    return change


SIGNED = {
    "a run twice": (twice, "is of the same as raw["),
    "a seed kept back": (dropped(kind="run", seed=2), "raw has no run stream at lag 1 of seed 2"),
    "a first lag kept back": (
        dropped(kind="run", task="hold", lag=1, seed=5),
        "raw has no run hold at lag 1 of seed 5",
    ),
    "a seed without bits": (dropped(kind="bits", seed=7), "raw has no bits of seed 7"),
    "a seed without a copy": (
        dropped(T=300, seed=0),
        "raw has no copy T 300 of seed 0",
        "lstm-copy",
    ),
    "fewer seeds": (
        changed(("seeds",), [0, 1, 2]),
        "seeds is [0, 1, 2], and the protocol has 8, all different",
    ),
    "the same seed": (changed(("seeds",), [0] * 8), "and the protocol has 8, all different"),
    "a seed that chose the rate": (
        changed(("seeds",), [*range(7), 1000]),
        "seed 1000 chose the learning rate",
    ),
    "a seed of another card": (
        of_raw("bits", "seed", 9),
        "seed is 9, which is none of the seeds of the card",
    ),
    "tuned on a seed of the card": (
        of_raw("tune", "seed", 3),
        "seed is 3, which is none that chooses the",
    ),
    "a lag between the rungs": (
        of_raw("run", "lag", 4),
        "lag is 4, which is not on the ladder of the protocol",
    ),
    "a rate off the grid": (
        of_raw("run", "rate", 0.02),
        "rate is 0.02, which is none of the rates of the",
    ),
    "over the budget": (
        lambda made: of_raw("run", "accuracy", [0.5] * 51)(
            of_raw("run", "confirmed", [None] * 51)(made)
        ),
        "accuracy has 51 entries where the budget is out after 50",
    ),
    "unlike lists": (of_raw("linear", "trained", [0.1]), "trained has 1 entries where lags has 40"),
    "a short jacobian": (
        lambda made: of_raw("jacobian", "after", [1.0])(of_raw("jacobian", "before", [1.0])(made)),
        "before has 1 entries where a lag of 30 has one more",
    ),
    "another lag beyond": (of_raw("beyond", "lag", 2, seed=1), "lag is 2, and the climb leaves 20"),
    "a state of another size": (
        of_raw("bits", "state_numbers", 7, seed=1),
        "state_numbers is not that of raw[",
    ),
    "trials of one rate alone": (
        dropped(kind="tune", rate=0.003),
        "raw has no tune hold at lag 5 of rate 0.003 and seed 1000",
    ),
    "no trials": (dropped(kind="tune"), "is trained at a rate that nothing in raw chooses"),
    "a trial without an evaluation": (of_raw("tune", "accuracy", []), "accuracy has no entry"),
    "a longer trial": (
        of_raw("tune", "accuracy", [0.5] * 3),
        "accuracy has 3 entries where the budget is out after 2",
    ),
    "a trial at another lag": (
        of_raw("tune", "lag", 7),
        "lag is 7, which is no lag to choose a rate at of the protocol",
    ),
    "a trial of a task without a lag for it": (
        of_raw("tune", "task", "copy"),
        "lag is 5, which is no lag to choose a rate at of the protocol",
    ),
    "another rate of the grid": (
        of_raw("run", "rate", 0.03),
        "rate is 0.03, and that chosen for stream is 0.01",
    ),
    "who failed kept back": (
        dropped(kind="run", task="hold", lag=120, seed=0),
        "raw has no run hold at lag 120 of seed 0",
    ),
    "a lag kept back": (
        dropped(kind="run", task="stream", lag=8),
        "raw has no run stream at lag 8",
    ),
    "the last lag kept back": (
        dropped(kind="run", task="stream", lag=50),
        "raw leaves stream before its end, and goes on with linear",
    ),
    "a run that goes on after success": (
        lambda made: of_raw("run", "confirmed", [0.99, None])(
            of_raw("run", "accuracy", [0.995, 0.5])(made)
        ),
        "accuracy goes on after success at 100 updates",
    ),
    "a confirmation of nothing": (
        lambda made: of_raw("run", "confirmed", [0.9, 0.9957])(
            of_raw("run", "accuracy", [0.5, 0.9961])(made)
        ),
        "confirmed[0] is 0.9 where the accuracy is 0.5",
    ),
    "more bits than there are": (of_raw("bits", "exact", [5.0] * 40), "and it lies from -inf to 1"),
    "more heads": (
        of_raw("bits", "lags", list(range(2, 42))),
        "lags is not 1 to 40, as the protocol has it",
    ),
    "a correlation above 1": (of_raw("linear", "trained", [3.0] * 40), "and it lies from 0 to 1"),
    "streams of another length": (
        lambda made: all_of(made, "beyond", "length", 480),
        "length is 480, and streams of that lag have 60",
    ),
    "the networks of a lag that was learned well": (
        lambda made: all_of(all_of(made, "beyond", "lag", 1), "beyond", "length", 48),
        "lag is 1, and the climb leaves 20 for beyond",
    ),
    "a curriculum from nowhere": (
        of_raw("curriculum", "from", 12),
        "from is 12, not the last lag that the seed had passed",
    ),
    "a curriculum of who had learned": (
        of_raw("curriculum", "seed", 3, seed=6),
        "seed is 3, of which there is no curriculum at that lag",
    ),
    "less than no loss": (
        of_raw("copy", "recall", [-3.0] * 4),
        "recall[0] is -3.0, and it lies from 0",
        "lstm-copy",
    ),
    "a copy over the budget": (
        lambda made: all_of(made, "copy", "updates", [50_000, 100_000, 150_000, 200_000]),
        "updates are not 5000, 10000 and so on to at most 20,000",
        "lstm-copy",
    ),
    "a copy at another T": (
        of_raw("copy", "T", 5000),
        "T is 5000, which is not on the ladder",
        "lstm-copy",
    ),
    "a copy at another rate": (
        of_raw("copy", "rate", 0.03),
        "rate is 0.03, and that chosen for copy is 0.01",
        "lstm-copy",
    ),
    "a copy that ends early": (
        lambda made: shorter(made, "copy", 2),
        "raw has copies of T 100 that end before",
        "lstm-copy",
    ),
}


def all_of(made, kind, name, value):
    """Every raw row of a kind, with another value."""
    made["raw"] = [row | {name: value} if row["kind"] == kind else row for row in made["raw"]]
    return made


def shorter(made, kind, length):
    """The first raw row of a kind, its lists cut."""
    row = made["raw"][index(made, kind)]
    row.update({name: x[:length] for name, x in row.items() if isinstance(x, list)})
    return made


@pytest.mark.parametrize("kind", SIGNED)
def test_raw_rows_that_the_protocol_does_not_allow_are_refused_however_well_signed(kind):
    change, sentence, *of = SIGNED[kind]
    made = change(card(*of or ["lstm"]))
    with contextlib.suppress(
        ValueError, LookupError, ArithmeticError
    ):  # no rows follow from it at all
        made = signed(made)
    with pytest.raises(ConfigError) as said:
        cards.validate(made)
    assert sentence in str(said.value)


def test_a_change_that_is_allowed_and_signed_is_believed():
    """No signature: who makes up raw rows can sign them. The control of the tests above."""
    cards.validate(signed(better(card("lstm"))))
    cards.validate(signed(changed(("cell", "args", "features"), 5)(card("lstm"))))


def small():
    """A whole card of few raw rows."""
    raw = [*tuning_rows("stream", SMALL), *stream_runs(*NEVER), curriculum(1, 200)]
    raw += [jacobian(0, [2, 1, 0.5]), jacobian(1, [2, 1, 0.5])]
    raw += [row for row in card("lstm")["raw"] if row["kind"] == "price"]
    made = card("lstm-quick")
    identity = {"name": "small", "cell": made["cell"], "protocol": SMALL, "seeds": [0, 1]}
    return json.loads(json.dumps(cards.make(identity, raw, {}, made)))


def test_anything_at_all_is_refused_in_a_sentence_or_believed():
    """Each value of a card in turn is something else: nothing but ConfigError is raised."""
    odd = [None, True, -1, 0, 2.5, 10**6, "", [], {}, [[]], "x" * 2000]
    rng, whole, refused = random.Random(0), small(), 0
    cards.validate(whole)
    for _ in range(500):
        made = copy.deepcopy(whole)
        place, key = made, rng.choice(list(made))
        while isinstance(place[key], dict | list) and place[key] and rng.random() < 0.85:
            place = place[key]
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        place[key] = rng.choice(odd)
        with contextlib.suppress(KeyError):
            made["protocol_hash"] = atomic_files.digest_of(made["protocol"])
        try:
            cards.validate(made)
        except ConfigError:
            refused += 1
    assert 400 < refused < 500


def test_the_digest_is_of_all_but_the_times_the_device_and_the_versions():
    made = card("lstm")
    for name, value in (
        ("name", "other"), ("device", "gpu"), ("versions", {}), ("date", "2027-01-01"),
        ("seconds", {}),
    ):  # fmt: skip
        assert cards.digest_of(made | {name: value}) == made["digest"]
    slower = copy.deepcopy(made)
    slower["raw"][index(made, "price")]["train"]["1"] = [900.0]
    assert cards.digest_of(slower) == made["digest"]
    cards.validate(signed(slower))
    for name in ("cell", "protocol", "seeds", "not_measured"):
        assert cards.digest_of(made | {name: "other"}) != made["digest"]


def test_a_unit_in_the_sixth_digit_is_no_difference():
    made = card("lstm")
    made["rows"]["capacity"]["exact"]["median"] *= 1 + 4e-6
    cards.validate(made | {"digest": cards.digest_of(made)})
    made["rows"]["capacity"]["exact"]["median"] *= 1 + 4e-5
    with pytest.raises(ConfigError, match=r"rows\.capacity\.exact\.median"):
        cards.validate(made | {"digest": cards.digest_of(made)})


def test_a_card_of_another_protocol_is_valid_and_not_comparable():
    made = card("lstm")
    known = {atomic_files.digest_of(FULL), atomic_files.digest_of(QUICK)}
    assert cards.comparable(made, known) == (
        "lstm is a valid card, comparable with every other of protocol full, version 1."
    )
    made["protocol"] = made["protocol"] | {"version": 2}
    cards.validate(signed(made))
    assert "not comparable with those made here: its protocol full, version 2 (" in (
        cards.comparable(signed(made), known)
    )


def test_a_row_of_which_nothing_was_measured_has_its_reason():
    made = card("lstm-quick")
    assert made["not_measured"]["capacity"] == "the quick protocol does not measure it"
    identity = {name: made[name] for name in ("name", "cell", "protocol", "seeds")}
    bare = cards.make(identity, [], {"price": "no time"}, made)
    assert bare["not_measured"]["price"] == "no time"
    assert bare["not_measured"]["stream_span"] == "it was not asked for"
    cards.validate(bare)


# ---------------------------------------------------------------------------------- schema


def test_the_document_of_a_card_has_every_field_as_it_is_declared(root):
    text = (root / "docs" / "card.md").read_text()
    expected = json_types.document(schema.CARD)
    assert text.endswith("## Every field\n\n" + expected)
    for name in ("schema", "raw", "at_least", "state_numbers", "verdict", "loss_floor", "from"):
        assert f"| `{name}` |" in expected


def fields_of(value):
    """Every name in a tree of tables."""
    if isinstance(value, dict):
        return set(value).union(*map(fields_of, value.values()))
    return set().union(*map(fields_of, value)) if isinstance(value, list) else set()


def test_every_field_of_the_declaration_is_in_some_card():
    declared = set(re.findall(r"^\| `(\w+)` \|", json_types.document(schema.CARD), re.M))
    assert declared <= fields_of([card(name) for name in CARDS])


# ---------------------------------------------------------------------------------- files


def test_a_card_that_is_written_comes_back(tmp_path):
    for name in CARDS:
        paths = cards.write(
            card(name), tmp_path / "cards", lambda made: f"<svg>{made['name']}</svg>"
        )
        assert [path.name for path in paths] == [f"{name}.json", f"{name}.md", f"{name}.svg"]
        assert cards.read(paths[0]) == card(name)
    lines = (tmp_path / "cards" / "lstm.json").read_text().splitlines()
    assert sum(line.startswith('{"kind"') for line in lines) == len(raw_of("lstm"))
    assert (
        (tmp_path / "cards" / "mine.svg").read_text().startswith("<svg>mine</svg>\n<!-- generated")
    )


def test_a_card_is_written_again_only_over_itself_unless_it_may_replace_another(tmp_path):
    made = card("lstm")
    cards.write(made, tmp_path)
    cards.write(made | {"date": "2027-01-01"}, tmp_path)
    assert cards.read(tmp_path / "lstm.json")["date"] == "2027-01-01"
    other = card("gru") | {"name": "lstm"}
    other |= {"digest": cards.digest_of(other)}
    with pytest.raises(
        ConfigError, match=r"lstm\.json is another card, of 2027-01-01, and would be"
    ):
        cards.write(other, tmp_path)
    assert cards.read(tmp_path / "lstm.json")["digest"] == made["digest"]
    cards.write(other, tmp_path, replace=True)
    assert cards.read(tmp_path / "lstm.json") == json.loads(json.dumps(other))


@pytest.mark.parametrize("file", ["lstm.md", "lstm.svg"])
def test_nothing_is_written_where_somebody_changed_a_page(tmp_path, file):
    cards.write(card("lstm"), tmp_path, lambda _: "<svg/>")
    (tmp_path / file).write_text("mine\n")
    later = card("lstm") | {"date": "2027-01-01"}
    with pytest.raises(ConfigError, match="is not as it was generated"):
        cards.write(later, tmp_path, lambda _: "<svg/>")
    assert (tmp_path / file).read_text() == "mine\n"
    assert cards.read(tmp_path / "lstm.json")["date"] == "2026-11-25"


def test_a_file_that_is_no_card_is_not_overwritten_nor_is_a_bad_card_written(tmp_path):
    (tmp_path / "lstm.json").write_text("{}")
    with pytest.raises(ConfigError, match="the card has no field schema"):
        cards.write(card("lstm"), tmp_path)
    with pytest.raises(ConfigError, match="digest is"):
        cards.write(card("gru") | {"digest": "0" * 64}, tmp_path)
    assert not (tmp_path / "gru.json").exists()
    with pytest.raises(ConfigError, match="cannot be made"):
        cards.write(card("gru"), tmp_path / "lstm.json" / "cards")


NO_CARDS = {
    "NaN": (b'{"schema": 1, "name": NaN}', "it has NaN where a number or null stands"),
    "Infinity": (b'{"schema": -Infinity}', "it has -Infinity where a number or null stands"),
    "a number too large": (b'{"schema": 1e999}', "schema is inf, not a whole number"),
    "cut": (b'{"schema": 1, "name": "ls', "it is no JSON"),
    "no UTF-8": (b'{"schema": "\xff\xfe"}', "it is no JSON"),
    "too deep": (b"[" * 100_000, "it is no JSON"),
    "digits without end": (b'{"schema": ' + b"1" * 5000 + b"}", "it is no JSON"),
    "a list": (b"[]", "the card is [], not a table"),
}


@pytest.mark.parametrize("kind", NO_CARDS)
def test_a_file_that_is_no_card_is_refused_in_a_sentence(tmp_path, kind):
    data, sentence = NO_CARDS[kind]
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ConfigError) as said:
        cards.read(tmp_path / "a.json")
    assert sentence in str(said.value)
    assert str(said.value).startswith(f"{tmp_path / 'a.json'}")
    assert str(said.value).endswith(": use a card as scripts/probe.py wrote it")


def test_cards_are_read_without_jax():
    code = "import sys; from echo_jax.memory_cards import card_file; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


# ---------------------------------------------------------------------------------- words


def words(name):
    return {row: (value, note) for row, value, note in cards.glance(card(name))}


def test_every_score_of_a_glance_has_its_interval_its_floor_and_its_seeds():
    for name in CARDS:
        for row, value, note in cards.glance(card(name)):
            scored = row.startswith(("stream", "hold", "capacity", "linear", "beyond", "copy"))
            if scored and value != "not measured":
                seeds = 6 if name == "irnn" and row == "beyond" else 8
                said = rf"to .* \(9\d\.\d%\); floor \S+.*; {seeds} seeds"
                assert re.search(said, note), (row, note)
            assert note


def test_a_glance_says_what_was_measured():
    said = words("lstm")
    assert list(said)[:6] == [
        "stream span", "stream span at 60%", "hold span", "hold span at 60%", "capacity",
        "linear capacity",
    ]  # fmt: skip
    assert said["stream span"] == (
        "20 steps back", "20 to 30 (93.0%); floor 0; 8 seeds; next rung 30",
    )  # fmt: skip
    assert words("ssm")["stream span"][1].startswith("300 to at least 500 (93.0%)")
    assert words("lru")["stream span at 60%"][0] == "at least 500 steps back"
    assert said["learning, stream"][1].endswith("8 of 8 seeds arrived")
    lost = words("irnn")["learning, stream"][1]
    assert lost.endswith("; the loss of 2 became no number at some lag")
    assert said["cause"][0] == "could not learn"
    assert "4 of 6 did when trained on from a shorter lag" in said["cause"][1]
    assert said["price"][0] == "10,902 parameters, 400 bytes of state"
    assert "floor 2.08 nats" in words("lstm-copy")["copy memory, T = 1,000"][1]
    assert "floor 50.00%" in said["beyond"][1]


def test_a_glance_says_why_a_row_was_not_measured():
    said = words("lstm-quick")
    assert said["capacity"] == ("not measured", "the quick protocol does not measure it")
    assert said["copy memory"] == ("not measured", "it has a time of its own: --task copy")


@pytest.mark.parametrize(
    ("by_seed", "at_least", "is_at_least"),
    [
        ([5] * 8, [False] * 8, False),
        ([5] * 8, [True] + [False] * 7, False),  # the median of the others is 5 all the same
        ([5] * 8, [True] * 4 + [False] * 4, False),  # the lower of the two in the middle
        ([5] * 8, [True] * 5 + [False] * 3, True),
        ([5] * 4 + [8] * 4, [False] * 4 + [True] * 4, False),
        ([12] * 4 + [20] * 4, [False] * 8, False),
        ([3] * 5 + [8] * 3, [False] * 5 + [True] * 3, False),
        ([5], [True], True),
    ],
)
def test_a_median_is_a_lower_bound_where_longer_spans_of_such_seeds_would_raise_it(
    by_seed, at_least, is_at_least
):
    span = span_estimate(by_seed) | {"at_least": at_least}
    assert card_text.reach(span).at_least == is_at_least


def test_the_page_of_a_card_says_what_its_numbers_support():
    text = cards.markdown(card("lstm"), "lstm.svg")
    assert text.startswith("# Memory card: lstm\n\nThe cell lstm with features=50 by protocol full")
    assert "![The memory card of lstm](<lstm.svg>)" in text
    assert "hands back the token of 20 steps before (8 seeds; 20 to 30, 93.0%; floor 0)" in text
    assert (
        "2 did, and 4 of 6 did when trained on from a shorter lag: they could not learn it" in text
    )
    assert "| 30 | never | 1,800 to never | 2 of 8 |" in text
    assert "python scripts/probe.py --cell lstm --cell-args features=50 --protocol full" in text
    assert text.count("\n| ") > 30


def test_the_page_has_every_line_of_the_glance():
    for name in CARDS:
        text = cards.markdown(card(name)).replace("\\", "")
        for line in card_text.lines(card(name)):
            assert f"| {line.row} | {line.value} |" in text
        assert "None" not in text
        assert "nan" not in text
        assert "svg" not in text


def test_the_page_claims_nothing_that_is_not_there():
    nothing = cards.markdown(card("no-memory"))
    assert "It was not seen to hand back any past token" in nothing
    assert "It was not seen to hold a value" in nothing
    assert "was not seen to hold anything about the past" in nothing
    assert "hands back the token" not in nothing
    assert "No limit was found: every seed reached every rung, to lag 500." in cards.markdown(
        card("lru")
    )
    assert "at least 500 steps" in cards.markdown(card("lru"))
    gru = cards.markdown(card("gru"))
    assert "whether such cells could not hold it or could not learn it is undetermined" in gru
    quick = cards.markdown(card("lstm-quick")).split("### How to read it")[0]
    assert "bits about the past" not in quick
    assert "could not" not in quick
    mine = cards.markdown(card("mine"))
    assert "the token of 5 steps before" in mine
    assert "the SHA-256 of its file is abababababab..." in mine


def test_one_seed_has_no_interval():
    protocol = SMALL | {"seeds": 1}
    raw = [*tuning_rows("stream", protocol), run("stream", 1, 0, protocol, 100)]
    raw += [run("stream", 2, 0, protocol)]
    made = card("lstm-quick")
    identity = {"name": "one", "cell": made["cell"], "protocol": protocol, "seeds": [0]}
    made = cards.make(identity, raw, {}, made)
    cards.validate(made)
    assert cards.glance(made)[0] == (
        "stream span", "1 step back", "floor 0; 1 seed, no interval; next rung 2",
    )  # fmt: skip
    assert "1 step before (1 seed, no interval; floor 0)" in cards.markdown(made)


def test_a_name_or_device_with_marks_stands_for_itself_on_the_page():
    made = card("mine") | {"device": "a | b <script> *c*"}
    assert r"on a \| b \<script\> \*c\*" in cards.markdown(made)
