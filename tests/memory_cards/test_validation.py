"""Which cards are refused: edited ones, and well-signed ones that contradict their protocol."""

import contextlib
import copy
import json
import random
import subprocess
import sys

import pytest
from fabricated_cards import (
    FULL,
    SMALL,
    card,
    curriculum,
    jacobian,
    run,
    signed,
    stream_runs,
    tuning_rows,
)  # fmt: skip

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import card_file
from echo_jax.memory_cards.summary import summarize


def index(made, kind, **fields):
    wanted = {"kind": kind, **fields}
    return next(i for i, row in enumerate(made["raw"]) if wanted.items() <= row.items())


def changed(path, value):
    """A change of the value at a path of names and indices."""

    def change(made):
        *above, last = path
        place = made
        for name in above:
            place = place[name]
        place[last] = value
        return made

    return change


def of_raw(kind, name, value, **fields):
    """A change of one field of the first raw row of a kind."""
    return lambda made: changed(("raw", index(made, kind, **fields), name), value)(made)


def better(made):
    """A raw row that says more than was measured, and the summary of it."""
    place = index(made, "run", task="stream", lag=30, seed=0)
    made["raw"][place] = run("stream", 30, 0, FULL, 100)
    return made | {"rows": summarize(made["raw"], made["protocol"])}


def smaller(made):
    made["raw"][index(made, "price")]["parameters"] = 1
    made["rows"]["price"]["parameters"] = 1
    return made


EDITED = [
    (changed(("schema",), 2), "schema is 2, and this version of echo_jax reads 1 alone"),
    (changed(("colour\x1b",), 1), "the card is wrong (object contains unknown field `colour?`)"),
    (of_raw("run", "lag", "1"), "raw[6].lag is '1' (expected `int`, got `str`)"),
    (of_raw("run", "accuracy", [1.2]), "raw[6].accuracy[0] is 1.2 (expected `float` <= 1.0)"),
    (of_raw("beyond", "accuracy", [-0.1] * 7), "accuracy[0] is -0.1 (expected `float` >= 0.0)"),
    (of_raw("price", "kind", "gift"), "kind is 'gift' (invalid value 'gift')"),
    (of_raw("price", "stream", {"1": []}), "expected `array` of length >= 1"),
    (changed(("protocol", "budget"), 9000), "not that of the protocol in it"),
    (changed(("date",), "2026-02-31"), "date is '2026-02-31' (invalid"),
    (changed(("digest",), "0" * 64), "digest is 000000000000..., not that of the content"),
    (changed(("rows", "stream_span", "0.99", "median"), 30.0),
     "rows.stream_span.0.99.median is 30.0 and the raw rows give 20.0"),
    (changed(("rows", "cause", "verdict"), "no limit found"),
     "rows.cause.verdict is 'no limit found' and the raw rows give 'could not learn'"),
    (changed(("rows", "beyond"), None), "rows.beyond is None and the raw rows give {'lag'"),
    (changed(("rows", "price", "train", "1"), 1.0), "rows.price.train.1 is 1.0 and the raw rows"),
    (changed(("rows", "price", "train", "1"), True), "rows.price.train.1 is True and the raw rows"),
    (changed(("rows", "rates", "stream", "decided"), 1), "decided is 1 and the raw rows give True"),
    (changed(("rows", "price", "x"), {}), "rows.price has 'x', unlike the summary of the raw rows"),
    (changed(("rows",), {}), "rows lacks 'beyond', unlike the summary of the raw rows"),
    (changed(("rows", "cause"), float("nan")), "rows.cause is nan and the raw rows give {'lag'"),
    (changed(("rows", "cause", "lag"), 10**400), "rows.cause.lag is 10000"),
    (changed(("rows", "copy"), "\x1b"), "the card has control characters in '\\x1b'"),
    (better, "digest is "),
    (smaller, "digest is "),
    (changed(("cell", "args", "features"), 5), "digest is "),
    (of_raw("tune", "accuracy", [0.9]), "rate is 0.01, and 0.003 was chosen for its task"),
    (changed(("not_measured", "cause"), "no time"), "not_measured has a reason for 'cause'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), EDITED)
def test_an_edited_card_is_refused_by_its_first_fault(change, sentence):
    with pytest.raises(ConfigError) as said:
        card_file.validate(change(card("lstm")))
    assert sentence in str(said.value)
    assert str(said.value).endswith(": use a card as probe wrote it")
    assert str(said.value).isprintable()


def twice(made):
    made["raw"].append(dict(made["raw"][index(made, "run", lag=2, seed=3)]))
    return made


def dropped(**fields):
    """Without the raw rows that have all of these."""

    def change(made):
        made["raw"] = [row for row in made["raw"] if not fields.items() <= row.items()]
        return made

    return change


def both(first, second):
    return lambda made: second(first(made))


SIGNED = [
    # rows that were left out, or added
    (twice, "is of the same seed and lag as raw["),
    (dropped(kind="run", seed=2), "raw has 7 rows of run stream lag 1 where it needs 8"),
    (dropped(kind="run", task="hold", lag=120, seed=0), "raw has 7 rows of run hold lag 120 where"),
    (dropped(kind="run", task="stream", lag=8), "raw has no run stream at lag 8, but at later"),
    (dropped(kind="bits", seed=7), "raw has 7 rows of bits where it needs 8"),
    (dropped(kind="tune", rate=0.003), "raw has 4 rows of tune stream lag 5 where it needs 6"),
    (dropped(kind="tune"), ".rate is 0.01, and None was chosen for its task"),
    # seeds, rates and lags that are not those of the protocol
    (changed(("seeds",), [0, 1]), "seeds has 2 different ones, and the protocol 8"),
    (changed(("seeds",), [0] * 8), "seeds has 1 different ones, and the protocol 8"),
    (changed(("seeds",), [*range(7), 1000]), "seed 1000 chose the learning rate, and may not be"),
    (of_raw("bits", "seed", 9), ".seed is 9, which is none of those of the protocol"),
    (of_raw("tune", "seed", 3), ".seed is 3, which is none of those of the protocol"),
    (of_raw("run", "lag", 4), ".lag is 4, which is none of those of the protocol"),
    (of_raw("tune", "lag", 7), ".lag is 7, which is none of those of the protocol"),
    (of_raw("tune", "task", "copy"), ".lag is 5, which is none of those of the protocol"),
    (of_raw("run", "rate", 0.02), ".rate is 0.02, which is none of those of the protocol"),
    (of_raw("run", "rate", 0.03), ".rate is 0.03, and 0.01 was chosen for its task"),
    (changed(("protocol", "ladder"), [2, 1]), "protocol.ladder does not rise"),
    # lists that are not as long, or not the same
    (of_raw("tune", "accuracy", [0.5] * 3), ".accuracy has 3 entries where the budget allows 2"),
    (both(of_raw("run", "accuracy", [0.5] * 51), of_raw("run", "confirmed", [None] * 51)),
     ".accuracy has 51 entries where the budget allows 50"),
    (of_raw("linear", "trained", [0.1]), ".trained has 1 entries where lags has 40"),
    (both(of_raw("jacobian", "after", [1.0]), of_raw("jacobian", "before", [1.0])),
     ".before has 1 entries where lag 30 has one more"),
    (of_raw("bits", "lags", list(range(2, 42))), ".lags is not 1 to 40, as in the protocol"),
    (changed(("protocol", "capacity_lags"), 50), ".lags is not 1 to 50, as in the protocol"),
    (of_raw("beyond", "times", [1, 2, 3, 4, 5, 6, 7]), ".times is not that of the protocol"),
    (of_raw("beyond", "lag", 2, seed=1), ".lag is 2, and 20 in raw["),
    (of_raw("bits", "state_numbers", 7, seed=1), ".state_numbers is 7, and 100 in raw["),
]  # fmt: skip
SIGNED_COPIES = [
    (dropped(T=300, seed=0), "raw has 7 rows of copy lag 300 where it needs 8"),
    (of_raw("copy", "T", 5000), ".T is 5000, which is none of those of the protocol"),
    (of_raw("copy", "updates", [1, 2, 3, 4]), ".updates is not 5000, 10000 and so on"),
    (of_raw("copy", "recall", [-3.0] * 4), "recall[0] is -3.0 (expected `float` >= 0.0)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [*(("lstm", *each) for each in SIGNED), *(("lstm-copy", *each) for each in SIGNED_COPIES)],
)
def test_raw_rows_that_contradict_the_protocol_are_refused_however_well_signed(
    name, change, sentence
):
    made = change(card(name))
    with contextlib.suppress(ValueError, LookupError):  # no summary can be computed at all
        made = signed(made)
    made["protocol_hash"] = atomic_files.digest_of(made["protocol"])
    with pytest.raises(ConfigError) as said:
        card_file.validate(made)
    assert sentence in str(said.value)


@pytest.mark.parametrize(
    "change",
    [better, changed(("cell", "args", "features"), 5), changed(("protocol", "version"), 2)],
)
def test_a_change_that_is_allowed_and_signed_is_valid(change):
    """A digest is no signature: it can be computed of invented rows. The control of the above."""
    card_file.validate(signed(change(card("lstm"))))


HUGE = [
    *(("protocol", name) for name, value in FULL.items() if isinstance(value, int)
      if name != "version"),
    ("protocol", "ladder", -1), ("protocol", "beyond", -1), ("protocol", "tuning_seeds", -1),
    ("seeds", -1), ("raw", 6, "lag"), ("raw", -1, "state_bytes"),
]  # fmt: skip


def test_a_huge_number_is_read_in_no_more_memory_than_any_other(tmp_path):
    """In a process that may use little memory and time, as a failure would take all of both."""
    for i, path in enumerate(HUGE):
        for huge in (10**9, 2**53):
            made = changed(path, huge)(card("lstm"))
            made["protocol_hash"] = atomic_files.digest_of(made["protocol"])
            (tmp_path / f"{i}-{huge}.json").write_text(json.dumps(made))
    code = """
import pathlib, resource, sys
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import card_file
used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 2**20,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
for path in pathlib.Path(sys.argv[1]).iterdir():
    try:
        card_file.read(path)
    except ConfigError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()
    assert len(said) == 2 * len(HUGE)
    assert sum("(expected `int` <= 10000)" in x for x in said) == 4


def small():
    """A whole card of few raw rows."""
    raw = [*tuning_rows("stream", SMALL), *stream_runs(float("inf"), float("inf"))]
    raw += [curriculum(1, 200), jacobian(0, [2, 1, 0.5]), jacobian(1, [2, 1, 0.5])]
    raw += [row for row in card("lstm")["raw"] if row["kind"] == "price"]
    made = card("lstm-quick")
    identity = {"name": "small", "cell": made["cell"], "protocol": SMALL, "seeds": [0, 1]}
    return json.loads(json.dumps(card_file.make(identity, raw, made)))


def test_any_change_is_refused_in_a_sentence_or_valid():
    """Each value of a card in turn is replaced: nothing but ConfigError is raised."""
    odd = [None, True, -1, 0, 2.5, 10**6, "", [], {}, [[]], "x" * 2000]
    rng, whole, refused = random.Random(0), small(), 0
    card_file.validate(whole)
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
            card_file.validate(made)
        except ConfigError:
            refused += 1
    assert 400 < refused < 500


def test_a_unit_in_the_sixth_digit_is_no_difference():
    made = card("lstm")
    made["rows"]["capacity"]["exact"]["median"] *= 1 + 4e-6
    card_file.validate(made | {"digest": card_file.digest_of(made)})
    made["rows"]["capacity"]["exact"]["median"] *= 1 + 4e-5
    with pytest.raises(ConfigError, match=r"rows\.capacity\.exact\.median"):
        card_file.validate(made | {"digest": card_file.digest_of(made)})
