"""Which cards are refused: edited ones, and well-signed ones that contradict their protocol."""

import contextlib
import json
import random

import pytest
from protocol_2_cards import (
    copied,
    missed,
    run,
    signed,
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
    (of_raw("run", "rung", "1"), "raw[0].rung is '1' (expected `int`, got `str`)"),
    (changed(("protocol", "budget"), 9000), "not that of the protocol in it"),
    (changed(("digest",), "0" * 64), "digest is 000000000000..., not that of the content"),
    (changed(("rows", "ladders", "lag-2", "mean"), 30.0),
     "rows.ladders.lag-2.mean is 30.0 and the raw rows give 5.8259"),
    (changed(("rows", "cause", "verdict"), "could not learn"),
     "rows.cause.verdict is 'could not learn' and the raw rows give 'undetermined'"),
    (changed(("rows", "copy"), "\x1b"), "the card has control characters in '\\x1b'"),
    (better, "digest is "),
    (changed(("not_measured",), {}), "not_measured has no reason for 'copy'"),
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
    "a run twice": (twice, "is of the same run as raw[3]"),
    "without a seed": (dropped(kind="run", seed=1), "raw has no run of seed 1 on lag-2"),
    "a skip after a miss": (
        lambda card: added(*missed(4, 0))(dropped(**RUNS_OF_4, seed=0)(card)),
        "raw skips lag-2 2, and not all seeds passed the next coarse rung in its place",
    ),
    "two seeds of eight": (
        changed(("protocol", "seeds"), 8), "seeds has 2 different ones, and the protocol 8",
    ),
    "an unknown rung": (of_raw("run", "rung", 5), ".rung is 5, which is none of those of the"),
    "an unknown rate": (of_raw("run", "rate", 0.02), ".rate is 0.02, which is none of those"),
    "one of an evaluation below the threshold": (
        of_run(4, 0, accuracy=[0.5, 0.98], confirmed=[[1, 1.0]]),
        ".confirmed is of evaluation 1, which is below the threshold",
    ),
    "evaluations after a pass": (
        of_run(4, 0, accuracy=[0.5, 1.0, 0.5]),
        ".accuracy has 3 entries, and the run passed after 200 updates",
    ),
    "more evaluations than the budget has": (
        of_run(8, 0, accuracy=[0.5] * 6), ".accuracy has 6 entries where the budget allows 5",
    ),
    "a state of one byte": (
        of_raw("price", "state_bytes", 1), "seed 0 on key-16 4 shows 10.7 bits, and the whole",
    ),
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


@pytest.mark.parametrize(("change", "sentence"), SIGNED.values(), ids=SIGNED)
def test_raw_rows_that_contradict_the_protocol_are_refused_however_well_signed(change, sentence):
    changed_card = change(whole())
    with contextlib.suppress(ValueError, LookupError, StopIteration, TypeError, RuntimeError):
        changed_card = signed(changed_card)  # of some no summary can be computed at all
    changed_card["protocol_hash"] = atomic_files.digest_of(changed_card["protocol"])
    assert sentence in refused(changed_card)


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
