"""Whole measurements of cells whose memory is known, under protocols of seconds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from tiny_cards import TINY, TINY_COPY, made_card

from echo_jax.cells import known_memory
from echo_jax.cells.vector_state.minimal_rnns import MinGRUCell
from echo_jax.core import many_seeds
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns
from echo_jax.memory_cards import card_file

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("compiled_once")]

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


def test_a_register_of_three_slots_has_its_known_memory(raw):
    made = made_card(raw, TINY)
    card_file.validate(made)
    rows = made["rows"]
    assert rows["stream_span"]["0.99"]["by_seed"] == [2, 2]
    assert rows["stream_span"]["0.99"]["at_least"] == [False, False]
    assert rows["hold_span"]["0.99"]["by_seed"] == [1, 1]  # a value, a distractor, the question
    np.testing.assert_allclose(rows["capacity"]["by_lag"]["median"], [1, 1, 0, 0], atol=0.05)
    np.testing.assert_allclose(rows["linear"]["by_lag"]["trained"], [1, 1, 0, 0, 0, 0], atol=0.01)
    assert rows["beyond"]["lag"] == 2
    assert [each["median"] for each in rows["beyond"]["accuracy"]] == [1, 1]
    assert rows["cause"]["verdict"] == "could not hold"
    assert rows["cause"]["lag"] == 3
    assert rows["price"]["parameters"] == 2 * 3 * 2 + 2
    assert rows["price"]["state_bytes"] == 3 * 2 * 4


def test_a_part_of_a_protocol_has_the_same_rows_bit_for_bit(raw):
    quick = dataclasses.replace(TINY, name="quick", ladder=(1, 2), rows=("stream", "hold"))
    alone = dataclasses.replace(TINY, seeds=1, rows=("stream",))
    for rows in (list(raw_rows(REGISTER, quick)), list(raw_rows(REGISTER, alone, seed=1))):
        assert len(rows) > 3
        assert all(row in raw for row in rows)


def test_a_cell_without_memory_is_at_every_baseline():
    chosen = dataclasses.replace(TINY, rows=("stream", "hold", "cause", "capacity"))
    rows = made_card(list(raw_rows(known_memory.Memoryless(4), chosen)), chosen)["rows"]
    for task in ("stream_span", "hold_span"):
        assert rows[task]["0.99"]["by_seed"] == [0, 0]
        assert rows[task]["0.6"]["by_seed"] == [0, 0]
    assert abs(rows["capacity"]["exact"]["median"]) < 0.1
    assert rows["linear"]["trained"]["by_seed"] == [0, 0]
    assert rows["learning"]["stream"][0]["reached"] == 0
    assert rows["cause"]["verdict"] == "could not hold"


def test_a_card_that_is_stopped_at_any_moment_is_valid_with_what_it_has(raw, never):
    for looks in (1, never.asked // 2, never.asked - 3):  # the last ones are between seeds
        stopped = list(raw_rows(REGISTER, TINY, interrupts=StopAfter(looks)))
        card_file.validate(made_card(stopped, TINY))
        cut_short = [row for row in stopped if row["kind"] != "price" and row not in raw]
        assert len(cut_short) <= TINY.seeds


class Diverges(known_memory.Memoryless):
    """Its output becomes non-finite in training."""

    @nn.compact
    def __call__(self, carry, inputs):
        weight = self.param("weight", nn.initializers.ones, (1,))
        grown = jnp.exp(jnp.exp(1e4 * (weight - 0.999) ** 2))
        return carry, jnp.tanh(inputs) * grown


def test_a_cell_that_diverges_gets_a_valid_card():
    raw = list(raw_rows(Diverges(2), TINY))
    made = made_card(raw, TINY)
    card_file.validate(made)
    assert any(row["failed"] for row in raw if row["kind"] == "run")
    assert made["rows"]["stream_span"]["0.99"]["median"] == 0


def test_a_curriculum_starts_from_the_weights_that_learned_a_shorter_lag(monkeypatch):
    started, train = [], ParallelRuns.train

    def noted(self, training, runs, budget, params=None):
        trained = train(self, training, runs, budget, params)
        started.append((runs, params, trained))
        return trained

    monkeypatch.setattr(ParallelRuns, "train", noted)
    chosen = dataclasses.replace(TINY, rows=("stream", "cause"))
    rows = [row for row in raw_rows(REGISTER, chosen) if row["kind"] == "curriculum"]
    assert [(row["lag"], row["from"], row["seed"]) for row in rows] == [(3, 2, 0), (3, 2, 1)]
    runs, params, _ = started[-1]
    (before,) = [trained for some, _, trained in started if some[0].lag == 2]
    jax.tree.map(np.testing.assert_array_equal, params, before.params)
    assert [run.seed for run in runs] == [0, 1]


def test_the_rate_is_chosen_at_a_shorter_lag_if_no_rate_learns_the_first():
    chosen = dataclasses.replace(
        TINY, ladder=(1,), rows=("stream",), rates=(0.1, 0.3), tuning_lags={"stream": (4, 1)}
    )
    raw = list(raw_rows(REGISTER, chosen))
    tried = [(row["lag"], row["rate"]) for row in raw if row["kind"] == "tune"]
    assert tried == [(4, 0.1), (4, 0.3), (1, 0.1), (1, 0.3)]
    rates = made_card(raw, chosen)["rows"]["rates"]["stream"]
    assert rates["lag"] == 1
    assert rates["decided"]
    assert {row["rate"] for row in raw if row["kind"] == "run"} == {rates["rate"]}


def test_seeds_batched_as_on_a_gpu_give_the_same_spans(monkeypatch, raw):
    monkeypatch.setattr(many_seeds, "default_seed_map", lambda: "vmap")
    made = made_card(list(raw_rows(REGISTER, TINY)), TINY)
    card_file.validate(made)
    ours, theirs = made["rows"], made_card(raw, TINY)["rows"]
    for row in ("stream_span", "hold_span", "rates"):
        assert ours[row] == theirs[row]
    for kind in ("trained", "untrained"):
        mine, other = (rows["linear"]["by_lag"][kind] for rows in (ours, theirs))
        np.testing.assert_allclose(mine, other, atol=1e-3)


def test_a_copy_card_has_every_length_and_its_baselines():
    made = made_card(list(raw_rows(MinGRUCell(4), TINY_COPY)), TINY_COPY)
    card_file.validate(made)
    first, second = made["rows"]["copy"]
    assert (first["T"], second["T"]) == (1, 3)
    np.testing.assert_allclose(second["loss_floor"], 10 * np.log(8) / 23, rtol=1e-5)
    np.testing.assert_allclose(first["floor"], np.log(8), rtol=1e-5)
    assert first["updates"] == 4
    assert len(set(first["recall"]["by_seed"])) == 2
    assert made["rows"]["stream_span"] is None
    stopped = list(raw_rows(MinGRUCell(4), TINY_COPY, interrupts=StopAfter(5)))
    assert {row["T"] for row in stopped if row["kind"] == "copy"} == {1}
