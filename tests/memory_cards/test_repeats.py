"""How often repeats of cards are called different."""

from fabricated_cards import BLOCK, fabricated, run

from echo_jax.memory_benchmark.spans import Climb
from echo_jax.memory_cards import repeats


def card_of(*passed):
    return {"lag-2": [Climb(each, each + 1) for each in passed], "hold-2": [Climb(4, 5)] * 3}


FIRST = {"lag-2": 1, "hold-2": 1}


def test_pairs_are_counted_on_each_ladder_and_once_on_any():
    pairs = [(card_of(8, 8, 8), card_of(12, 12, 12)), (card_of(8, 8, 9), card_of(8, 9, 9))]
    assert repeats.called_different(pairs, FIRST) == repeats.Share({"lag-2": 1, "hold-2": 0}, 1, 2)


def test_resampled_seeds_are_those_of_all_repeats_of_a_cell_and_keep_their_ladders():
    ones = [card_of(1, 2, 3), card_of(4, 5, 6)]
    drawn = repeats.resampled(ones, [card_of(9, 9, 9)], 50, 8)
    assert len(drawn) == 50
    assert {climb.passed for one, _ in drawn for climb in one["lag-2"]} == {1, 2, 3, 4, 5, 6}
    assert all(len(one["lag-2"]) == len(one["hold-2"]) == 8 for one, _ in drawn)
    assert all(climb.passed == 9 for _, other in drawn for climb in other["lag-2"])
    assert drawn == repeats.resampled(ones, [card_of(9, 9, 9)], 50, 8)


def test_a_futility_stop_ends_failures_at_the_floor_and_loses_passes_that_come_late():
    made = fabricated("gru", {"lag-16": 8, "marked-16": 4, "key-16": 2, "key-64": 2}, BLOCK)
    flat, late, early = (run("lag-16", 12, seed, made["protocol"]) for seed in range(3))
    flat |= {"accuracy": [1 / 16] * 60, "confirmed": []}
    late |= {"accuracy": [1 / 16] * 30 + [1.0], "confirmed": [[30, 1.0]]}
    early |= {"accuracy": [1 / 16] * 10 + [1.0], "confirmed": [[10, 1.0]]}
    found = repeats.futility([made | {"raw": [flat, late, early]}])["block, lag-16"]
    assert found[:4] == (3, 1, 1, 1)
    two = [made | {"raw": [flat, late, early]}, made | {"raw": [flat]}]  # as full and quick cards
    assert repeats.futility(two)["block, lag-16"] == found
    assert abs(found.saved - (1 - (20 + 20 + 11) / (60 + 31 + 11))) < 1e-12
    cut = flat | {"accuracy": [1 / 16] * 30, "seed": 7}  # by the time: neither passed nor failed
    assert repeats.futility([made | {"raw": [flat, late, early, cut]}])["block, lag-16"] == found
    control = made | {
        "cell": made["cell"] | {"cell": "block:echo_jax.cells.known_memory:Memoryless"}
    }
    assert repeats.futility([control]) == {}
    near = flat | {"accuracy": [0.16] * 60}  # floor 1/16: 0.156 is the bound
    assert repeats.futility([made | {"raw": [near]}])["block, lag-16"].stopped == 0
