"""A figure is drawn last; what it shows is stored before, and is of the networks that are there."""

import sys

import pytest
from fabricated_results import fabricated_result
from run_folders import PLAIN, make_run, saved_of, snapshot

from echo_jax.config import changed
from echo_jax.runs import checkpoint, result, run_folder


@pytest.fixture
def run(tmp_path):
    """A run that has ended."""
    make_run(tmp_path / "a run", PLAIN)
    result.write(tmp_path / "a run", fabricated_result(PLAIN))
    return tmp_path / "a run"


def test_a_figure_is_made_again_or_a_sentence_says_why_not(run, tmp_path, call, monkeypatch):
    show = ("show.py", "--curve", "a run")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)  # its import fails
        refused = call(*show, cwd=tmp_path, status=2).stderr
    assert refused.startswith("error: the figure cannot be drawn (ModuleNotFoundError: import of")
    assert refused.count("\n") == 1
    assert call(*show, cwd=tmp_path).stdout.endswith("Figure: a run/curve.png\n")
    (run / ".generated").unlink()  # as an earlier version left a folder
    call(*show, cwd=tmp_path)  # it stays the same
    (run / "curve.png").write_bytes(b"mine")
    refused = call(*show, cwd=tmp_path, status=2).stderr
    assert refused.startswith("error: a run/curve.png is not as it was generated, and would be")
    assert (run / "curve.png").read_bytes() == b"mine"


@pytest.mark.parametrize("shown", ["--curve", "--play"])
def test_a_run_that_went_on_and_was_killed_is_not_shown_beside_its_earlier_result(
    run, tmp_path, call, shown
):
    longer = run_folder.read_inputs(run)._replace(config=changed(PLAIN, sequences=9))
    run_folder.write_config(run, longer)
    call("show.py", shown, "a run", cwd=tmp_path)  # nothing was trained since
    checkpoint.save(run, longer, saved_of(PLAIN, sequences=6))
    before = snapshot(run)
    refused = call("show.py", shown, "a run", cwd=tmp_path, status=2)
    assert refused.stderr == (
        "error: a run/result.json is not of the 6 sequences that the run has by now: train on with "
        "--resume 'a run', which makes it again\n"
    )
    assert snapshot(run) == before
