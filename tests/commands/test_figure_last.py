"""A figure is drawn last; what it shows is stored before, and is of the networks that are there."""

import sys

import pytest
from fabricated_results import fabricated_result
from run_folders import PLAIN, make_run, prepared, snapshot
from running import assert_one_sentence


@pytest.fixture
def run(tmp_path):
    """A run that has ended."""
    make_run(tmp_path / "a run", PLAIN, result=fabricated_result(PLAIN))
    return tmp_path / "a run"


def test_a_figure_is_made_again_or_a_sentence_says_why_not(run, tmp_path, call, monkeypatch):
    show = ("show.py", "--curve", "a run")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)  # its import fails
        refused = call(*show, cwd=tmp_path, status=2).stderr
    assert_one_sentence(refused, "the figure cannot be drawn (ModuleNotFoundError: import of")
    assert call(*show, cwd=tmp_path).stdout.endswith("Figure: a run/curve.png\n")


@pytest.mark.parametrize("shown", ["--curve", "--play"])
def test_a_run_that_went_on_and_was_killed_is_not_shown_beside_its_earlier_result(
    run, tmp_path, call, shown
):
    call("show.py", shown, "a run", cwd=tmp_path)
    prepared(run, sequences=9)
    before = snapshot(run)
    refused = call("show.py", shown, "a run", cwd=tmp_path, status=2)
    assert refused.stderr.endswith("has no result yet: continue training with --resume 'a run'\n")
    assert snapshot(run) == before
