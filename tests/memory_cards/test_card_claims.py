"""What cards claim, from other seeds than the committed ones: minutes of training."""

import dataclasses

import numpy as np
import pytest
from tiny_cards import made_card

from echo_jax import statistics
from echo_jax.cells import known_memory
from echo_jax.cells.vector_state import lstm
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark.lag_training import LagTraining
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns
from echo_jax.memory_benchmark.protocol import FULL, QUICK
from echo_jax.studies import result_rows

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("past", [1, 5, 50])
def test_a_shift_register_of_d_plus_1_slots_has_a_stream_span_of_d_to_the_step(past):
    ladder = tuple(sorted({1, past, past + 1}))
    tuned = {"ladder": ladder, "budget": 500, "tuning_lags": {"stream": (1,)}}
    chosen = dataclasses.replace(FULL, rows=("stream", "cause"), **tuned)
    raw = list(raw_rows(known_memory.ShiftRegister(past + 1), chosen, seed=100))
    found = made_card(raw, chosen, seed=100)["rows"]
    assert found["stream_span"]["0.99"]["by_seed"] == [past] * 8
    assert found["stream_span"]["0.6"]["by_seed"] == [past] * 8
    assert found["cause"]["lag"] == past + 1
    assert found["cause"]["verdict"] == "could not hold"


def test_the_quick_card_of_the_lstm_certifies_a_stream_span_of_12():
    chosen = dataclasses.replace(QUICK, rows=("stream",))
    raw = list(raw_rows(lstm.LSTMCell(50), chosen, seed=100))
    span = made_card(raw, chosen, seed=100)["rows"]["stream_span"]["0.99"]
    assert span["by_seed"] == [12] * 8
    assert all(span["at_least"])


@pytest.mark.parametrize("lag", [2, 5])
def test_the_stream_of_a_card_learns_as_the_study_of_streams_does_at_equal_settings(root, lag):
    (study,) = [
        row
        for row in result_rows.read(root / "docs" / "results" / "rows" / "streams.jsonl")
        if row.labels == {"trained on": "whole sequences", "lag": lag}
    ]
    task, training = study.config.task, study.config.training
    equal = dataclasses.replace(
        FULL,
        vocab_size=task.vocab_size,
        batch_size=task.batch_size,
        shortest_stream=task.length,
        clip=1e9,
        thresholds=(1.1, 1.1),  # never: every run is trained to its end
        budget=training.sequences,
        evaluate_every=training.sequences // 2,
        evaluation={"stream": 1000, "hold": 1},
    )
    cell = lstm.LSTMCell(study.config.network.hidden_size)
    parallel = ParallelRuns(equal, 100, Interrupts(), print)
    runs = parallel.runs(lag, training.learning_rate)
    trained = parallel.train(LagTraining(cell, "stream", equal), runs, equal.budget)
    parallel.close()
    ours = statistics.summary_of([row["accuracy"][-1] for row in trained.rows])
    theirs = statistics.summary_of(study.by_seed.accuracy)
    print(lag, ours, theirs)
    assert ours.interval.low <= theirs.interval.high
    assert theirs.interval.low <= ours.interval.high
    assert np.isclose(ours.median, theirs.median, rtol=0.03)
