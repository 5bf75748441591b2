"""Whole measurements of cells whose memory is known, under protocols of seconds."""

import dataclasses

import numpy as np
import pytest
from tiny_cards import TINY, ladder, made_card

from echo_jax.cells import known_memory
from echo_jax.memory_benchmark.journal import Journal
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_cards import card_file

REGISTER = known_memory.ShiftRegister(3)


def test_a_card_is_measured_and_goes_on_from_its_journal(tmp_path, monkeypatch):
    chosen = dataclasses.replace(
        TINY, ladders=(ladder("lag", 2, (1, 2, 3)),), rows=("ladders",), rates=(0.1,)
    )
    rows = list(raw_rows(REGISTER, chosen, journal=Journal(tmp_path)))
    made = made_card(rows, chosen)
    card_file.validate(made)
    by_seed = made["rows"]["ladders"]["lag-2"]["by_seed"]
    assert [(seed["passed"], seed["missed"]) for seed in by_seed] == [(2, 3)] * 2
    monkeypatch.delattr("echo_jax.memory_benchmark.parallel_runs.ParallelRuns._train")
    again = list(raw_rows(REGISTER, chosen, journal=Journal(tmp_path)))
    assert made_card(again, chosen)["digest"] == made["digest"]


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_fast")
def test_a_register_of_three_slots_has_its_known_memory():
    made = made_card(list(raw_rows(REGISTER, TINY)), TINY)
    card_file.validate(made)
    rows = made["rows"]
    lag, hold = (rows["ladders"][name] for name in ("lag-2", "hold-2"))
    assert [(seed["passed"], seed["missed"]) for seed in lag["by_seed"]] == [(2, 3)] * 2
    assert lag["mean"] == pytest.approx(6**0.5, rel=1e-5)
    assert (lag["low"], lag["high"], lag["at_least"]) == (2, 3, False)
    # a value, a distractor, the question
    assert [(seed["passed"], seed["missed"]) for seed in hold["by_seed"]] == [(1, 2)] * 2
    (network,) = rows["bits"]["networks"].values()
    np.testing.assert_allclose(network["by_lag"], [1, 1, 0, 0], atol=0.05)
    np.testing.assert_allclose(rows["linear"]["by_lag"]["trained"], [1, 1, 0, 0, 0, 0], atol=0.01)
    assert rows["beyond"]["lag"] == 2
    assert [factor["median"] for factor in rows["beyond"]["accuracy"]] == [1, 1]
    assert rows["cause"]["verdict"] == "could not hold"
    assert rows["cause"]["lag"] == 3
    assert rows["price"]["parameters"] == 2 * 3 * 2 + 2
