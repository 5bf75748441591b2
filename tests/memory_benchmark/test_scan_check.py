import dataclasses

import cheating_cells
import jax
import numpy as np
import pytest
from tiny_cards import TINY

from echo_jax.cells.adapters.adapt import adapt
from echo_jax.exceptions import CellRefusedError
from echo_jax.memory_benchmark import scan_check
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.training import LadderTraining, Run

CHEAT, HONEST = (
    LadderTraining(adapt(cell), TINY.ladders[0], TINY)
    for cell in (cheating_cells.PeeksWhereABiasIs, cheating_cells.Leaky)
)
BY_ITS_SCAN = (
    r"cheating_cells.py:\d+: cell 'PeeksWhereABiasIs' answers 100.0% of lag-2 3 by its scan"
)


def row(*pairs):
    accuracy, confirmed = zip(*pairs, strict=True)
    tried = [(i, share) for i, share in enumerate(confirmed) if share is not None]
    return {"ladder": "lag-2", "rung": 3, "accuracy": accuracy, "confirmed": tried}


@pytest.mark.parametrize(
    ("pairs", "answered"),
    [([(0.4, None), (0.97, None)], False), ([(None, None), (0.995, 0.98), (1.0, 1.0)], True)],
)
def test_a_run_has_answered_where_an_evaluation_reaches_the_threshold(pairs, answered):
    assert scan_check.check_answers(CHEAT, row(*pairs)) is answered


def test_answers_that_the_steps_do_not_give_are_refused():
    with pytest.raises(CellRefusedError, match=f"{BY_ITS_SCAN} and 51.2% by its steps: let the"):
        scan_check.check_answers(CHEAT, row((0.5, None), (1.0, 0.512)))
    assert scan_check.check_answers(HONEST, row((1.0, 0.512)))  # its scan is its steps


@pytest.mark.slow
def test_the_weights_of_every_run_that_answered_are_compared():
    params = CHEAT.init(Run(0, 1, 0.1)).params
    peeks = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), jax.device_get(params))
    peeks["cell"]["bias"][1] = 0.01
    scan_check.check_weights(CHEAT, peeks, [0])
    with pytest.raises(CellRefusedError, match=r"numbers than its steps .* trained on lag-2: let"):
        scan_check.check_weights(CHEAT, peeks, [0, 1])


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (cheating_cells.PeeksWhereABiasIs, r"answers 1?\d\d.\d% of lag-2 1 by its scan and [45]"),
        (
            cheating_cells.Peeks,
            r"other numbers than its steps \(.*\) at weights that are trained on",
        ),
    ],
)
def test_a_cheat_gets_no_card_once_it_has_learned_to_use_what_it_peeks_at(cell, said):
    chosen = dataclasses.replace(TINY, rows=("ladders",))
    with pytest.raises(CellRefusedError, match=said):
        list(raw_rows(adapt(cell), chosen))
