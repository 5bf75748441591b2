"""Scores of a row by name: values of the seeds, medians with their interval, places."""

import numpy as np
from fabricated import row

from echo_jax import statistics
from echo_jax.config import PARTS, changed
from echo_jax.report.number_formats import number, percent
from echo_jax.studies import scores
from echo_jax.studies.grid_point import GridPoint

EIGHT = changed(PARTS["context"], seeds=8)


def made(rng=0, measures=(), accuracy=None, reached=None, **fields):
    return row(GridPoint({"kind": "a"}, changed(EIGHT, **fields), measures), rng, accuracy, reached)


def test_medians_and_intervals_are_those_of_statistics():
    found = made(reached=[300, 320, "never", 250, 280, 410, 500, 260])
    each = [300, 320, None, 250, 280, 410, 500, 260]
    assert scores.scores(found, "sequences_to_99") == each
    assert scores.summary(found, "sequences_to_99").median == 310
    # of 8 the 2nd and the 7th: 250 260 280 300 320 410 500 never
    assert scores.shown(found, "sequences_to_99", number) == "310 (260 to 500)"
    # 20 rows in 4 batches of 5
    assert scores.shown(found, "updates_to_99", number) == "1,240 (1,040 to 2,000)"
    assert scores.shown(found, "rows_to_99", number) == "6,200 (5,200 to 10,000)"
    accuracy = found.by_seed.accuracy
    assert scores.summary(found, "accuracy") == statistics.summary_of(accuracy)
    middle, low, high = 100 * np.array([np.median(accuracy), *np.sort(accuracy)[[1, 6]]])
    assert scores.shown(found, "accuracy", percent) == f"{middle:.2f}% ({low:.2f} to {high:.2f})"


def test_one_seed_has_no_interval_and_what_was_not_measured_is_a_dash():
    one = made(accuracy=0.5, seeds=1)
    assert scores.shown(one, "accuracy", percent) == "50.00%"
    assert scores.shown(one, "other_state accuracy", percent) == "-"
    assert scores.shown(made(reached="never"), "sequences_to_99", number) == "never"
    few = made(reached=[100] * 3 + ["never"] * 5)
    assert scores.shown(few, "sequences_to_99", number) == "never (100 to never)"
