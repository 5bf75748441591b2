"""Scores of a row by name: values of the seeds, medians with their interval, places."""

from fabricated import row

from echo_jax.config import PARTS, changed
from echo_jax.report.number_formats import number, percent
from echo_jax.studies import scores
from echo_jax.studies.grid_point import GridPoint

EIGHT = changed(PARTS["context"], seeds=8)


def made(rng=0, measures=(), accuracy=None, reached=None, **fields):
    return row(GridPoint({"kind": "a"}, changed(EIGHT, **fields), measures), rng, accuracy, reached)


def test_one_seed_has_no_interval_and_what_was_not_measured_is_a_dash():
    one = made(accuracy=0.5, seeds=1)
    assert scores.shown(one, "accuracy", percent) == "50.00%"
    assert scores.shown(one, "other_state accuracy", percent) == "-"


def test_what_was_not_reached_is_above_what_training_had():
    assert scores.shown(made(reached="never"), "sequences_to_99", number) == ">2,000"
    few = made(reached=[100] * 3 + ["never"] * 5)
    assert scores.shown(few, "sequences_to_99", number) == ">2,000 (100 to >2,000)"
    assert scores.shown(few, "updates_to_99", number) == ">8,000 (400 to >8,000)"
