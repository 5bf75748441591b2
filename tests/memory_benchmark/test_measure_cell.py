"""Whole measurements of cells whose memory is known, under protocols of seconds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact_cells import Mixed, PackedFloat, PackedInteger, Rotated
from flax import linen as nn
from tiny_cards import TINY, TINY_COPY, ladder, made_card

from echo_jax.cells import known_memory
from echo_jax.cells.adapters.adapt import adapt
from echo_jax.cells.block import Block
from echo_jax.cells.vector_state.minimal_rnns import MinGRUCell
from echo_jax.core import many_seeds
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns
from echo_jax.memory_benchmark.protocol import CELL_FULL, to_dict
from echo_jax.memory_cards import card_file

pytestmark = pytest.mark.usefixtures("compiled_once")

REGISTER = known_memory.ShiftRegister(3)


class StopAfter(Interrupts):
    """Asks to stop once it was asked so often."""

    def __init__(self, looks):
        super().__init__()
        self.looks, self.asked = looks, 0

    @property
    def requested(self):
        self.asked += 1
        return self.asked > self.looks


@pytest.fixture(scope="module")
def never(compiled_once):
    return StopAfter(10**6)


@pytest.fixture(scope="module")
def raw(never):
    return list(raw_rows(REGISTER, TINY, interrupts=never))


NINE = dataclasses.replace(
    TINY,
    ladders=(ladder("lag", 2, (1, 2, 4, 8, 16), (1, 2, 4, 8, 16)),),
    shortest_lag=48,
    rows=("ladders", "cause"),
)
LONG = dataclasses.replace(NINE, ladders=(ladder("lag", 2, (16, 32), (16, 32)),), shortest_lag=96)
AT_ANY_WEIGHTS = "not held at any tested weights"


def climbed(raw, chosen, name="lag-2"):
    """The last rung passed and the first missed of each seed."""
    found = spans.climbs(raw, name, to_dict(chosen))
    return [each[:2] for each in found.values()]


def test_a_register_and_a_packed_integer_end_at_their_last_slot_and_bit_and_not_beyond():
    chosen = dataclasses.replace(NINE, rows=("ladders",))
    assert climbed(raw_rows(known_memory.ShiftRegister(9), chosen), chosen) == [(8, 9)] * 2
    chosen = dataclasses.replace(LONG, rows=("ladders",))
    rows = list(raw_rows(PackedInteger, chosen))
    assert climbed(rows, chosen) == [(31, 32)] * 2
    bits = made_card(rows, chosen)["rows"]["bits"]
    # no error in 260 answers: at most 1.46% by Wilson's interval, 31 (1 - h(0.0146)) bits
    assert bits["held"]["by_seed"] == pytest.approx([27.6, 27.6], abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "chosen", "end", "verdict"),
    [
        (known_memory.ShiftRegister(9), NINE, 8, "could not hold"),
        (Mixed(9), NINE, 8, "could not hold"),
        # what it dropped is left in the last bits of its numbers: no proof, and no use
        (Rotated(9), NINE, 8, AT_ANY_WEIGHTS),
        (PackedInteger, LONG, 31, "could not hold"),
        (PackedFloat, LONG, 22, "could not hold"),
    ],
    ids=["register", "mixed", "rotated", "integer", "float"],
)
def test_exact_memories_end_to_the_step_for_the_right_cause(cell, chosen, end, verdict):
    rows = list(raw_rows(cell, chosen))
    assert climbed(rows, chosen) == [(end, end + 1)] * 2
    made = made_card(rows, chosen)
    card_file.validate(made)
    assert made["rows"]["cause"]["verdict"] == verdict
    assert (made["rows"]["cause"]["lag"], made["rows"]["cause"]["missed"]) == (end + 1, 2)


@pytest.mark.slow
def test_a_register_has_its_span_by_every_ladder_of_the_full_protocol():
    chosen = dataclasses.replace(CELL_FULL, budget=300, rows=("ladders",))
    rows = list(raw_rows(known_memory.ShiftRegister(9), chosen))
    card_file.validate(made_card(rows, chosen))
    for name, end in (("lag-2", 8), ("lag-16", 8), ("hold-2", 7)):
        assert climbed(rows, chosen, name) == [(end, end + 1)] * 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "end"), [(Mixed(9), 8), (Rotated(9), 8), (PackedInteger, 31)],
    ids=["mixed", "rotated", "integer"],
)  # fmt: skip
def test_exact_memories_reach_no_more_with_the_rates_and_the_budget_of_full(cell, end):
    rungs = (end, end + 1)
    chosen = dataclasses.replace(
        CELL_FULL, ladders=(ladder("lag", 2, rungs, rungs),), seeds=2, rows=("ladders",)
    )
    rows = list(raw_rows(cell, chosen))
    assert climbed(rows, chosen) == [rungs] * 2
    missed = [row for row in rows if row["rung"] == end + 1]
    assert len(missed) == 2 * 3
    assert all(len(row["accuracy"]) == 3000 // 50 for row in missed)


@pytest.mark.slow
def test_a_register_is_measured_beyond_its_ladder_to_the_last_slot():
    chosen = dataclasses.replace(
        TINY, ladders=(ladder("lag", 2, (8,), (8,)),), exact_lags=(12, 16), refine=True,
        shortest_lag=48, rows=("ladders",),
    )  # fmt: skip
    rows = list(raw_rows(known_memory.ShiftRegister(14), chosen))
    card_file.validate(made_card(rows, chosen))
    assert climbed(rows, chosen) == [(13, 14)] * 2


@pytest.mark.slow
def test_a_register_of_three_slots_has_its_known_memory(raw):
    made = made_card(raw, TINY)
    card_file.validate(made)
    rows = made["rows"]
    lag, hold = (rows["ladders"][name] for name in ("lag-2", "hold-2"))
    assert [(each["passed"], each["missed"]) for each in lag["by_seed"]] == [(2, 3)] * 2
    assert lag["mean"] == pytest.approx(6**0.5, rel=1e-5)
    assert (lag["low"], lag["high"], lag["at_least"]) == (2, 3, False)
    # a value, a distractor, the question
    assert [(each["passed"], each["missed"]) for each in hold["by_seed"]] == [(1, 2)] * 2
    (network,) = rows["bits"]["networks"].values()
    np.testing.assert_allclose(network["by_lag"], [1, 1, 0, 0], atol=0.05)
    np.testing.assert_allclose(rows["linear"]["by_lag"]["trained"], [1, 1, 0, 0, 0, 0], atol=0.01)
    assert rows["beyond"]["lag"] == 2
    assert [each["median"] for each in rows["beyond"]["accuracy"]] == [1, 1]
    assert rows["cause"]["verdict"] == "could not hold"
    assert rows["cause"]["lag"] == 3
    assert rows["price"]["parameters"] == 2 * 3 * 2 + 2


@pytest.mark.slow
def test_a_part_of_a_protocol_has_the_same_rows_bit_for_bit(raw):
    """Fewer rungs, fewer ladders, one of the seeds alone."""
    quick = dataclasses.replace(
        TINY,
        name="quick",
        ladders=tuple(ladder(each.task, 2, (1, 2), (1,)) for each in TINY.ladders),
        rows=("ladders",),
    )
    hold = dataclasses.replace(TINY, ladders=TINY.ladders[1:], rows=("ladders",))
    alone = dataclasses.replace(TINY, seeds=1, rows=("ladders",))
    for rows in (
        list(raw_rows(REGISTER, quick)),
        list(raw_rows(REGISTER, hold)),
        list(raw_rows(REGISTER, alone, seed=1)),
    ):
        assert len(rows) > 3
        assert all(row in raw for row in rows)


@pytest.mark.slow
def test_a_cell_without_memory_is_at_every_baseline():
    chosen = dataclasses.replace(TINY, rows=("ladders", "cause", "capacity"))
    rows = made_card(list(raw_rows(known_memory.Memoryless(4), chosen)), chosen)["rows"]
    for found in rows["ladders"].values():
        assert [(each["passed"], each["missed"]) for each in found["by_seed"]] == [(0, 1)] * 2
        assert found["mean"] == pytest.approx(0.5**0.5, rel=1e-5)
        assert found["rungs"][0]["passed"] == 0
    assert rows["bits"]["held"]["median"] < 0.1
    assert rows["linear"]["trained"]["by_seed"] == [0, 0]
    assert rows["cause"]["verdict"] == "could not hold"


@pytest.mark.slow
def test_all_four_tasks_are_measured_in_a_block():
    chosen = dataclasses.replace(
        TINY,
        track="block",
        ladders=(ladder("lag", 16, (3, 8)), ladder("marked", 16, (4,), (), 0.9),
                 ladder("key", 4, (1, 2), (), 0.9)),
        rows=("ladders", "price"), refine=False, budget=50,
    )  # fmt: skip
    raw = list(raw_rows(Block(adapt(known_memory.Memoryless(4)), width=8), chosen))
    made = made_card(raw, chosen)
    card_file.validate(made)
    assert set(made["rows"]["ladders"]) == {"lag-16", "marked-16", "key-4"}
    assert (made["rows"]["price"]["state_bytes"], made["rows"]["price"]["convolution_bytes"]) == (
        4, 4 * 3 * 8,
    )  # fmt: skip


@pytest.mark.slow
def test_a_card_of_any_ladders_has_the_price_of_the_same_network():
    """So that a quick card and a full one have the same parameters: those with V 2."""
    by_16 = dataclasses.replace(TINY, ladders=(ladder("lag", 16, (1, 2)),), rows=("price",))
    (row,) = raw_rows(REGISTER, by_16)
    assert row["parameters"] == 2 * 3 * 2 + 2
    assert row["state_bytes"] == 4 * 3 * 16  # the largest of all its ladders


@pytest.mark.slow
def test_a_card_that_is_stopped_at_any_moment_is_valid_with_what_it_has(raw, never):
    for looks in (1, never.asked // 2, never.asked - 3):  # the last ones are between seeds
        stopped = list(raw_rows(REGISTER, TINY, interrupts=StopAfter(looks)))
        card_file.validate(made_card(stopped, TINY, stopped="it was interrupted"))
        cut_short = [row for row in stopped if row["kind"] != "price" and row not in raw]
        assert len(cut_short) <= TINY.seeds


class Diverges(known_memory.Memoryless):
    """Its output becomes non-finite in training."""

    @nn.compact
    def __call__(self, carry, inputs):
        weight = self.param("weight", nn.initializers.ones, (1,))
        grown = jnp.exp(jnp.exp(1e4 * (weight - 0.999) ** 2))
        return carry, jnp.tanh(inputs) * grown


@pytest.mark.slow
def test_a_cell_that_diverges_gets_a_valid_card():
    raw = list(raw_rows(Diverges(2), TINY))
    made = made_card(raw, TINY)
    card_file.validate(made)
    assert any(row["failed"] for row in raw if row["kind"] == "run")
    assert [each["passed"] for each in made["rows"]["ladders"]["lag-2"]["by_seed"]] == [0, 0]


@pytest.mark.slow
def test_a_curriculum_starts_from_the_weights_that_learned_a_shorter_lag(monkeypatch):
    started, train = [], ParallelRuns.train

    def noted(self, training, runs, budget, params=None):
        trained = train(self, training, runs, budget, params)
        started.append((runs, params, trained))
        return trained

    monkeypatch.setattr(ParallelRuns, "train", noted)
    chosen = dataclasses.replace(TINY, rows=("ladders", "cause"))
    rows = [row for row in raw_rows(REGISTER, chosen) if row["kind"] == "curriculum"]
    assert [(row["rung"], row["from"], row["seed"]) for row in rows] == [(3, 2, 0), (3, 2, 1)]
    runs, params, _ = started[-1]
    (before,) = [
        trained for some, _, trained in started
        if some[0].rung == 2 and trained.rows[0]["ladder"] == "lag-2"
    ]  # fmt: skip
    jax.tree.map(np.testing.assert_array_equal, params, before.params)
    assert [(run.seed, run.rate) for run in runs] == [(0, 0.1), (1, 0.1)]


@pytest.mark.slow
def test_seeds_batched_as_on_a_gpu_give_the_same_spans(monkeypatch, raw):
    monkeypatch.setattr(many_seeds, "default_seed_map", lambda: "vmap")
    made = made_card(list(raw_rows(REGISTER, TINY)), TINY)
    card_file.validate(made)
    ours, theirs = made["rows"], made_card(raw, TINY)["rows"]
    for name, found in theirs["ladders"].items():
        for field in ("mean", "low", "high", "by_seed"):
            assert ours["ladders"][name][field] == found[field]
    for kind in ("trained", "untrained"):
        mine, other = (rows["linear"]["by_lag"][kind] for rows in (ours, theirs))
        np.testing.assert_allclose(mine, other, atol=1e-3)


@pytest.mark.slow
def test_the_lags_of_a_capacity_network_are_doubled_while_the_last_quarter_adds_bits():
    chosen = dataclasses.replace(TINY, capacity_most=12, rows=("ladders", "capacity"))
    for slots, tried in ((3, [4]), (6, [4, 8]), (12, [4, 8, 12])):
        rows = list(raw_rows(known_memory.ShiftRegister(slots), chosen))
        bits = [row for row in rows if row["kind"] == "bits"]
        assert [(row["lags"], row["seed"]) for row in bits] == [
            (lags, seed) for lags in tried for seed in (0, 1)
        ]
        assert sum(row["kind"] == "linear" for row in rows) == 2  # of the first network alone


@pytest.mark.slow
def test_a_copy_card_has_every_length_and_its_baselines():
    made = made_card(list(raw_rows(MinGRUCell(4), TINY_COPY)), TINY_COPY)
    card_file.validate(made)
    first, second = made["rows"]["copy"]
    assert (first["T"], second["T"]) == (1, 3)
    np.testing.assert_allclose(second["loss_floor"], 10 * np.log(8) / 23, rtol=1e-5)
    np.testing.assert_allclose(first["floor"], np.log(8), rtol=1e-5)
    assert first["updates"] == 4
    assert len(set(first["recall"]["by_seed"])) == 2
    assert made["rows"]["ladders"] is None
    stopped = list(raw_rows(MinGRUCell(4), TINY_COPY, interrupts=StopAfter(5)))
    assert {row["T"] for row in stopped if row["kind"] == "copy"} == {1}
