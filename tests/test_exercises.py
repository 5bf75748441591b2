"""examples/exercises.md and its notebook, which .ci/wheel runs; the cell that installs."""

import importlib.util
import json
import subprocess
import sys

import pytest
from running import ROOT, ended


@pytest.fixture(scope="module")
def exercises():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / ".ci"))
        return importlib.import_module("exercises")


def test_the_notebook_is_that_of_the_page(exercises):
    assert exercises.made() == exercises.NOTEBOOK.read_text()


@pytest.mark.parametrize("path", ["examples/echo.ipynb", "examples/exercises.ipynb"])
def test_a_lone_notebook_says_what_to_do_and_with_an_address_it_installs(
    exercises, path, tmp_path, monkeypatch
):
    def first_cell(address):
        text = exercises.with_address((ROOT / path).read_text(), address, path)
        return next(c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "code")

    isolated = [sys.executable, "-I", "-S", "-c", first_cell("")]  # no package is found
    place = {"cwd": tmp_path, "env": {}}
    done = ended(isolated, 1, **place)
    assert done.stderr.startswith("echo_jax is not installed, and this notebook is not in the")
    assert done.stderr.count("\n") == 1
    ran, at = [], "https://github.com/somebody/echo_jax"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(subprocess, "run", lambda line, check: ran.append(line[-1]))
    exec(first_cell(at), {})
    assert ran == [f"git+{at}"]
