"""A figure is drawn last; what it shows is stored before."""

import sys

from fabricated_results import fabricated_result
from run_folders import PLAIN, make_run, saved_of

from echo_jax.runs import result


def test_a_figure_is_made_again_or_a_sentence_says_why_not(tmp_path, call, monkeypatch):
    make_run(tmp_path / "a run", PLAIN)
    result.write(tmp_path / "a run", fabricated_result(PLAIN))
    (tmp_path / "a run" / "metrics.csv").write_bytes(saved_of(PLAIN).history.text())
    show = ("show.py", "--curve", "a run")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)  # its import fails
        refused = call(*show, cwd=tmp_path, status=2).stderr
    assert refused.startswith("error: the figure cannot be drawn (ModuleNotFoundError: import of")
    assert refused.count("\n") == 1
    assert call(*show, cwd=tmp_path).stdout.endswith("Figure: a run/curve.png\n")
