"""examples/exercises.md and its notebook, which .ci/wheel runs; the cell that installs."""

import importlib.util

import pytest
from running import ROOT


@pytest.fixture(scope="module")
def exercises():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / ".ci"))
        return importlib.import_module("exercises")


def test_the_notebook_is_that_of_the_page(exercises):
    assert exercises.made() == exercises.NOTEBOOK.read_text()
