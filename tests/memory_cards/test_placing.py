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


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(placing, "built_in", lambda: BUILT_IN)


def quick(**spans):
    return fabricated("mine.py", {name.replace("_", "-"): x for name, x in spans.items()}, QUICK)


def test_a_card_stands_between_the_nearest_cells_of_its_own_seeds_and_rungs():
    said = placing.sentences(quick(lag_16=[3, 3, 4, 4], hold_2=6))
    assert (
        said[-1]
        == ("By lag, V 16: between lstm (3.46) and high (5.48); not told apart from lstm") + "."
    )
    (on_demand,) = [sentence for sentence in said if sentence.startswith("On demand")]
    assert on_demand == (
        "On demand, V 2: between middle (4.47) and low (at least 16); not told apart from none."
    )


def test_a_card_may_stand_above_below_or_level_with_all():
    said = {span: placing.sentences(quick(lag_16=span, hold_2=4))[-1] for span in (0, 1, 8)}
    assert said[0].startswith("By lag, V 16: below low (1.41); not told apart from")
    assert said[1] == "By lag, V 16: below middle (2.45); not told apart from low."
    assert said[8].startswith("By lag, V 16: above high (5.48)")


def test_a_cell_is_not_placed_beside_itself_nor_beside_one_that_was_cut_short():
    cells = placing.references(quick(lag_16=3, hold_2=4) | {"cell": {"cell": "lstm"}})["lag-16"]
    assert set(cells) == {"low", "middle", "high"}
    other = quick(lag_16=3, hold_2=4) | {"seeds": [4, 5, 6, 7]}
    assert not placing.references(other)


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
