"""examples/exercises.md and its notebook, which .ci/wheel runs."""

from running import ROOT, module_in


def test_the_notebook_is_that_of_the_page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    exercises = module_in(ROOT / ".ci" / "exercises.py")
    assert exercises.made() == exercises.NOTEBOOK.read_text()
