import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from tiny_cards import TINY, made_card

from echo_jax.cells import cell_check, known_memory, lstm
from echo_jax.core import many_seeds
from echo_jax.memory_benchmark import parallel_runs, train_ladder
from echo_jax.memory_benchmark.parallel_runs import Run, Runner, spread
from echo_jax.memory_benchmark.spans import best_rate, is_decided
from echo_jax.memory_benchmark.train_ladder import Prober
from echo_jax.memory_cards import card_file

REGISTER = known_memory.ShiftRegister(3)


@pytest.fixture(scope="module")
def raw():
    return list(Prober(REGISTER, TINY).rows())


@pytest.mark.slow
def test_a_register_of_three_slots_comes_out_as_it_is_known_to_be(raw):
    made = made_card(REGISTER, raw, TINY)
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


def without_times(rows):
    return [row for row in rows if row["kind"] != "price"]


@pytest.mark.slow
def test_quick_is_the_beginning_of_full_to_the_bit(raw):
    quick = dataclasses.replace(TINY, name="quick", ladder=(1, 2), rows=("stream", "hold"))
    again = list(Prober(REGISTER, quick).rows())
    assert len(again) > 10
    assert all(row in raw for row in again)


@pytest.mark.slow
def test_a_seed_is_the_same_whatever_others_run_beside_it(raw):
    alone = dataclasses.replace(TINY, seeds=1, rows=("stream",))
    rows = [row for row in Prober(REGISTER, alone, seed=1).rows() if row["kind"] == "run"]
    assert rows
    assert all(row in raw for row in rows)


@pytest.mark.slow
def test_a_cell_without_memory_is_at_every_floor():
    chosen = dataclasses.replace(TINY, rows=("stream", "hold", "cause", "capacity"))
    rows = made_card(None, list(Prober(known_memory.Memoryless(4), chosen).rows()), chosen)["rows"]
    for task in ("stream_span", "hold_span"):
        assert rows[task]["0.99"]["by_seed"] == [0, 0]
        assert rows[task]["0.6"]["by_seed"] == [0, 0]
    assert abs(rows["capacity"]["exact"]["median"]) < 0.1
    assert rows["linear"]["trained"]["by_seed"] == [0, 0]
    assert rows["learning"]["stream"][0]["reached"] == 0
    assert rows["cause"]["verdict"] == "could not hold"


@pytest.mark.slow
def test_a_card_that_runs_out_of_time_at_any_moment_keeps_what_it_has_and_is_believed(raw):
    looks = iter(range(10**6))
    list(Prober(REGISTER, TINY, over=lambda: next(looks) < 0).rows())
    last = next(looks)
    for end in (1, last // 2, last - 3):  # the last looks are between the seeds of the last row
        asked = iter(range(10**6))
        stopped = list(Prober(REGISTER, TINY, over=lambda a=asked, e=end: next(a) > e).rows())
        made = made_card(REGISTER, stopped, TINY)
        card_file.validate(made)
        without = without_times(stopped)
        whole = [row for row in without if row in raw]
        assert len(without) - len(whole) <= TINY.seeds  # those at work were cut short


class Diverges(known_memory.Memoryless):
    """Its output is no number once it has been trained on enough of them."""

    @nn.compact
    def __call__(self, carry, inputs):
        weight = self.param("weight", nn.initializers.ones, (1,))
        grown = jnp.exp(jnp.exp(1e4 * (weight - 0.999) ** 2))
        return carry, jnp.tanh(inputs) * grown


@pytest.mark.slow
def test_a_cell_that_diverges_gets_a_card_all_the_same():
    raw = list(Prober(Diverges(2), TINY).rows())
    made = made_card(None, raw, TINY)
    card_file.validate(made)
    assert any(row["failed"] for row in raw if row["kind"] == "run")
    assert made["rows"]["stream_span"]["0.99"]["median"] == 0


@pytest.mark.slow
def test_the_weights_of_a_shorter_lag_are_where_a_curriculum_starts(monkeypatch):
    started = []
    train = Runner.train

    def noted(self, task, runs, budget, params=None):
        trained = train(self, task, runs, budget, params)
        started.append((runs, params, trained))
        return trained

    monkeypatch.setattr(Runner, "train", noted)
    chosen = dataclasses.replace(TINY, rows=("stream", "cause"))
    rows = list(Prober(REGISTER, chosen).rows())
    later = [row for row in rows if row["kind"] == "curriculum"]
    assert [(row["lag"], row["from"], row["seed"]) for row in later] == [(3, 2, 0), (3, 2, 1)]
    runs, params, _ = started[-1]
    (before,) = [each for some, _, each in started if some[0].lag == 2]
    jax.tree.map(np.testing.assert_array_equal, params, before.params)
    assert [run.seed for run in runs] == [0, 1]


@pytest.mark.parametrize(
    ("active", "slots", "devices"), [([0, 3, 5], 8, 2), ([7], 8, 4), ([], 4, 2), ([0, 1, 2], 3, 1)]
)
def test_runs_at_work_are_divided_evenly_and_none_is_lost(active, slots, devices):
    order = spread(active, slots, devices)
    assert sorted(order) == list(range(slots))
    shares = [len(set(active) & set(share)) for share in order.reshape(devices, -1).tolist()]
    assert max(shares) - min(shares) <= 1


@pytest.mark.slow
def test_moving_the_runs_among_the_slots_changes_no_bit():
    cell, budget = lstm.LSTMCell(4), 75
    work = Runner(cell, TINY, lambda: False)
    runs = [Run(seed, 1, 0.1) for seed in (0, 1)]
    together = work.train("stream", runs, budget)
    alone = [work.train("stream", [run], budget) for run in runs]
    work.close()
    for i, each in enumerate(alone):
        assert each.rows[0] == together.rows[i]
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_array_equal(a[0], b[i]),
            each.params,
            together.params,
        )


def test_a_cell_that_takes_too_long_to_compile_ends_with_a_sentence(monkeypatch):
    monkeypatch.setattr(parallel_runs, "COMPILE_SECONDS", 0.1)
    monkeypatch.setattr(Runner, "compile", lambda *_: time.sleep(1))
    with pytest.raises(
        cell_check.TooLongError, match=r"'ShiftRegister' is not .* within 0.1 s: put"
    ):
        list(Prober(REGISTER, TINY).rows())


def tuned(rate, accuracy, failed=False):
    return {"rate": rate, "accuracy": accuracy, "failed": failed}


def test_the_rate_that_learns_soonest_is_kept():
    slow, fast = tuned(0.1, [0.5, 0.6, 0.7, 1.0]), tuned(0.2, [0.5, 1.0])
    assert best_rate([slow, fast]) == 0.2
    assert best_rate([fast, slow]) == 0.2
    assert best_rate([slow, tuned(0.3, [0.9], failed=True)]) == 0.1
    assert best_rate([tuned(0.3, [0.7]), tuned(0.2, [0.7])]) == 0.2


def test_a_rate_is_decided_where_the_best_one_learned_something():
    fixed = {"thresholds": [0.99, 0.6]}
    assert is_decided([tuned(0.1, [0.5, 0.7]), tuned(0.1, [0.5, 0.55])], fixed)
    assert not is_decided([tuned(0.1, [0.5, 0.55]), tuned(0.2, [0.5, 0.5])], fixed)


@pytest.mark.slow
def test_a_lag_that_no_rate_learns_gives_way_to_a_shorter_one():
    chosen = dataclasses.replace(
        TINY, ladder=(1,), rows=("stream",), rates=(0.1, 0.3), tuning_lags={"stream": (4, 1)}
    )
    raw = list(Prober(REGISTER, chosen).rows())
    assert [(row["lag"], row["rate"]) for row in raw if row["kind"] == "tune"] == [
        (4, 0.1), (4, 0.3), (1, 0.1), (1, 0.3),
    ]  # fmt: skip
    rates = made_card(REGISTER, raw, chosen)["rows"]["rates"]
    assert rates["stream"]["lag"] == 1
    assert rates["stream"]["decided"]
    assert {row["rate"] for row in raw if row["kind"] == "run"} == {rates["stream"]["rate"]}


def test_numbers_of_a_row_are_rounded_and_what_is_none_is_null():
    assert parallel_runs.plain(np.float32(0.1)) == 0.1
    assert parallel_runs.plain(float("nan")) is None
    assert parallel_runs.plain(np.array([1.0, 1 / 3])) == [1.0, 0.333333]
    found = train_ladder.significant(np.array([1.23456789e-20, 0.0, np.nan]))
    assert found == [1.23457e-20, 0.0, None]


@pytest.mark.slow
def test_seeds_side_by_side_as_on_a_gpu_find_the_same(monkeypatch, raw):
    monkeypatch.setattr(many_seeds, "default_seed_map", lambda: "vmap")
    made = made_card(None, list(Prober(REGISTER, TINY).rows()), TINY)
    card_file.validate(made)
    ours, theirs = made["rows"], made_card(None, raw, TINY)["rows"]
    for row in ("stream_span", "hold_span", "rates"):
        assert ours[row] == theirs[row]
    for kind in ("trained", "untrained"):
        mine, other = (rows["linear"]["by_lag"][kind] for rows in (ours, theirs))
        np.testing.assert_allclose(mine, other, atol=1e-3)
