"""Cells that aim at this protocol are refused, or pass nothing."""

import dataclasses

import cheating_cells
import protocol_cheats as cheats
import pytest
from tiny_cards import TINY, ladder, made_card

from echo_jax.cells.adapters.adapt import adapt
from echo_jax.exceptions import CellRefusedError
from echo_jax.memory_benchmark import scan_check, spans
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.protocol import to_dict
from echo_jax.memory_benchmark.training import LadderTraining
from echo_jax.memory_cards import card_file


def training(cell):
    return LadderTraining(adapt(cell), TINY.ladders[0], TINY)


def test_a_cell_that_is_another_one_in_the_batches_of_an_evaluation_is_refused():
    scan_check.check_batches(training(cheats.Register), [16, 64, 256, 37, 1])
    with pytest.raises(CellRefusedError, match="is another program in batches of 64 rows"):
        scan_check.check_batches(training(cheats.HasATableByTheBatch), [1, 64])


def test_answers_that_the_steps_do_not_give_are_refused():
    row = {"ladder": "lag-2", "rung": 3, "accuracy": [0.5, 1.0], "confirmed": [(1, 0.512)]}
    with pytest.raises(CellRefusedError, match=r"answers 100.0% of lag-2 3 by its scan and 51.2%"):
        scan_check.check_answers(training(cheating_cells.PeeksWhereABiasIs), row)
    assert scan_check.check_answers(training(cheating_cells.Leaky), row)  # its scan is its steps


@pytest.mark.parametrize("cell", ["AnswersNothing", "WritesIntoItsWeights"])
def test_logits_that_are_no_numbers_and_weights_that_store_what_they_saw_pass_nothing(cell):
    chosen = dataclasses.replace(
        TINY, ladders=(ladder("lag", 2, (2,)),), rows=("ladders",), rates=(0.1,), refine=False,
        budget=50,
    )  # fmt: skip
    rows = list(raw_rows(adapt(vars(cheats)[cell]), chosen))
    climbs = spans.climbs(rows, "lag-2", to_dict(chosen))
    assert [climb[:2] for climb in climbs.values()] == [(0, 2)] * 2
    assert all(row["failed"] for row in rows) == (cell == "AnswersNothing")
    assert max(share for row in rows for share in row["accuracy"]) < 0.75
    card_file.validate(made_card(rows, chosen))
