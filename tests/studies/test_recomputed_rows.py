"""A cheap committed row of every kind is computed again, and is equal to the bit."""

import pytest
from tiny_points import found

from echo_jax.studies import study_folder, sweep
from echo_jax.studies.catalogue import STUDIES

KINDS = ("size", "mistake", "state", "streams", "explain", "future")
"""Scores alone; a probe, the other state, chunks of streams, what is followed, what is fed back."""


def seconds(row):
    stages = row.seconds
    return stages.compile + stages.train + stages.evaluate + stages.measure


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", KINDS)
def test_a_row_computed_again_is_the_committed_one(name):
    rows = study_folder.rows_of(study_folder.published(), {name: STUDIES[name]})[name]
    row = min(rows, key=seconds)
    (outcome,) = sweep.here().map(sweep.run_task, [row.grid_point])
    assert found(outcome.result) == found(row)
