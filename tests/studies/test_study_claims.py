"""What the studies claim, from other seeds than theirs: each direction with its interval."""

import dataclasses

import numpy as np
import pytest

from echo_jax import statistics
from echo_jax.config import changed
from echo_jax.studies import sweep
from echo_jax.studies.catalogue import STUDIES
from echo_jax.studies.scores import places, scores

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
FIRST_SEED, SEEDS = 5000, 8


def rows_of(study, *names):
    """The rows of some grid points of a study from other seeds, in the order of their names."""
    named = {point.name: point for point in STUDIES[study].points}
    ours = [
        dataclasses.replace(
            named[name], config=changed(named[name].config, seed=FIRST_SEED, seeds=SEEDS)
        )
        for name in names
    ]
    outcomes = sweep.here().map(sweep.run_task, sweep.by_program(ours))
    by_name = {outcome.task.name: outcome.result for outcome in outcomes}
    return [by_name[name] for name in names]


def interval(row, score="accuracy"):
    return statistics.summary_of(scores(row, score)).interval


def difference(first, second, score="accuracy"):
    """The interval of the median difference between paired seeds, and its p-value."""
    never = first.trained.sequences + 1
    pair = [[never if x is None else x for x in scores(row, score)] for row in (first, second)]
    return statistics.paired_comparison(*pair)


def test_the_parts_come_out_as_the_tutorial_says():
    two, three, four = rows_of("parts", *(point.name for point in STUDIES["parts"].points))
    assert interval(two).low == 1
    assert statistics.mean_equivalent(scores(three, "accuracy"), 0.01, 0.002).equivalent
    assert interval(four).low > 0.99
    assert interval(two, "sequences_to_99").high < interval(four, "sequences_to_99").low
    assert scores(three, "sequences_to_99") == [None] * SEEDS


def test_the_mistake_has_two_causes_and_a_gradient_through_two_batches_heals_the_second():
    six, all_six, one, two, untrained = rows_of(
        "mistake",
        "batch 6, batches back 1",
        "batch 6, batches back all",
        "batch 1, batches back 1",
        "batch 1, batches back 2",
        "batch 1, batches back untrained",
    )
    for absent in (six, all_six):  # not there: no gradient helps
        assert statistics.mean_equivalent(scores(absent, "accuracy"), 0.01, 0.002).equivalent
        probed = places(absent, "probe before")[1]
        assert max(probed[1:6]) < 0.02
        assert probed[6] > 0.9
    assert 0.04 < interval(one).low < interval(one).high < 0.12  # there, and not taught
    assert interval(two).low > 0.95  # 23 of 24 can be known
    assert places(untrained, "probe before")[1][1] > 0.9
    assert places(one, "probe before")[1][1] < 0.2  # training lost it
    assert places(two, "probe before")[1][1] > 0.9
    assert difference(one, two).p_value < 0.01


def test_the_carried_state_harms_part_4_and_helps_where_it_has_seen_the_value():
    zero, carried, without, with_state = rows_of(
        "state",
        "window 5, lag 1, batch 5, state zero",
        "window 5, lag 1, batch 5, state carried",
        "window 2, lag 2, batch 1, state zero",
        "window 2, lag 2, batch 1, state carried",
    )
    assert difference(zero, carried).interval.high < 0
    assert difference(zero, carried, "sequences_to_99").interval.low > 300
    assert difference(without, with_state).interval.low > 0.02
    probed = places(carried, "probe before")[1]
    assert max(probed[1:5]) < 0.02
    assert probed[5] > 0.5


def test_an_mlp_does_what_an_lstm_does_on_windows_and_not_one_value_at_a_time():
    window = "sees windows of 5, network {}, lag {}"
    alone = "sees one value at a time, network {}, lag 5"
    lstm, mlp, lstm_out, mlp_out, stream, line = rows_of(
        "mlp",
        window.format("LSTM", 4),
        window.format("MLP", 4),
        window.format("LSTM", 5),
        window.format("MLP", 5),
        alone.format("LSTM"),
        alone.format("MLP with a delay line of 5"),
    )
    for inside in (lstm, mlp):
        assert interval(inside).low > 0.99
    for outside in (lstm_out, mlp_out, line):
        assert statistics.mean_equivalent(scores(outside, "accuracy"), 0.01, 0.002).equivalent
    assert interval(stream).low > 0.2
    assert difference(line, stream).p_value < 0.01
    counts = [row.parameters for row in (lstm, mlp, line)]
    assert max(counts) < 1.03 * min(counts)


def test_the_future_cannot_be_foretold_and_answers_fed_back_repeat():
    ahead, echo = rows_of("future", "lag -1", "lag 1")
    assert statistics.mean_equivalent(scores(ahead, "accuracy"), 0.01, 0.002).equivalent
    assert interval(ahead, "loss").low > np.log(100)
    distinct = places(ahead, "fed_back distinct")[1]
    assert distinct[0] > distinct[-1]
    assert distinct[-1] < 5
    assert interval(echo).low > 0.99
    assert np.min(scores(echo, "fed_back repeats")) > 0.99
