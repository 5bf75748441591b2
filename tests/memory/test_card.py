"""What follows from the rows of a card, by hand."""

import contextlib
import math
import types
from pathlib import Path

import msgspec
import numpy as np
import pytest
from card_runs import by_key, by_lag
from made_up_cards import card, held, key_row, lag_row

from echo_jax.engine.grid import Execution, Here, Job
from echo_jax.engine.process import StoppedError
from echo_jax.exceptions import StorageError
from echo_jax.memory import card_contents as cards
from echo_jax.memory.by_key.key_rows_and_bits import BY_KEY, accuracy_bits
from echo_jax.memory.by_lag.lag_rows_and_bits import LagRow, lag_bits
from echo_jax.memory.by_task.task_rows_and_bits import BY_TASK
from echo_jax.memory.card import make_card
from echo_jax.memory.card.train_and_score import named_cell
from echo_jax.memory.card_contents import check_row, row_kind
from echo_jax.memory.pages import table
from echo_jax.memory.protocol import STANDARD
from echo_jax.storage import atomic_files


def information(accuracy):
    """Bits between a uniform value of 64 and an answer whose errors are uniform, from the table."""
    joint = np.full((64, 64), (1 - accuracy) / 63) / 64
    np.fill_diagonal(joint, accuracy / 64)
    seen = joint[joint > 0]
    return float(np.sum(seen * np.log2(seen * 64 * 64)))


@pytest.mark.parametrize("accuracy", [1 / 64, 0.1, 0.5, 0.9, 1.0])
def test_accuracy_bits_are_the_information_of_answers_with_uniform_errors(accuracy):
    assert accuracy_bits(8, accuracy, 64) == pytest.approx(8 * information(accuracy), abs=1e-9)


def test_answers_worse_than_chance_have_no_bits():
    assert accuracy_bits(np.array([2, 24]), np.array([0.0, 1 / 64]), 64) == pytest.approx([0, 0])


def test_bits_of_a_lag_are_not_below_0():
    nats = [math.log(16), math.log(2), 0.0, math.log(32)]
    assert lag_bits(nats, STANDARD) == pytest.approx([0, 3, 4, 0])


def by_seed(rows, question="bits_by_lag"):
    return getattr(card(rows), question).by_seed


def test_rows_of_another_configuration_and_of_the_pilot_do_not_count():
    """Those before a pilot was made: the card is of the configuration that it chose."""
    old = [lag_row([3.0], seed, rate=0.1) for seed in range(3)]
    new = [lag_row([2.0], seed, rate=0.01) for seed in (1, 0)]
    pilot = [lag_row([9.0], cards.PILOT_SEED, updates=300)]
    made = card([*old, *new, *pilot], configuration=[by_lag(0.01)])
    assert (made.bits_by_lag.seeds, made.bits_by_lag.by_seed) == ([0, 1], [2.0, 2.0])


def test_the_pilot_takes_the_configuration_with_the_most_bits_in_the_mean_of_its_seeds():
    """On validation data. One seed is not finite at 0.03; of 0.1 and 0.3 the smaller is taken."""
    bits = {0.01: (2.0, 2.0, 2.0), 0.03: (3.5, None, 3.5), 0.1: (2.5, 3.0, 2.0), 0.3: (2.5,) * 3}
    rows = [
        lag_row(of and [1.0], cards.PILOT_SEED + i, rate, of and [of], updates=300)
        for rate, each in reversed(bits.items())
        for i, of in enumerate(each)
    ]
    right = {0.01: (held(9), held(2)), 0.003: (held(3), held(4))}  # final and validation data
    rows += [key_row(of[0], cards.PILOT_SEED, rate, of[1]) for rate, of in right.items()]
    pilot = card([*rows, lag_row([4.0])]).pilot
    means = {x.configuration: x.mean for x in pilot}
    lags = [by_lag(rate, 300) for rate in bits]
    assert [means[of] for of in lags] == pytest.approx([2.0, 7 / 3, 2.5, 2.5], abs=1e-4)
    assert [cards.chosen_by(pilot, of) for of in (lags, lags[:2])] == [lags[2], lags[1]]
    assert cards.chosen_by(pilot, BY_KEY.pilot(STANDARD)) == by_key(0.003)
    assert cards.chosen_by(pilot, BY_TASK.pilot(STANDARD)) is None


def test_a_card_that_is_stopped_or_extended_keeps_its_rows_and_pilot(tmp_path, monkeypatch):
    """Stopped in the pilot and after 9 more runs; then more seeds, the full card, fewer seeds."""
    ran, before = [], []

    def run(of, _, report):
        report(0.0)
        ran.append(of.key)
        if of.configuration.question == "by key":
            return key_row(held(4), of.seed, of.configuration.rate)
        bits = 3.0 if of.configuration.rate == 0.1 else 2.0
        return lag_row([bits], of.seed, of.configuration.rate, updates=of.configuration.updates)

    def check():
        if len(before) + len(ran) == count < 25:
            raise StoppedError

    monkeypatch.setattr(make_card, "JOB", Job(lambda _: None, run))
    running = Execution(progress=False, interrupts=types.SimpleNamespace(check=check))
    stages = [(False, 4, 7, "0 of 4"), (False, 4, 22, "3 of 4"), (False, 5, 25, "5"),
              (True, 8, 67, "8"), (False, 2, 67, "8")]  # fmt: skip
    monkeypatch.setattr(make_card, "RATES_BY_KEY", {})
    for full, seeds, count, shown in stages:
        plan = make_card.plan_of(STANDARD, full, seeds)
        request = make_card.requested(tmp_path, "lstm", named_cell("lstm"), plan)
        completed = make_card.completed(request, Here(), running)
        _, made, rows = next(completed)
        with contextlib.suppress(StoppedError, StopIteration):
            next(completed)
        assert rows == cards.read(tmp_path / "lstm")[1]
        assert (len(rows), table.seeds_there(made)) == (count, shown)
        assert rows[: len(before)] == before
        assert not {*ran} & {row.key for row in before}
        by_key_at = 0.001 if count == 67 else 0.01  # the pilot's, and of the middle rate
        assert {x.rate for x in made.configuration} <= {0.1, by_key_at}
        before = rows
        ran.clear()
    assert {row.updates for row in rows[:15]} == {300}
    assert {row.rate for row in rows[15:] if isinstance(row, LagRow)} == {0.1}
    assert [x.updates for x in made.budgets] == [1000, 10_000]


def test_another_number_of_updates_is_a_budget_and_changes_no_number_of_the_card():
    usual = [*(lag_row([3.0], seed) for seed in range(2)), key_row(held(4))]
    others = [lag_row([4.0], updates=9000), key_row(held(8), updates=9000)]
    alone, both = card(usual), card([*others, *usual])
    assert (both.bits_by_lag, both.bits_by_key) == (alone.bits_by_lag, alone.bits_by_key)
    assert [(x.question, x.updates, x.seeds, x.mean) for x in both.budgets] == [
        ("by lag", 9000, [0], 4.0),
        ("by key", 9000, [0], pytest.approx(48.0)),
    ]
    assert alone.budgets == []


def test_the_number_of_pairs_is_chosen_by_validation_data_too():
    twelve = key_row(held(6), validation=held(12))
    share = round(256 * 12 * held(6)(12)) / (256 * 12)
    at_twelve = accuracy_bits(np.array([12]), np.array([share]), 64)
    assert by_seed([twelve], "bits_by_key") == pytest.approx(at_twelve.tolist(), abs=1e-4)


@pytest.mark.parametrize(("row", "question"), [(lag_row, "bits_by_lag"), (key_row, "bits_by_key")])
def test_a_run_that_is_not_finite_has_0_bits(row, question):
    assert by_seed([row(None)], question) == [0.0]


def test_a_value_near_the_most_that_can_be_measured_reads_at_least():
    assert card([lag_row([3.81] * 64)]).bits_by_lag.at_least  # 243.8 of 256 bits
    assert not card([lag_row([3.79] * 64)]).bits_by_lag.at_least
    assert card([key_row(lambda pairs: 1.0)]).bits_by_key.at_least  # 144 of 144 bits
    assert not card([key_row(held(20))]).bits_by_key.at_least


def test_a_network_associates_where_half_of_the_answers_are_right_twice_running():
    """Half of 256 rows of 4 pairs are 512 answers."""
    never, late, soon = [512, 511] * 15, [0] * 27 + [600, 512, 0], [511, 512, 512] + [0] * 27
    each = enumerate([soon, late, late, never])
    rows = [key_row(held(4), seed, associated=of) for seed, of in each]
    until = [row.updates_until_associated(STANDARD) for row in rows]
    assert until == [200, 2800, 2800, math.inf]
    assert (card(rows).bits_by_key.associated, card(rows).bits_by_key.never) == (2800, 1)
    others = rows[0], key_row(None, 1), key_row(held(4), 2)  # one fails, one is not known
    measured = card(others).bits_by_key
    assert (measured.associated, measured.never) == (None, 1)
    assert card(others[1:]).bits_by_key.never == 0
    measured = [card(of).bits_by_key for of in (rows, others, rows[3:], others[1:])]
    told = [bits.columns(STANDARD)["half of 4 pairs after"] for bits in measured]
    assert told == ["2,800 (1 never)", "never (1 of 3)", "never", table.UNKNOWN]


def test_bits_from_lag_4_are_a_mean_over_the_seeds():
    rows = [lag_row([4.0] * 9), lag_row([2.0] * 9, 1)]
    assert card(rows).bits_by_lag.from_lag_4 == pytest.approx(18.0)


def test_a_card_is_read_as_it_was_written_or_refused_with_any_bit_of_it_flipped(tmp_path):
    rows = [lag_row([3.0]), key_row(held(4))]
    cards.write_whole(made := card(rows, name=tmp_path.name), rows, tmp_path)
    assert cards.read(tmp_path) == (made, rows)
    for path in (tmp_path / "card.json", tmp_path / "rows.jsonl"):
        whole = path.read_bytes()
        for bit in range(0, 8 * len(whole), 61):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            with contextlib.suppress(StorageError):
                assert cards.read(tmp_path) == (made, rows)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [("protocol", 3, "protocol"), ("state_bytes", -1, "state_bytes"), ("name", "../x", "name"),
     ("extra", 1, "extra"), ("seeds", "all", "seeds"), ("devices", ["\ud800"], "surrogates")],
)  # fmt: skip
def test_a_bad_card_is_one_sentence_that_names_the_field(tmp_path, field, value, word):
    cards.write(card([]), [], tmp_path)
    path = tmp_path / "card.json"
    atomic_files.write_json(path, atomic_files.read_json(path) | {field: value})
    with pytest.raises(StorageError, match=word) as error:
        cards.read(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "row",
    [key_row(held(4), 1000, 0.3), lag_row([3.0], 1000), lag_row([3.0], 1001, 0.02, updates=300)],
)
def test_a_seed_of_the_pilot_has_no_other_run(row):
    with pytest.raises(ValueError, match="seed is not below 1000"):
        check_row(row, STANDARD)
    check_row(lag_row([3.0], 1001, 0.03, updates=300), STANDARD)


@pytest.mark.parametrize(
    ("row", "field", "value", "word"),
    [
        (lag_row([3.0]), "losses", [1.0, -1.0], "losses"),
        (lag_row([3.0]), "losses", [1.0, math.nan], "losses"),
        (lag_row([3.0]), "seed", "1", "seed"),
        (lag_row([3.0]), "rate", 0, "rate"),
        (lag_row([3.0]), "extra", 1, "extra"),
        (lag_row([3.0]), "final", None, "final"),
        (lag_row([3.0]), "final", [1.0] * 63, "nats"),
        (lag_row([3.0]), "final", [-1.0] * 64, "final"),
        (lag_row([3.0]), "device", "\ud800", "surrogates"),
        (lag_row([3.0]), "question", "by ear", "question"),
        (key_row(held(4)), "asked", [1] * 10, "asked"),
        (key_row(held(4)), "pairs", [2, 4, 3, *range(5, 12)], "pairs"),
        (key_row(held(4)), "final", [1, 2], "final"),
        (key_row(held(4)), "validation", [513] * 10, "validation"),
    ],
)
def test_a_bad_row_is_refused_by_the_name_of_its_field(row, field, value, word):
    values = msgspec.to_builtins(row)
    assert row_kind(STANDARD).decode(values) == row
    with pytest.raises(ValueError, match=rf"\b{word}\b"):
        row_kind(STANDARD).decode(values | {field: value})


@pytest.mark.parametrize(
    ("other", "fault"),
    [(key_row(held(4)), "has seed 0, by key, rate 0.003, 3000 updates twice"),
     (key_row(held(4), 1, most=64), "has rows by key with different numbers of pairs")],
)  # fmt: skip
def test_rows_that_do_not_fit_each_other_are_refused(other, fault):
    with pytest.raises(StorageError, match=fault):
        cards.check_together([key_row(held(4)), other], Path("rows.jsonl"), msgspec.UNSET)


def test_a_card_is_written_before_its_rows_and_rows_without_one_are_refused(tmp_path):
    new = card([], name="new")
    with make_card.claimed(tmp_path / "new", new):
        assert cards.read(tmp_path / "new") == (new, [])
    cards.write_whole(new, [lag_row([3.0])], tmp_path / "new")
    (tmp_path / "new" / "card.json").unlink()
    with pytest.raises(StorageError, match=r"new has rows\.jsonl but not card\.json"):
        make_card.there(tmp_path / "new", new)


def test_rows_of_two_numbers_of_cores_are_a_remark():
    devices = ["2 cores", "2 cores", "4 cores"]
    rows = [
        msgspec.structs.replace(lag_row([3.0], seed), device=of) for seed, of in enumerate(devices)
    ]
    assert card(rows[:2]).remarks == []
    made = card(rows)
    assert (made.devices, made.remarks) == (devices[1:], [cards.MIXED_DEVICES])
    assert cards.with_rows(made, rows) == made


def test_a_scan_that_disagrees_with_the_steps_by_more_than_a_hundredth_is_a_remark():
    rows = [msgspec.structs.replace(lag_row([3.0]), difference=of) for of in (0.009, -0.02)]
    assert card(rows[:1]).remarks == []
    (remark,) = card(rows).remarks
    assert remark.startswith("seed 0 by lag: the accuracy by the cell's scan differs")
    assert "-2.0%" in remark
