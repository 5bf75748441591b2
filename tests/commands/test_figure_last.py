"""A figure is drawn last; what it shows is stored before."""

import sys

import pytest
from fabricated_results import fabricated_result
from run_folders import PLAIN, make_run, saved_of

from echo_jax.runs import result


@pytest.fixture
def finished(tmp_path):
    """A finished run."""
    make_run(tmp_path / "a run", PLAIN)
    result.write(tmp_path / "a run", fabricated_result(PLAIN))
    (tmp_path / "a run" / "metrics.csv").write_bytes(saved_of(PLAIN).history.text())
    return tmp_path


@pytest.fixture
def no_matplotlib(monkeypatch):
    """Within it the import of matplotlib fails."""
    patch = pytest.MonkeyPatch()
    patch.setitem(sys.modules, "matplotlib", None)
    yield patch
    patch.undo()


COMMANDS = {"curve": ("show.py", "--curve", "a run", "Figure: a run/curve.png")}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_makes_a_figure_again_or_says_in_a_sentence_why_not(
    name, finished, call, no_matplotlib
):
    *command, said = COMMANDS[name]
    refused = call(*command, cwd=finished, status=2).stderr
    assert refused.startswith("error: the figure cannot be drawn (ModuleNotFoundError: import of")
    assert refused.count("\n") == 1
    no_matplotlib.undo()
    assert call(*command, cwd=finished).stdout.endswith(f"{said}\n")
