import dataclasses
import re

import pytest

from echo_jax import report
from echo_jax.config import PARTS, NetworkConfig, RunConfig, TaskConfig


def test_the_tutorials_mistake_is_explained_by_its_first_cause():
    said = report.explain(PARTS["no-context"])
    assert said.startswith(
        "Chance is all there is: the value 1 step back is not in the window of 1"
    )
    assert "row r continues row r - 6, not row r - 1" in said
    assert "--window 2" in said


def test_batch_1_is_explained_by_the_second_cause():
    part3 = PARTS["no-context"]
    said = report.explain(
        dataclasses.replace(part3, task=dataclasses.replace(part3.task, batch_size=1))
    )
    assert "only in the state that an earlier batch left" in said
    assert "the gradient is cut" in said


@pytest.mark.parametrize(
    ("config", "phrase"),
    [
        (PARTS["context"], "The target, the value 1 step back, is in the window of 5"),
        (PARTS["current"], "The target, the current value, is in the window of 1"),
        (RunConfig(TaskConfig(lag=-1)), "no model can do better than chance"),
        (RunConfig(TaskConfig(lag=7), NetworkConfig(stateful=False)), "starts from a zero state"),
        (RunConfig(TaskConfig(layout="streams")), "for the later steps of it"),
    ],
)
def test_every_place_of_a_target_has_its_explanation(config, phrase):
    assert phrase in report.explain(config)


def test_a_target_that_was_over_before_the_first_row_is_not_blamed_on_the_batches():
    said = report.explain(RunConfig(TaskConfig(window=1, lag=13, batch_size=1)))
    assert "The first row ends at time 13" in said
    assert "row r continues" not in said


@pytest.mark.parametrize("lag", [1, 3, 7])
def test_the_window_that_an_explanation_offers_holds_the_target(lag):
    config = RunConfig(TaskConfig(window=1, lag=lag, batch_size=4), NetworkConfig(stateful=False))
    window = int(re.search(r"--window (\d+)", report.explain(config))[1])
    mended = dataclasses.replace(config, task=dataclasses.replace(config.task, window=window))
    assert mended.target_place == "window"


def test_long_sequences_do_not_flood_the_terminal():
    config = RunConfig(TaskConfig(length=1000))
    printed = report.accuracy_by_position({"accuracy_by_position": [0.5] * 995}, config)
    assert len(printed.splitlines()) < 20
    assert printed.endswith("... all 995 are in result.json")


def test_positions_without_a_target_are_a_dash():
    config = RunConfig(TaskConfig(length=8, window=4, lag=2, layout="streams", batch_size=1))
    printed = report.accuracy_by_position(
        {"accuracy_by_position": [None, None, 0.5, 1.0, 1.0, 0.25, 0.5, 0.0]}, config
    )
    assert printed.splitlines() == [
        "Accuracy in percent by step, a chunk a line:",
        "  step   0:     -     -  50.0 100.0",
        "  step   4: 100.0  25.0  50.0   0.0",
    ]


def test_batches_of_one_row_share_a_line():
    config = RunConfig(TaskConfig(window=1, lag=1, batch_size=1))
    printed = report.accuracy_by_position({"accuracy_by_position": [0.5] * 24}, config)
    assert [line.count(".") for line in printed.splitlines()] == [0, 10, 10, 4]
    assert printed.startswith("Accuracy in percent by row:")
