import contextlib
import time

import jax
import numpy as np
import pytest
from tiny_cards import TINY

from echo_jax.cells import cell_check, lstm
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark import parallel_runs
from echo_jax.memory_benchmark.lag_training import Block, LagTraining, Run
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns, record, spread


@pytest.fixture
def parallel():
    with contextlib.closing(ParallelRuns(TINY, 0, Interrupts(), print)) as runs:
        yield runs


@pytest.mark.parametrize(
    ("active", "slots", "devices"), [([0, 3, 5], 8, 2), ([7], 8, 4), ([], 4, 2), ([0, 1, 2], 3, 1)]
)
def test_active_runs_are_divided_evenly_and_none_is_lost(active, slots, devices):
    order = spread(active, slots, devices)
    assert sorted(order) == list(range(slots))
    shares = [len(set(active) & set(share)) for share in order.reshape(devices, -1).tolist()]
    assert max(shares) - min(shares) <= 1


@pytest.mark.slow
def test_a_run_is_the_same_bit_for_bit_in_every_slot(parallel):
    training = LagTraining(lstm.LSTMCell(4), "stream", TINY)
    runs = [Run(seed, 1, 0.1) for seed in (0, 1)]
    together = parallel.train(training, runs, 75)
    for i, run in enumerate(runs):
        alone = parallel.train(training, [run], 75)
        assert alone.rows[0] == together.rows[i]
        of_run = jax.tree.map(lambda x, i=i: x[i : i + 1], together.params)
        jax.tree.map(np.testing.assert_array_equal, alone.params, of_run)


def test_a_cell_that_takes_too_long_to_compile_ends_with_a_sentence(parallel, monkeypatch):
    monkeypatch.setattr(parallel_runs, "COMPILE_SECONDS", 0.1)
    monkeypatch.setattr(ParallelRuns, "compile", lambda *_: time.sleep(1))
    training = LagTraining(lstm.LSTMCell(4), "stream", TINY)
    with pytest.raises(cell_check.TooLongError, match=r"'LSTMCell' is not .* within 0.1 s: put"):
        parallel.train(training, [Run(0, 1, 0.1)], 25)


def test_scores_are_rounded_and_non_finite_ones_are_null():
    row = {"lag": 1}
    for value in (2 / 3, np.inf):
        scores = {"loss": np.float32([0, value]), "recall": np.float32([0, 0.0201234567])}
        record(row, Block(None, scores, np.array([False, value < 1])), 1, ".5g")
    assert row == {"lag": 1, "loss": [0.66667, None], "recall": [0.020123] * 2, "failed": True}
