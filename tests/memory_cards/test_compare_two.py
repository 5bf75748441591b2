import numpy as np
import pytest
from fabricated_cards import card

from echo_jax.memory_cards import compare_two


def repeat(updates, seeds=None):
    """A card whose seeds took so many updates at lag 1, evaluated every 25."""
    raw = [
        {"kind": "run", "task": "stream", "lag": 1, "seed": i, "failed": False,
         "accuracy": [0.5] * (n // 25 - 1) + [1.0], "confirmed": [None] * (n // 25 - 1) + [1.0]}
        for i, n in enumerate(updates)
    ]  # fmt: skip
    fixed = {"ladder": [1, 2], "budget": 1000, "evaluate_every": 25, "thresholds": [0.99, 0.6]}
    made = {"raw": raw, "seeds": list(range(seeds or len(updates))), "protocol": fixed}
    return made | {"protocol_hash": "x", "name": f"of {updates[0]}"}


def test_the_ratio_of_two_cards_is_that_of_their_geometric_means():
    found = compare_two.compared(repeat([200, 400]), repeat([100, 50]), 1)
    assert found.ratio == pytest.approx(4)
    assert found.low < 4 < found.high
    assert found.low * found.high == pytest.approx(16)


def test_a_lag_that_a_seed_never_learned_cannot_be_compared():
    assert compare_two.compared(repeat([200, 400], seeds=3), repeat([100, 50]), 1) is None
    assert compare_two.longest(repeat([200, 400]), repeat([100, 50])).lag == 1
    too_late = repeat([200, 525])  # of a budget of 1,000
    assert compare_two.longest(too_late, repeat([100, 50])) is None
    assert compare_two.longest(card("lstm"), card("lstm")).ratio == 1


def test_a_sentence_says_how_sure_it_is():
    surely = compare_two.sentence(repeat([400, 400, 425, 375]), repeat([50, 50, 75, 50]))
    assert "At lag 1 of 400 takes 7.22 times the updates of of 50" in surely
    assert "either" not in surely
    unsure = compare_two.sentence(repeat([100, 200, 100, 150]), repeat([100, 100, 125, 100]))
    assert "either may be the sooner one" in unsure
    nothing = repeat([100, 100]) | {"raw": [], "name": "nothing"}
    assert compare_two.sentence(nothing, repeat([50, 50])) == (
        "The stream task was not measured for both nothing and of 50."
    )
    other = repeat([100, 100]) | {"protocol_hash": "y"}
    assert "different protocols" in compare_two.sentence(repeat([100, 100]), other)


def test_repeats_of_one_cell_hold_about_what_they_should():
    drawn = np.random.default_rng(1)
    cards = [repeat(25 * np.round(2 ** drawn.normal(3.0, 0.3, 8)).astype(int)) for _ in range(12)]
    (found,) = compare_two.coverages(cards)
    assert found.tried == 66 * 45
    assert 0.85 < found.held / found.tried < 1
    assert found.values > 4
    twice = [repeat(25 * np.array([n] * 8)) for n in (10, 10, 20, 10)]
    (found,) = compare_two.coverages(twice)
    assert found.held < found.tried


def test_the_error_of_a_coverage_is_that_of_leaving_out_each_card():
    cards = [repeat(25 * np.array([n] * 6 + [n + 2, n + 3])) for n in (10, 11, 14, 10, 9, 15)]
    (found,) = compare_two.coverages(cards)
    without = [next(compare_two.coverages(cards[:i] + cards[i + 1 :])) for i in range(6)]
    shares = np.array([each.held / each.tried for each in without])
    assert len(set(shares)) > 1
    assert found.error == pytest.approx(np.sqrt(5 / 6 * ((shares - shares.mean()) ** 2).sum()))
    assert next(compare_two.coverages(cards[:4])).error == np.inf
