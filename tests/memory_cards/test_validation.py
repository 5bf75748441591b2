"""Which cards are refused: edited ones, and well-signed ones that contradict their protocol."""

import contextlib
import copy
import json
import random
import subprocess
import sys

import pytest
from protocol_2_cards import (
    SMALL,
    bits,
    copied,
    curriculum,
    lag_rows,
    made,
    missed,
    price,
    run,
    signed,
    skipped,
    stopped,
    whole,
)  # fmt: skip

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import card_file
from echo_jax.memory_cards.summary import summarize


def index(card, kind, **fields):
    wanted = {"kind": kind, **fields}
    return next(i for i, row in enumerate(card["raw"]) if wanted.items() <= row.items())


def changed(path, value):
    """A change of the value at a path of names and indices."""

    def change(card):
        *above, last = path
        place = card
        for name in above:
            place = place[name]
        place[last] = value
        return card

    return change


def of_raw(kind, name, value, **fields):
    """A change of one field of the first raw row of a kind."""
    return lambda card: changed(("raw", index(card, kind, **fields), name), value)(card)


def of_run(rung, seed, **fields):
    """A change of some fields of the first run of a seed at a lag."""

    def change(card):
        card["raw"][index(card, "run", ladder="lag-2", rung=rung, seed=seed)] |= fields
        return card

    return change


def better(card):
    """A raw row that says more than was measured, and the summary of it."""
    card["raw"][index(card, "run", rung=6, seed=1)] = run(6, 1)
    card["raw"].append(card["raw"][index(card, "beyond")] | {"seed": 1})
    reasons = card["not_measured"] | {"lag-2": "no time"}  # for the rung above
    return card | {"rows": summarize(card["raw"], card["protocol"]), "not_measured": reasons}


def smaller(card):
    card["raw"][index(card, "price")]["parameters"] = 1
    card["rows"]["price"]["parameters"] = 1
    return card


def refused(card):
    with pytest.raises(ConfigError) as said:
        card_file.validate(card)
    assert str(said.value).isprintable()
    assert str(said.value).endswith(": use a card as probe wrote it")
    return str(said.value)


def test_cards_as_they_are_made_are_valid():
    for made_up in (whole(), stopped(), copied()):
        card_file.validate(made_up)
        card_file.validate(json.loads(card_file.dumped(made_up)))


EDITED = [
    (changed(("schema",), 3), "schema is 3, and this version of echo_jax reads 2 alone"),
    (changed(("schema",), True), "schema is True (expected `int`, got `bool`)"),
    (changed(("colour\x1b",), 1), "the card is wrong (object contains unknown field `colour?`)"),
    (of_raw("run", "rung", "1"), "raw[0].rung is '1' (expected `int`, got `str`)"),
    (of_raw("run", "accuracy", [1.2]), "raw[0].accuracy[0] is 1.2 (expected `float` <= 1.0)"),
    (of_raw("run", "confirmed", [[1]]), "raw[0].confirmed[0] is wrong (expected `array` of length"),
    (of_raw("beyond", "accuracy", [-0.1] * 2), "accuracy[0] is -0.1 (expected `float` >= 0.0)"),
    (of_raw("price", "kind", "gift"), "kind is 'gift' (invalid value 'gift')"),
    (of_raw("price", "stream", {"1": []}), "expected `array` of length >= 1"),
    (changed(("protocol", "track"), "brick"), "track is 'brick' (invalid enum value 'brick')"),
    (changed(("protocol", "version"), 1), "protocol.version is 1 (expected `int` >= 2)"),
    (changed(("protocol", "budget"), 9000), "not that of the protocol in it"),
    (changed(("date",), "2026-02-31"), "date is '2026-02-31' (invalid"),
    (changed(("digest",), "0" * 64), "digest is 000000000000..., not that of the content"),
    (changed(("rows", "ladders", "lag-2", "mean"), 30.0),
     "rows.ladders.lag-2.mean is 30.0 and the raw rows give 5.8259"),
    (changed(("rows", "ladders", "lag-2", "by_seed", 1, "passed"), 6),
     "rows.ladders.lag-2.by_seed[1].passed is 6 and the raw rows give 4"),
    (changed(("rows", "cause", "verdict"), "could not learn"),
     "rows.cause.verdict is 'could not learn' and the raw rows give 'undetermined'"),
    (changed(("rows", "beyond"), None), "rows.beyond is None and the raw rows give {'lag'"),
    (changed(("rows", "price", "train", "1"), 1.0), "rows.price.train.1 is 1.0 and the raw rows"),
    (changed(("rows", "price", "train", "1"), True), "rows.price.train.1 is True and the raw rows"),
    (changed(("rows", "ladders", "lag-2", "at_least"), 0),
     "at_least is 0 and the raw rows give False"),
    (changed(("rows", "price", "x"), {}), "rows.price has 'x', unlike the summary of the raw rows"),
    (changed(("rows",), {"price": None}), "rows lacks 'beyond', unlike the summary of the raw"),
    (changed(("rows", "cause"), float("nan")), "rows.cause is nan and the raw rows give {'lag'"),
    (changed(("rows", "cause", "lag"), 10**400), "rows.cause.lag is 10000"),
    (changed(("rows", "copy"), "\x1b"), "the card has control characters in '\\x1b'"),
    (better, "digest is "),
    (smaller, "digest is "),
    (changed(("cell", "args", "features"), 6), "digest is "),
    (changed(("not_measured", "cause"), "no time"), "not_measured has a reason for 'cause'"),
    (changed(("not_measured",), {}), "not_measured has no reason for 'copy'"),
    (changed(("not_measured", "lag-2"), "no time"), "not_measured has a reason for 'lag-2'"),
    (changed(("not_measured", "rest"), "no time"), "digest is "),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), EDITED)
def test_an_edited_card_is_refused_by_its_first_fault(change, sentence):
    assert sentence in refused(change(whole()))


def twice(card):
    card["raw"].append(dict(card["raw"][index(card, "run", rung=4, seed=1)]))
    return card


def dropped(**fields):
    """Without the raw rows that have all of these."""

    def change(card):
        card["raw"] = [row for row in card["raw"] if not fields.items() <= row.items()]
        return card

    return change


def added(*rows):
    return lambda card: card | {"raw": [*card["raw"], *rows]}


def ladders(number, **fields):
    """A change of some fields of a ladder of the protocol."""

    def change(card):
        card["protocol"]["ladders"][number] |= fields
        return card

    return change


RUNS_OF_4 = {"ladder": "lag-2", "rung": 4}
SIGNED = {
    # rows that were left out, or added
    "a run twice": (twice, "is of the same run as raw[3]"),
    "a bit row twice": (added(bits(0, [1.0, 1.0])), "is of the same run as raw["),
    "without a seed": (dropped(kind="run", seed=1), "raw has no run of seed 1 on lag-2"),
    "without a seed on one ladder": (
        dropped(ladder="key-16", seed=1), "raw has no run of seed 1 on key-16",
    ),
    "without a seed in the bits": (dropped(kind="bits", seed=1), "raw has no bits row of seed 1"),
    "without a linear seed": (dropped(kind="linear", seed=0), "raw has no linear row of seed 0"),
    # skips
    "a skip after a miss": (
        lambda card: added(*missed(4, 0))(dropped(**RUNS_OF_4, seed=0)(card)),
        "raw skips lag-2 2, and not all seeds passed the next coarse rung in its place",
    ),
    "a skip of a ladder that was not run": (
        dropped(kind="run", ladder="lag-2"), "raw skips lag-2 2, and not all seeds passed",
    ),
    "a skip below a rung that is not coarse": (
        lambda card: added(skipped(6))(dropped(kind="run", rung=6)(card)),
        "raw skips lag-2 6, and not all seeds",
    ),
    "a skip of a rung that has runs": (
        added(run(2, 0)), "raw skips lag-2 2, and not all seeds passed the next coarse rung in its",
    ),
    "a skip of a coarse rung": (
        lambda card: added(skipped(1))(dropped(kind="run", ladder="lag-2", rung=1)(card)),
        "raw skips lag-2 1, and not all seeds",
    ),
    "a skip of an unknown rung": (added(skipped(5)), ".rung is 5, which is none of those"),
    # seeds, rates, ladders and rungs that are not those of the protocol
    "two seeds of eight": (
        changed(("protocol", "seeds"), 8), "seeds has 2 different ones, and the protocol 8",
    ),
    "one seed twice": (
        changed(("seeds",), [0, 0]), "seeds has 1 different ones, and the protocol 2",
    ),
    "an unknown seed": (of_raw("bits", "seed", 9), ".seed is 9, which is none of those of the"),
    "an unknown ladder": (
        of_raw("run", "ladder", "lag-3"), ".ladder is 'lag-3', which is none of those of the",
    ),
    "an unknown ladder of bits": (of_raw("bits", "ladder", "x"), ".ladder is 'x', which is none"),
    "an unknown rung": (of_raw("run", "rung", 5), ".rung is 5, which is none of those of the"),
    "a rung between others by key": (
        lambda card: of_raw("run", "rung", 3, ladder="key-16")(
            changed(("protocol", "refine"), True)(card)
        ), ".rung is 3, which is none",
    ),
    "a rung of a cell without parameters by key": (
        lambda card: of_raw("run", "rung", 16, ladder="key-16")(
            changed(("protocol", "exact_lags"), [16])(card)
        ), ".rung is 16, which is none",
    ),
    "an unknown rate": (of_raw("run", "rate", 0.02), ".rate is 0.02, which is none of those"),
    "a ladder that falls": (ladders(0, rungs=[2, 1]), "protocol.ladders[0].rungs does not rise"),
    "two ladders of a name": (ladders(1, name="lag-2"), "protocol.ladders has two of one name"),
    "more keys than there are": (
        ladders(1, rungs=[2, 4, 9]), "protocol.ladders[1].rungs has more keys than half of its",
    ),
    "no length of a marked sequence": (
        ladders(1, task="marked"), "protocol.marked_among lacks a rung of ladders[1]",
    ),
    # confirmations that lie
    "one of an evaluation below the threshold": (
        of_run(4, 0, accuracy=[0.5, 0.98], confirmed=[[1, 1.0]]),
        ".confirmed is of evaluation 1, which is below the threshold",
    ),
    "one of an evaluation that was not finite": (
        of_run(4, 0, accuracy=[0.5, None], confirmed=[[1, 1.0]]),
        ".confirmed is of evaluation 1, which is below the threshold",
    ),
    "none of an evaluation that reaches it": (
        of_run(6, 1, accuracy=[0.5, 0.995, 0.5, 0.5, 0.5]),
        ".confirmed lacks evaluation 1, which reaches the threshold",
    ),
    "one of no evaluation": (
        of_run(4, 0, confirmed=[[2, 1.0]]), ".confirmed is of evaluation 2, of 2",
    ),
    "two of one evaluation": (
        of_run(4, 0, confirmed=[[1, 0.5], [1, 1.0]]), ".confirmed does not rise",
    ),
    "evaluations after a pass": (
        of_run(4, 0, accuracy=[0.5, 1.0, 0.5]),
        ".accuracy has 3 entries, and the run passed after 200 updates",
    ),
    "a second pass": (
        of_run(4, 0, accuracy=[1.0, 1.0], confirmed=[[0, 1.0], [1, 1.0]]),
        ".accuracy has 2 entries, and the run passed after 100 updates",
    ),
    # lists that are not as long, or not the same
    "more evaluations than the budget has": (
        of_run(8, 0, accuracy=[0.5] * 6), ".accuracy has 6 entries where the budget allows 5",
    ),
    "a short linear row": (of_raw("linear", "trained", [0.1]), ".trained has 1 entries, and not 2"),
    "a short jacobian": (of_raw("jacobian", "after", [1.0]), ".after has 1 entries, and not 9"),
    "other lags": (of_raw("linear", "lags", [2, 3]), ".lags is not that of the protocol"),
    "other lags of all": (
        changed(("protocol", "linear_lags"), 3), ".lags has 2 entries, and not 3",
    ),
    "more lags than a network may have": (
        added(bits(0, [1.0] * 3, 3), bits(1, [1.0] * 3, 3)),
        ".lags is 3, which is none of those of the protocol",
    ),
    "fewer bits than lags": (of_raw("bits", "exact", [0.5]), ".exact has 1 entries, and not 2"),
    "other factors": (of_raw("beyond", "times", [1, 9]), ".times is not that of the protocol"),
    "another lag in a jacobian": (
        of_raw("jacobian", "lag", 7, seed=1), ".before has 9 entries, and not 8",
    ),
    "another lag of a curriculum": (
        added({"kind": "curriculum", "from": 4, **{k: v for k, v in missed(6, 1)[0].items()
                                                  if k != "kind"}}),
        ".rung is 6, and 8 in raw[",
    ),
    # more than a state can hold
    "a state of one byte": (
        of_raw("price", "state_bytes", 1), "seed 0 on key-16 4 shows 10.7 bits, and the whole",
    ),
    "a state of one byte that a curriculum contradicts": (
        lambda card: added(curriculum(200, 1, 4, passes=True))(
            of_raw("price", "state_bytes", 2)(
                of_raw("curriculum", "rung", 200)(ladders(0, rungs=[1, 2, 3, 4, 6, 8, 200])(card))
            )
        ), "the curriculum of seed 1 on lag-2 200 shows 198.1 bits, and the whole state of 2 bytes",
    ),
    "no price": (
        dropped(kind="price"), "raw has no price row, so nothing says how many bits its state has",
    ),
    "no longer streams of a network that passed": (
        dropped(kind="beyond"), "raw has no beyond row of seed 0 at lag 6",
    ),
    "no cause of a seed that missed": (
        dropped(kind="jacobian", seed=1), "raw has no jacobian row of seed 1 at lag 8",
    ),
    # networks that cannot be those that passed
    "chance on streams of the same length": (
        of_raw("beyond", "accuracy", [0.5, 0.5]),
        "accuracy is 0.5 on fresh streams as long as in training, and seed 0 passed lag-2 6",
    ),
    "an answer that depends on nothing": (
        lambda card: of_run(8, 0, accuracy=[0.5, 1.0], confirmed=[[1, 1.0]])(
            of_raw("jacobian", "change", 0, seed=0)(dropped(kind="curriculum")(card))
        ),
        ".change is 0, so no answer depends on the token that is asked for, and seed 0 passed",
    ),
}  # fmt: skip
SIGNED_COPIES = {
    "without a seed": (dropped(T=1000, seed=0), "raw has no copy row of seed 0"),
    "another T": (of_raw("copy", "T", 5000), ".T is 5000, which is none of those of the protocol"),
    "other updates": (of_raw("copy", "updates", [1, 2]), ".updates is not that of the protocol"),
    "a loss below zero": (
        of_raw("copy", "recall", [-3.0] * 2), "recall[0] is -3.0 (expected `float` >= 0.0)",
    ),
    "more updates than the budget": (
        changed(("protocol", "budget"), 500), ".updates has 2 entries, and not 1",
    ),
}  # fmt: skip
CASES = [(whole, *SIGNED[name]) for name in SIGNED]
CASES += [(copied, *SIGNED_COPIES[name]) for name in SIGNED_COPIES]


@pytest.mark.parametrize(
    ("card", "change", "sentence"), CASES, ids=[*SIGNED, *(f"copy {x}" for x in SIGNED_COPIES)]
)
def test_raw_rows_that_contradict_the_protocol_are_refused_however_well_signed(
    card, change, sentence
):
    changed_card = change(card())
    with contextlib.suppress(ValueError, LookupError, StopIteration, TypeError, RuntimeError):
        changed_card = signed(changed_card)  # of some no summary can be computed at all
    changed_card["protocol_hash"] = atomic_files.digest_of(changed_card["protocol"])
    assert sentence in refused(changed_card)


@pytest.mark.parametrize(
    "change",
    [
        better,
        changed(("cell", "args", "features"), 6),
        changed(("protocol", "version"), 3),
        of_run(8, 0, accuracy=[0.5, 0.995, 0.98, 0.5, 0.5], confirmed=[[1, 0.985]]),
        of_run(6, 1, accuracy=[0.5] * 3),  # cut by the time
        # seed 1 passed 8 at a leap, and missed 6: it is not measured beyond
        lambda card: of_run(8, 1, accuracy=[0.5, 1.0], confirmed=[[1, 1.0]])(
            of_run(8, 0, accuracy=[0.5, 1.0], confirmed=[[1, 1.0]])(
                of_raw("beyond", "lag", 8)(
                    dropped(kind="jacobian")(dropped(kind="curriculum")(card))
                )
            )
        ),
        lambda card: added(run(5, 0), run(7, 1))(changed(("protocol", "refine"), True)(card)),
        lambda card: added(run(16, 0))(changed(("protocol", "exact_lags"), [16])(card)),
        lambda card: added(run(12, 0))(  # a refinement above the ladder, of an exact memory
            changed(("protocol", "refine"), True)(changed(("protocol", "exact_lags"), [16])(card))
        ),
        added(*(bits(seed, [1.0] * 4, 4) for seed in (0, 1))),
        # rounded to the threshold: it was confirmed, or not
        of_run(6, 1, accuracy=[0.5, 0.5, 0.5, 0.5, 0.99]),
        of_run(8, 0, accuracy=[0.5, 0.5, 0.5, 0.5, 0.99], confirmed=[[4, 0.98]]),
    ],
)
def test_a_change_that_is_allowed_and_signed_is_valid(change):
    """A digest is no signature: it can be computed of invented rows. The control of the above."""
    card_file.validate(signed(change(whole())))


def test_a_card_that_claims_more_bits_than_its_whole_state_is_refused_at_any_seed():
    rows = [run(rung, seed, share=1.0) for rung in (1, 4, 8) for seed in (0, 1)]
    rows = [*rows, skipped(2), skipped(3), skipped(6)]
    beyond = whole()["raw"][index(whole(), "beyond")]
    rows += [beyond | {"lag": 8, "seed": seed} for seed in (0, 1)]
    card_file.validate(made([*rows, price(1)]))  # 8 lags in 8 bits: less than 8 are shown
    said = refused(made([*rows, price(0)]))
    assert said.startswith("the run of seed 0 on lag-2 8 shows 7.9 bits, and the whole state of 0 ")
    card_file.validate(made([*rows, price(0, convolution_bytes=1)]))
    one_of_two = [row for row in lag_rows() if row["kind"] != "price"]
    found = made([*one_of_two, price(0)])
    assert "the run of seed 0 on lag-2 6 shows 5.9 bits" in refused(found)
    network = [bits(seed, [5.0, 5.0], state_numbers=1) for seed in (0, 1)]
    assert "rows.bits (lag-2, 2 lags) shows 10.0 bits" in refused(made([*network, price(1)]))
    card_file.validate(made([*network, price(2)]))


def test_could_not_hold_is_refused_beside_a_pass_at_its_lag():
    card = whole()
    card["raw"] = [row for row in card["raw"] if row["kind"] != "curriculum"]
    for row in card["raw"]:
        if row["kind"] == "jacobian":
            row |= {"before": [*row["before"][:-1], 0], "after": [*row["after"][:-1], 0],
                    "change": 0.0}  # fmt: skip
    held = signed(copy.deepcopy(card))
    card_file.validate(held)
    assert held["rows"]["cause"]["verdict"] == "could not hold"
    # one of the seeds passed that lag after all; the verdict stays as it was
    card["raw"][index(card, "run", ladder="lag-2", rung=8, seed=0)] = run(8, 0)
    card["raw"] = [row for row in card["raw"] if (row.get("rung"), row.get("rate")) != (8, 0.003)]
    passed = signed(card)
    passed["rows"]["cause"] = held["rows"]["cause"]
    passed["digest"] = card_file.digest_of(passed)
    assert "rows.cause" in refused(passed)


PRICE = index(whole(), "price")
HUGE = [
    *(("protocol", name) for name, value in SMALL.items()
      if type(value) is int and name != "version"),
    ("protocol", "ladders", 0, "rungs", -1), ("protocol", "ladders", 1, "rungs", -1),
    ("protocol", "ladders", 1, "vocab_size"), ("protocol", "exact_lags"),
    ("protocol", "beyond", -1), ("protocol", "marked_among", "4"), ("seeds", -1),
    ("raw", 0, "rung"), ("raw", -1, "lags", 0), ("raw", -3, "lags"), ("raw", PRICE, "state_bytes"),
]  # fmt: skip


def test_a_huge_number_is_read_in_no_more_memory_than_any_other(tmp_path):
    """In a process that may use little memory and time, as a failure would take all of both."""
    assert [whole()["raw"][i]["kind"] for i in (-1, -3)] == ["linear", "bits"]
    number = 0
    for path in HUGE:
        for huge in (10**9, 2**53):
            card = changed(path, [huge] if path[-1] == "exact_lags" else huge)(whole())
            if path[:3] == ("protocol", "ladders", 1):  # as many keys as can be asked for
                card = ladders(1, vocab_size=2**53)(card)
                of_key = [row for row in card["raw"] if row.get("ladder") == "key-16"]
                for row in of_key:
                    row["rung"] = huge if row["rung"] == 2 else row["rung"]
            card["protocol_hash"] = atomic_files.digest_of(card["protocol"])
            (tmp_path / f"{number}.json").write_text(json.dumps(card))
            number += 1
    (tmp_path / "valid").write_text(card_file.dumped(whole()))
    code = """
import pathlib, resource, sys
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import card_file
folder = pathlib.Path(sys.argv[1])
card_file.read(folder / "valid")  # which imports what is imported late
used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 2**20,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
for path in folder.glob("*.json"):
    try:
        card_file.read(path)
    except ConfigError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    assert len(done.stdout.splitlines()) == number


def test_any_change_is_refused_in_a_sentence_or_valid():
    """Each value of a card in turn is replaced: nothing but ConfigError is raised."""
    odd = [None, True, -1, 0, 1, 2.5, 10**6, "", "key", "marked", [], {}, [[]], "x" * 2000]
    rng, refusals = random.Random(0), 0
    for number in range(600):
        card = whole() if number % 3 else copied()
        place, key = card, rng.choice(list(card))
        while isinstance(place[key], dict | list) and place[key] and rng.random() < 0.85:
            place = place[key]
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        place[key] = rng.choice(odd)
        with contextlib.suppress(KeyError):
            card["protocol_hash"] = atomic_files.digest_of(card["protocol"])
        try:
            card_file.validate(card)
        except ConfigError:
            refusals += 1
    assert 450 < refusals < 600


def test_a_unit_in_the_sixth_digit_is_no_difference():
    card = whole()
    card["rows"]["ladders"]["lag-2"]["mean"] *= 1 + 4e-6
    card_file.validate(card | {"digest": card_file.digest_of(card)})
    card["rows"]["ladders"]["lag-2"]["mean"] *= 1 + 4e-5
    assert "rows.ladders.lag-2.mean" in refused(card | {"digest": card_file.digest_of(card)})
