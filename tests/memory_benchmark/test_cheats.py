"""Cells that aim at this protocol are refused, exposed by a row, or honestly described.

`tests/cells/check` has those that the check of a cell refuses, and `test_scan_check` those that it
finds at trained weights.
"""

import collections
import dataclasses
import itertools

import jax
import numpy as np
import protocol_cheats as cheats
import pytest
from exact_cells import PackedFloat, PackedInteger
from tiny_cards import TINY, ladder, made_card

from echo_jax.cells.adapters.adapt import adapt
from echo_jax.cells.block import Block
from echo_jax.cells.check import cell_check
from echo_jax.cells.check.shape_check import Candidate
from echo_jax.cells.check.traced_programs import trace_programs
from echo_jax.cells.known_memory import Memoryless
from echo_jax.cells.state_size import state_bytes
from echo_jax.core.data import Purpose
from echo_jax.exceptions import CellRefusedError, ConfigError
from echo_jax.memory_benchmark import scan_check, spans
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.measures import failure_cause, longer_streams, step_time
from echo_jax.memory_benchmark.measures.capacity import CapacityTraining
from echo_jax.memory_benchmark.protocol import BLOCK_FULL, to_dict
from echo_jax.memory_benchmark.training import LadderTraining, Run
from echo_jax.memory_cards import card_file

LADDERS = dataclasses.replace(TINY, rows=("ladders",))


def training(cell, chosen=TINY, number=0):
    return LadderTraining(adapt(cell), chosen.ladders[number], chosen)


def climbed(rows, chosen=TINY):
    """The last rung passed and the first missed of each seed on the first ladder."""
    found = spans.climbs(rows, chosen.ladders[0].name, to_dict(chosen))
    return [each[:2] for each in found.values()]


# A state larger than the one that is counted


@pytest.mark.parametrize(
    ("cell", "function"),
    [("KeepsMoreInABatch", "initial_state"), ("ScalesWithTheBatch", "step"),
     ("HasATableByTheBatch", "step")],
)  # fmt: skip
def test_a_cell_that_is_another_one_in_the_batches_of_an_evaluation_is_refused(cell, function):
    size = 64 if function == "step" else 2
    scan_check.check_batches(training(cheats.Register), [16, 64, 256, 37, 1])
    said = rf"'{cell}' is another program in batches of {size} rows than of 9,973: let nothing"
    with pytest.raises(CellRefusedError, match=said) as refused:
        scan_check.check_batches(training(vars(cheats)[cell]), [1, 64])
    assert f".{function}" in str(refused.value) or "protocol_cheats.py:" in str(refused.value)


@pytest.mark.parametrize(
    "measured", [pytest.param(True, marks=pytest.mark.slow), pytest.param(False)]
)
def test_a_state_that_is_larger_in_the_batches_of_training_is_refused(measured):
    cell = adapt(cheats.KeepsMoreInABatch)
    assert state_bytes(cell, 2).cell == 4 * 2 * 2  # where 9 slots are used
    chosen = dataclasses.replace(LADDERS, ladders=(ladder("lag", 2, (8,)),), shortest_lag=24)
    with pytest.raises(CellRefusedError, match="is another program in batches of 2 rows"):
        list(raw_rows(cell, chosen)) if measured else cell_check.check(cell, "cheats", 2)


def test_a_state_that_is_larger_for_more_tokens_is_counted_where_it_is_largest(monkeypatch):
    monkeypatch.setattr(step_time, "_timed", lambda *_: [1.0])
    row = step_time.cost_row(training(cheats.KeepsMoreForMoreTokens), {2, 5, 16})
    assert row["state_bytes"] == 4 * 9 * 16


# A counter of steps


def test_a_memory_that_is_written_by_the_clock_is_counted_and_ends_with_the_training_sequence():
    chosen = dataclasses.replace(TINY, shortest_lag=16, answers=512, beyond=(1, 2))
    clock = training(cheats.WritesByTheClock, chosen)
    assert state_bytes(clock.cell, 2).cell == 16 * 2 * 4 + 4
    params = {"cell": {}, "readout": {"kernel": np.eye(2, dtype="f"), "bias": np.zeros(2, "f")}}
    run = Run(np.int32(0), np.int32(2), np.float32(0.1))
    found = jax.jit(lambda run: longer_streams.accuracies(clock, 16, run, params))(run)
    assert found[0] == 1
    assert found[1] == pytest.approx(0.5, abs=0.15)
    (said,) = trace_programs(Candidate(clock.cell, "clock", 2)).remarks()
    assert said.startswith("keeps int32 in its state")


# Evaluation data that are recognised


def sequences_of(run, length, chosen):
    """All sequences of the first block of a run: of training, evaluation and confirmation."""
    found, drawn = training(cheats.Register, chosen), []
    parts, rows = found.parts(length)
    evaluation = jax.random.fold_in(found.data_key(run, Purpose.EVALUATION), chosen.evaluate_every)
    for key, count, size in (
        (found.data_key(run, Purpose.DATA), chosen.evaluate_every, chosen.batch_size),
        (evaluation, (1 + chosen.confirmation) * parts, rows),
    ):
        drawn += [
            np.asarray(found.draw(jax.random.fold_in(key, i), size, length, run.rung).tokens)
            for i in range(count)
        ]
    return np.concatenate(drawn)


@pytest.mark.slow
def test_sequences_that_are_known_by_heart_are_exposed_by_longer_streams_and_by_other_seeds():
    chosen = dataclasses.replace(
        TINY, ladders=(ladder("lag", 2, (24,)),), shortest_lag=72, seeds=1, rates=(0.1,),
        budget=25, beyond=(1, 2), refine=False, rows=("ladders", "beyond"),
    )  # fmt: skip
    known = sequences_of(Run(0, 24, 0.1), 72, chosen)
    cell = adapt(cheats.KnowsTheSequences(known, 24))
    assert state_bytes(cell, 2).cell == 8
    rows = list(raw_rows(cell, chosen))
    assert climbed(rows, chosen) == [(24, None)]  # it got through
    (beyond,) = [row for row in rows if row["kind"] == "beyond"]
    assert max(beyond["accuracy"]) < 0.6  # on streams of the same length, not known by heart
    with pytest.raises(ConfigError, match="on fresh streams as long as in training, and seed 0"):
        card_file.validate(made_card(rows, chosen, 0))
    assert climbed(raw_rows(cell, chosen, seed=1), chosen) == [(0, 24)]


def test_sequences_in_its_code_are_said_to_be_there():
    cell = adapt(cheats.KnowsTheSequences(np.eye(40, 30), 24))
    remarks = trace_programs(Candidate(cell, "known", 2)).remarks()
    fixed = [each for each in remarks if "fixed in its code: the same for all seeds" in each]
    assert "int8[30, 40]" in fixed[0]


# A block whose convolution does the work


@pytest.mark.parametrize(
    ("layers", "reached"),
    [
        (1, 0),
        pytest.param(2, 0, marks=pytest.mark.slow),
        pytest.param(3, 1, marks=pytest.mark.slow),
    ],
)
def test_the_convolution_of_a_block_reaches_the_first_rung_in_three_layers_and_is_counted(
    layers, reached
):
    asked = BLOCK_FULL.ladders[0]
    assert (asked.task, asked.rungs[0]) == ("lag", 8)
    cell = Block(adapt(Memoryless(4)), width=8, layers=layers)
    held = state_bytes(cell, 16)
    assert (held.cell, held.convolution) == (4 * layers, 4 * 3 * 8 * layers)
    found = LadderTraining(cell, asked, dataclasses.replace(BLOCK_FULL, gradient_sequences=8))

    @jax.jit
    def change(run):
        return failure_cause.change(found, 24, run, found.init(run).params)

    by_lag = [float(change(Run(0, np.int32(lag), 0.1))) for lag in (3 * layers, 3 * layers + 1, 8)]
    assert by_lag[0] > 0 == by_lag[1]
    assert (by_lag[2] > 0) == reached


def best_of_a_window(seen):
    """The best accuracy on two keys of eight by the last inputs alone, over all sequences."""
    answers = collections.defaultdict(collections.Counter)
    pairs = list(itertools.permutations(range(8), 2))
    for keys, values, order in itertools.product(pairs, pairs, [(0, 1), (1, 0)]):
        tokens = [keys[0], 8 + values[0], keys[1], 8 + values[1], *(keys[i] for i in order)]
        for step, i in enumerate(order, 4):
            answers[step, *tokens[max(0, step + 1 - seen) : step + 1]][values[i]] += 1
    right = sum(max(each.values()) for each in answers.values())
    return right / sum(each.total() for each in answers.values())


def test_the_convolution_of_one_layer_does_not_pass_two_keys_and_that_of_two_layers_may():
    by_key = next(each for each in BLOCK_FULL.ladders if each.name == "key-16")
    assert by_key.rungs[0] == 2
    # the first answer is always seen, or all but it; the second in half of the sequences
    assert best_of_a_window(4) == pytest.approx((1 + (1 + 1 / 7) / 2) / 2)
    assert best_of_a_window(4) < by_key.threshold < best_of_a_window(7) == 1


# Many tokens in one number


@pytest.mark.parametrize(("cell", "bits"), [(PackedInteger, 32), (PackedFloat, 32)])
def test_what_is_packed_into_a_number_claims_no_more_than_its_bits(cell, bits):
    assert 8 * state_bytes(adapt(cell), 2).cell == bits
    remarks = trace_programs(Candidate(adapt(cell), "packed", 2)).remarks()
    assert any(each.startswith("keeps uint32 in its state") for each in remarks) == (
        cell is PackedInteger
    )


# Another form over time for some lengths


@pytest.mark.slow
def test_a_scan_that_peeks_in_sequences_of_one_length_is_refused_by_the_answers_of_the_steps():
    cell = adapt(cheats.ScansByLength)
    assert cell_check.check(cell, "cheats", 2) == []  # it gets through the check
    chosen = dataclasses.replace(LADDERS, ladders=(ladder("lag", 2, (3,)),))
    said = r"'ScansByLength' answers \d+.\d% of lag-2 3 by its scan and [45]\d.\d% by its steps"
    with pytest.raises(CellRefusedError, match=said):
        list(raw_rows(cell, chosen))


def test_bits_are_counted_of_the_states_that_the_steps_leave():
    chosen = dataclasses.replace(TINY, capacity_more=12)
    capacity = CapacityTraining(training(cheats.HoldsInItsScan, chosen), lags=4)
    assert capacity.length(0) == 16
    params = {"cell": {"scale": np.ones((), "f")}}

    last_states = jax.jit(lambda key: capacity.last_states(params, key))
    seen, past = map(np.asarray, last_states(jax.random.key(0)))
    # slot 1 has the input one step back, not that of four steps back as the scan would leave it
    np.testing.assert_array_equal(seen[:, 3], past[:, 0])
    assert np.any(seen[:, 3] != past[:, 3])


# Logits that are no numbers, weights that are changed by another rule


@pytest.mark.parametrize("cell", ["AnswersNothing", "AnswersForSure", "WritesIntoItsWeights"])
def test_logits_that_are_no_numbers_and_weights_that_store_what_they_saw_pass_nothing(cell):
    chosen = dataclasses.replace(
        LADDERS, ladders=(ladder("lag", 2, (2,)),), rates=(0.1,), refine=False, budget=50
    )
    rows = list(raw_rows(adapt(vars(cheats)[cell]), chosen))
    assert climbed(rows, chosen) == [(0, 2)] * 2
    assert all(row["failed"] for row in rows) == cell.startswith("Answers")
    assert max(share for row in rows for share in row["accuracy"]) < 0.75
    card_file.validate(made_card(rows, chosen))
