"""What cards claim, from other seeds than the committed ones: minutes of training."""

import dataclasses

import numpy as np
import pytest
from tiny_cards import ladder, made_card

from echo_jax import statistics
from echo_jax.cells import known_memory
from echo_jax.cells.vector_state import lstm
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns
from echo_jax.memory_benchmark.protocol import CELL_FULL, CELL_QUICK
from echo_jax.memory_benchmark.training import LadderTraining, Run
from echo_jax.studies import result_rows

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("past", [1, 5, 50])
def test_a_shift_register_of_d_plus_1_slots_climbs_to_lag_d_to_the_step(past):
    chosen = dataclasses.replace(
        CELL_FULL,
        ladders=(ladder("lag", 2, tuple(sorted({1, past, past + 1}))),),
        exact_lags=(),
        rows=("ladders", "cause"),
        budget=500,
    )
    raw = list(raw_rows(known_memory.ShiftRegister(past + 1), chosen, seed=100))
    found = made_card(raw, chosen, seed=100)["rows"]
    climbed = found["ladders"]["lag-2"]["by_seed"]
    assert [(each["passed"], each["missed"]) for each in climbed] == [(past, past + 1)] * 8
    assert found["cause"]["lag"] == past + 1
    assert found["cause"]["verdict"] == "could not hold"


def test_every_seed_of_a_quick_card_of_the_lstm_holds_a_value_over_16_distractors():
    (on_demand,) = [each for each in CELL_QUICK.ladders if each.name == "hold-2"]
    chosen = dataclasses.replace(CELL_QUICK, ladders=(on_demand,), rows=("ladders",))
    raw = list(raw_rows(lstm.LSTMCell(50), chosen, seed=100))
    climbed = made_card(raw, chosen, seed=100)["rows"]["ladders"]["hold-2"]["by_seed"]
    assert [(each["passed"], each["missed"]) for each in climbed] == [(16, None)] * 4


@pytest.mark.parametrize("lag", [2, 5])
def test_a_card_learns_by_lag_as_the_study_of_streams_does_at_equal_settings(root, lag):
    (study,) = [
        row
        for row in result_rows.read(root / "docs" / "results" / "rows" / "streams.jsonl")
        if row.labels == {"trained on": "whole sequences", "lag": lag}
    ]
    task, training = study.config.task, study.config.training
    never = ladder("lag", task.vocab_size, (lag,), threshold=1.01)  # trained to the end
    equal = dataclasses.replace(
        CELL_FULL,
        ladders=(never,),
        batch_size=task.batch_size,
        shortest_lag=task.length,
        clip=1e9,
        rates=(training.learning_rate,),
        budget=training.sequences,
        evaluate_every=training.sequences // 2,
        answers=256 * (task.length - task.length // 3),
    )
    parallel = ParallelRuns(equal, 100, Interrupts(), print)
    runs = [Run(seed, lag, training.learning_rate) for seed in parallel.seeds]
    cell = lstm.LSTMCell(study.config.network.hidden_size)
    trained = parallel.train(LadderTraining(cell, never, equal), runs, equal.budget)
    parallel.close()
    ours = statistics.summary_of([row["accuracy"][-1] for row in trained.rows])
    theirs = statistics.summary_of(study.by_seed.accuracy)
    print(lag, ours, theirs)
    assert ours.interval.low <= theirs.interval.high
    assert theirs.interval.low <= ours.interval.high
    assert np.isclose(ours.median, theirs.median, rtol=0.03)
