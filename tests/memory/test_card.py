"""What follows from the rows of a card, by hand."""

import math

import msgspec
import numpy as np
import pytest
from made_up_cards import card, card_with, held, key_row, lag_row, listing

from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.grid.executors import Here
from echo_jax.grid.row_file import missing
from echo_jax.grid.task import Job
from echo_jax.memory import card as cards
from echo_jax.memory import make_card
from echo_jax.memory.answers_to_bits import accuracy_bits
from echo_jax.memory.card_run import CardRun, compile_run
from echo_jax.memory.named_cell import named_cell
from echo_jax.memory.pages import table
from echo_jax.memory.protocol import STANDARD, Configuration


def by_seed(rows, question="bits_by_lag"):
    return getattr(card(rows), question).by_seed


def test_a_seed_takes_its_configuration_by_validation_data_and_counts_final_data():
    worse_on_final = lag_row([3.0], rate=0.01, validation=[4.0])
    better_on_final = lag_row([3.5], rate=0.03, validation=[2.0])
    assert by_seed([worse_on_final, better_on_final]) == pytest.approx([3.0])


def test_of_equal_validation_the_order_of_the_rows_does_not_choose():
    ramp = key_row(held(6), validation=held(12))
    adaptive = key_row(held(3), schedule="adaptive", validation=held(12))
    found = {by_seed(rows, "bits_by_key")[0] for rows in ([ramp, adaptive], [adaptive, ramp])}
    assert found == {by_seed([ramp], "bits_by_key")[0]}


RATES = (0.01, 0.03, 0.1)


@pytest.mark.parametrize(
    ("seeds_of_rates", "seeds", "counted"),
    [
        ((2, 1, 0), 2, RATES[:1]),  # the second seed chose among fewer
        ((1, 1, 0), 1, RATES[:2]),
        ((8, 3, 3), 8, RATES[:1]),  # three seeds at three rates are more rows, and too few seeds
        ((8, 4, 4), 4, RATES),
        ((12, 8, 8), 8, RATES),
        ((3, 8, 2), 8, RATES[1:2]),
    ],
)
def test_the_rows_that_count_are_a_rectangle_of_seeds_and_configurations(
    seeds_of_rates, seeds, counted
):
    """A run at a later rate has more bits, so that of the best one of each seed shows."""
    rows = [
        lag_row([1.0 + RATES.index(rate)], seed, rate)
        for rate, of_rate in zip(RATES, seeds_of_rates, strict=True)
        for seed in range(of_rate)
    ]
    made = card(rows)
    assert tuple(of.rate for of in made.configuration if of.question == "by lag") == counted
    assert made.bits_by_lag.by_seed == [1.0 + RATES.index(counted[-1])] * seeds


def test_a_stopped_full_card_goes_on_as_a_default_one_that_shows_its_seeds(tmp_path, monkeypatch):
    """Eight of its runs are made: the default configurations of the first four seeds."""
    monkeypatch.setattr(make_card, "step_microseconds", lambda *_: 1.0)
    monkeypatch.setattr(make_card, "JOB", Job(lambda _: None, made_up_row))
    for full, seeds, shown in ((True, None, "4 of 8"), (False, 2, "4"), (False, 6, "6")):
        plan = make_card.plan_of(STANDARD, full, seeds)
        request = make_card.requested(tmp_path, "lstm", named_cell("lstm"), plan)
        for made in make_card.make(request, Here()):
            if made.bits_by_key and len(made.bits_by_key.seeds) == 4 and full:
                break
        assert table.seeds_there(made) == shown
        assert made.configuration == list(STANDARD.default)
    assert missing(plan.runs(named_cell("lstm")), cards.read(tmp_path / "lstm")[1]) == []


def made_up_row(run, _, report):
    of = run.configuration
    if of.schedule:
        return key_row(held(4), run.seed, of.rate, of.schedule)
    return lag_row([3.0], run.seed, of.rate)


def test_the_number_of_pairs_is_chosen_by_validation_data_too():
    twelve = key_row(held(6), validation=held(12))
    at_twelve = accuracy_bits(
        np.array([12]), np.array([round(256 * 12 * held(6)(12)) / (256 * 12)]), 64
    )
    assert by_seed([twelve], "bits_by_key") == pytest.approx(at_twelve.tolist(), abs=1e-4)


def test_bits_by_key_of_pairs_that_are_all_recalled_are_six_each():
    assert by_seed([key_row(held(10))], "bits_by_key")[0] == pytest.approx(60.0)


@pytest.mark.parametrize(("row", "question"), [(lag_row, "bits_by_lag"), (key_row, "bits_by_key")])
def test_a_run_that_is_not_finite_is_never_chosen_and_alone_has_0_bits(row, question):
    finite = lag_row([0.5], rate=0.03) if row is lag_row else key_row(listing, rate=0.003)
    assert by_seed([row(None), finite], question)[0] > 0
    assert by_seed([row(None)], question) == [0.0]


def test_a_value_near_the_most_that_can_be_measured_reads_at_least():
    assert card([lag_row([3.81] * 64)]).bits_by_lag.at_least  # 243.8 of 256 bits
    assert not card([lag_row([3.79] * 64)]).bits_by_lag.at_least
    assert card([key_row(lambda pairs: 1.0)]).bits_by_key.at_least  # 144 of 144 bits
    assert not card([key_row(held(20))]).bits_by_key.at_least


def test_a_seed_is_on_the_plateau_if_it_is_near_a_list_of_the_values_at_each_k_from_4():
    def better_at_2(pairs):
        return 1.0 if pairs < 4 else listing(pairs)

    def better_at_4(pairs):
        return 1.0 if pairs == 4 else listing(pairs)

    rows = [key_row(of, seed) for seed, of in enumerate([listing, better_at_2, better_at_4])]
    assert card(rows).on_plateau == 2
    assert card([key_row(lambda _: 0.5, most=3)]).on_plateau is None  # without a K from 4


def test_the_interval_is_that_of_student():
    rows = [lag_row([bits], seed) for seed, bits in enumerate([1.0, 2.0, 3.0, 4.0])]
    measured = card(rows).bits_by_lag
    half = 3.182446 * math.sqrt(5 / 3) / 2  # t of 3 degrees of freedom; sd^2 = 5/3, 4 seeds
    assert (measured.low, measured.high) == pytest.approx((2.5 - half, 2.5 + half), abs=1e-3)
    assert card(rows[:1]).bits_by_lag.low is None


def test_a_lag_below_chance_counts_as_0_and_stays_in_the_unfloored_sum():
    row = lag_row([2.0])
    row.final.recalibrated[9] += math.log(2)
    measured = card([row]).bits_by_lag
    assert (measured.mean, measured.unfloored) == pytest.approx((2.0, 1.0), abs=1e-4)


def test_a_card_is_read_as_it_was_written_and_cannot_claim_other_bits(tmp_path):
    rows = [lag_row([3.0]), key_row(held(4))]
    cards.write_whole(made := card(rows), rows, tmp_path)
    path = tmp_path / "card.json"
    claim = path.read_text().replace('"mean": 3.0', '"mean": 300.0')
    assert claim != path.read_text()
    path.write_text(claim)
    assert cards.read(tmp_path) == (made, rows)


def spoiled(values, field, value):
    return msgspec.json.encode({**values, field: value})


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [("protocol", 2, "protocol"), ("state_bytes", -1, "state_bytes"), ("name", "../x", "name"),
     ("extra", 1, "extra"), ("seeds", "all", "seeds")],
)  # fmt: skip
def test_a_bad_card_is_one_sentence_that_names_the_field(tmp_path, field, value, word):
    cards.write(card([]), [], tmp_path)
    path = tmp_path / "card.json"
    path.write_bytes(spoiled(msgspec.json.decode(path.read_bytes()), field, value))
    with pytest.raises(StorageError, match=word) as error:
        cards.read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_bad_row_is_named_by_its_line_also_where_it_was_edited(tmp_path):
    rows = [lag_row([3.0]), lag_row([2.0], 1)]
    cards.write_whole(card(rows), rows, tmp_path)
    path = tmp_path / "rows.jsonl"
    whole = path.read_bytes()
    for damaged in (whole[:-10], whole.replace(b'"seed":1', b'"seed":2')):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match=r"^line 2 of \S*rows\.jsonl .*its digest is not"):
            cards.read(tmp_path)


def test_a_card_is_written_before_its_rows_and_rows_without_one_are_refused(tmp_path):
    new = card([])
    with make_card.claimed(tmp_path / "new", new):
        assert cards.read(tmp_path / "new") == (new, [])
    cards.write_whole(new, [lag_row([3.0])], tmp_path / "new")
    (tmp_path / "new" / "card.json").unlink()
    with pytest.raises(StorageError, match=r"new has rows\.jsonl and no card\.json"):
        make_card.there(tmp_path / "new", new)


def test_a_card_whose_folder_was_renamed_goes_on_under_its_new_name(tmp_path):
    old, rows = card_with(4, lags=9, name="old")
    (tmp_path / "new").mkdir()
    cards.write_whole(old, rows, tmp_path / "new")
    now, done = make_card.there(tmp_path / "new", msgspec.structs.replace(old, name="new"))
    assert (now.name, done) == ("new", rows)


def test_rows_of_two_numbers_of_cores_are_a_remark():
    made = card([])
    for row, device, remarks in ((0, "2 cores", 0), (1, "2 cores", 0), (2, "4 cores", 1)):
        cards.note(made, msgspec.structs.replace(lag_row([3.0], row), device=device))
        assert (made.remarks == [cards.MIXED_DEVICES]) == remarks


def test_a_worker_with_another_text_of_a_cell_makes_none_of_its_runs():
    cell = "broken_cells:GoodInHalfPrecision"
    run = CardRun(cell, "{}", "0" * 64, STANDARD, Configuration("by lag", 0.01), 0)
    with pytest.raises(ConfigError, match="another text on this worker"):
        compile_run(run)
