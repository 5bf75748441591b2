"""The place of a card among the built-in cells."""

import pytest
from fabricated_cards import FULL, QUICK, fabricated

from echo_jax.memory_benchmark.spans import Climb
from echo_jax.memory_cards import placing

BUILT_IN = {
    "cell": {
        "low": {"lag-16": [[1, 2]] * 8, "hold-2": [[200, None]] * 8},
        "middle": {"lag-16": [[2, 3]] * 4 + [[200, None]] * 4, "hold-2": [[4, 5]] * 8},
        "high": {"lag-16": [[5, 6]] * 8},
        "lstm": {"lag-16": [[3, 4]] * 8},
        "cut short": {"lag-16": [[4, None]] * 8},
    },
    "block": {},
}

LSTM = {"cell": "lstm", "args": {}, "source": None}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(placing, "built_in", lambda: BUILT_IN)


def quick(**spans):
    return fabricated("mine.py", {name.replace("_", "-"): x for name, x in spans.items()}, QUICK)


def test_a_card_stands_between_the_nearest_cells_of_its_own_seeds_and_rungs():
    said = placing.sentences(quick(lag_16=[3, 3, 4, 4], hold_2=6))
    assert said[-1] == (
        "By lag, V 16: its mean is between lstm (3.46) and high (5.48); not told apart from lstm."
    )
    (on_demand,) = [sentence for sentence in said if sentence.startswith("On demand")]
    assert on_demand == (
        "On demand, V 2: its mean is between middle (4.47) and low (at least 16); "
        "not told apart from none."
    )


def test_a_lower_bound_is_above_or_below_only_what_it_shows(monkeypatch):
    ended = [[4, 5], [200, None]] * 4
    cells = {"low": [[1, 2]] * 8, "ended": ended, "high": [[9, 10]] * 8}
    known = {cell: {"lag-16": climbs, "hold-2": [[1, 2]] * 8} for cell, climbs in cells.items()}
    monkeypatch.setattr(placing, "built_in", lambda: {"cell": known, "block": {}})
    card = quick(lag_16=[8, 8, 6, 6], hold_2=4)
    assert placing.sentences(card)[-1] == (
        "By lag, V 16: its mean is between low (1.41) and high (8.94); "
        "not told apart from ended and high."
    )
    assert placing.sentences(quick(lag_16=12, hold_2=4))[-1].startswith(
        "By lag, V 16: its mean is above high (8.94); not told apart from ended"
    )


def test_a_card_may_stand_above_below_or_level_with_all():
    said = {span: placing.sentences(quick(lag_16=span, hold_2=4))[-1] for span in (0, 1, 8)}
    assert said[0].startswith("By lag, V 16: its mean is below low (1.41); not told apart from")
    assert said[1] == "By lag, V 16: its mean is below middle (2.45); not told apart from low."
    assert said[8].startswith("By lag, V 16: its mean is above high (5.48)")


def test_a_cell_is_not_placed_beside_itself_nor_beside_one_that_was_cut_short():
    cells = placing.references(quick(lag_16=3, hold_2=4) | {"cell": LSTM})["lag-16"]
    assert set(cells) == {"low", "middle", "high"}
    other = quick(lag_16=3, hold_2=4) | {"seeds": [4, 5, 6, 7]}
    assert not placing.references(other)


def test_a_card_that_was_cut_short_stands_above_those_that_it_is_past_and_is_not_ranked():
    card = quick(lag_16=4, hold_2=4)
    card["not_measured"] |= {"lag-16": "the clock of quick was over"}
    for each in card["rows"]["ladders"]["lag-16"]["by_seed"]:
        each["missed"] = None
    assert placing.sentences(card)[-1] == (
        "By lag, V 16: cut short; further than low, middle and lstm by then."
    )
    for each in card["rows"]["ladders"]["lag-16"]["by_seed"]:
        each["passed"] = 0
    assert not [said for said in placing.sentences(card) if said.startswith("By lag")]


def test_only_one_layer_of_quick_or_full_is_placed_and_another_size_is_told():
    card = quick(lag_16=3, hold_2=4)
    price = {"state_bytes": 440, "parameters": 1, "convolution_bytes": 0}
    card["rows"]["price"] = price
    assert len(placing.sentences(card)) == 2
    card["rows"]["price"] = price | {"state_bytes": 4000}
    assert placing.sentences(card)[-1] == (
        "The built-in cells have about 400 bytes of state, this one 4,000."
    )
    assert not placing.sentences(card | {"cell": LSTM | {"args": {"layers": 2}}})
    keys = card | {"protocol": card["protocol"] | {"name": "keys"}}
    assert not placing.sentences(keys)


def test_a_climb_within_fewer_rungs_ends_where_they_end():
    assert placing.within([9, 10], [1, 4, 8]) == Climb(8, None)
    assert placing.within([5, 6], [1, 4, 8]) == Climb(4, 8)
    assert placing.within([0, 1], [1, 4, 8]) == Climb(0, 1)


def test_a_full_card_of_a_built_in_cell_goes_before_its_quick_one():
    cards = [
        fabricated("gru", {"lag-2": 20, "lag-16": 20, "hold-2": 8}, FULL),
        fabricated("gru", {"lag-16": 8, "hold-2": 8}, QUICK),
        fabricated("mine.py", {"lag-16": 8, "hold-2": 8}, QUICK),
    ]
    found = placing.table_of(cards)
    assert set(found["cell"]) == {"gru"}
    assert found["cell"]["gru"]["lag-16"] == [[20, 25]] * 8
