import contextlib
import dataclasses
import time

import jax.numpy as jnp
import numpy as np
import pytest
from tiny_cards import TINY

from echo_jax.cells.vector_state import lstm
from echo_jax.core.training import TrainState
from echo_jax.exceptions import TooLongError
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark import parallel_runs
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns, record, spread
from echo_jax.memory_benchmark.training import Block, LadderTraining, Run, Training


@pytest.mark.parametrize(
    ("active", "slots", "devices"), [([0, 3, 5], 8, 2), ([7], 8, 4), ([], 4, 2), ([0, 1, 2], 3, 1)]
)
def test_active_runs_are_divided_evenly_and_none_is_lost(active, slots, devices):
    order = spread(active, slots, devices)
    assert sorted(order) == list(range(slots))
    shares = [len(set(active) & set(share)) for share in order.reshape(devices, -1).tolist()]
    assert max(shares) - min(shares) <= 1


class Counting(Training):
    """Adds the rate to the seed in each block; a run of seed s is over after s + 1 blocks."""

    def init(self, run):
        return TrainState(jnp.int32(0), {"w": jnp.float32(run.seed)}, ())

    def train_block(self, length, run, state):
        w = state.params["w"] + run.rate
        return Block(state._replace(params={"w": w}), {"w": w}, jnp.isfinite(w))

    def is_over(self, row):
        return len(row["w"]) > row["seed"]


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("start", [None, {"w": np.float32([10, 20, 30, 40])}])
def test_runs_that_are_over_are_kept_while_others_move_among_the_slots(monkeypatch, devices, start):
    monkeypatch.setattr(
        parallel_runs, "spread", lambda active, slots, _: spread(active, slots, devices)
    )
    chosen, seeds = dataclasses.replace(TINY, seeds=4), (3, 0, 2, 1)
    monkeypatch.setattr(parallel_runs, "TELL_SECONDS", 0)
    told = []
    with contextlib.closing(ParallelRuns(chosen, 0, Interrupts(), told.append)) as parallel:
        runs = [Run(seed, 1, 0.5) for seed in seeds]
        training = Counting(lstm.LSTMCell(4), TINY.ladders[0], chosen)
        trained = parallel.train(training, runs, 75, start)
    assert [row["seed"] for row in trained.rows] == list(seeds)
    of_all = {"ladder": "lag-2", "rung": 1, "rate": 0.5}
    assert all(of_all.items() <= row.items() for row in trained.rows)
    first = np.float32(seeds) if start is None else start["w"]
    blocks = np.minimum(np.array(seeds) + 1, 3)  # the budget is three blocks
    for row, w, n in zip(trained.rows, first, blocks, strict=True):
        assert row["w"] == [w + 0.5 * (i + 1) for i in range(n)]
    np.testing.assert_array_equal(trained.params["w"], first + 0.5 * blocks)
    assert [words.partition(" at these")[0] for words in told] == [
        "lag-2 1: 25 of at most 75 updates", "lag-2 1: 50 of at most 75 updates",
    ]  # fmt: skip


def test_a_long_rung_says_now_and_then_how_far_it_is_and_how_long_it_takes_at_most(monkeypatch):
    clock, said = iter([0.0, 10.0, 21.0, 30.0, 42.0, 63.0]), []
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    pace = parallel_runs.Pace(said.append, "lag-2 20", every=50, budget=250)
    for blocks in range(1, 6):
        pace.tell(blocks)
    assert said == [
        "lag-2 20: 100 of at most 250 updates at these rates, which end in about 32 s",
        "lag-2 20: 200 of at most 250 updates at these rates, which end in about 10 s",
    ]


def test_a_cell_that_takes_too_long_to_compile_ends_with_a_sentence(monkeypatch):
    monkeypatch.setattr(parallel_runs, "COMPILE_SECONDS", 0.1)
    monkeypatch.setattr(ParallelRuns, "compile", lambda *_: time.sleep(1))
    training = LadderTraining(lstm.LSTMCell(4), TINY.ladders[0], TINY)
    parallel = ParallelRuns(TINY, 0, Interrupts(), print)
    with pytest.raises(TooLongError, match=r"'LSTMCell' is not .* within 0.1 s: put"):
        parallel.train(training, [Run(0, 1, 0.1)], 25)


def test_scores_are_rounded_and_non_finite_ones_are_null():
    row = {"rung": 1}
    for value in (2 / 3, np.inf):
        scores = {"loss": np.float32([0, value]), "recall": np.float32([0, 0.0201234567])}
        record(row, Block(None, scores, np.array([False, value < 1])), 1, ".5g")
    assert row == {"rung": 1, "loss": [0.66667, None], "recall": [0.020123] * 2, "failed": True}


def test_a_confirmation_stands_beside_the_number_of_its_evaluation():
    row = {}
    for accuracy, confirmed in ((0.5, np.nan), (0.9912345, 0.98), (0.7, np.nan), (1.0, 1.0)):
        scores = {"accuracy": np.float32([accuracy]), "confirmed": np.float32([confirmed])}
        record(row, Block(None, scores, np.array([True])), 0, ".6f")
    assert row == {
        "accuracy": [0.5, 0.991234, 0.7, 1.0], "confirmed": [[1, 0.98], [3, 1.0]], "failed": False,
    }  # fmt: skip
    never = {}
    record(never, Block(None, {name: x[:1] for name, x in scores.items()} | {
        "confirmed": np.float32([np.nan])}, np.array([True])), 0, ".6f")  # fmt: skip
    assert never["confirmed"] == []
