"""The first cell of a notebook, which installs echo_jax where it is not."""

import importlib.util
import json
import subprocess
import sys

import pytest
from running import ROOT

NOTEBOOKS = pytest.mark.parametrize("name", ["echo", "exercises"])
AT = "https://github.com/somebody/echo_jax"


def first_cell(text):
    return next(x["source"] for x in json.loads(text)["cells"] if x["cell_type"] == "code")


@NOTEBOOKS
def test_a_lone_notebook_says_in_one_sentence_what_to_do(name, tmp_path):
    cell = first_cell((ROOT / "examples" / f"{name}.ipynb").read_text())
    without_packages = [sys.executable, "-I", "-S", "-c", cell]
    done = subprocess.run(
        without_packages, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("echo_jax is not installed, and this notebook is not in the")
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


@NOTEBOOKS
def test_with_a_public_address_it_installs_from_there(name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    path = f"examples/{name}.ipynb"
    text = importlib.import_module("address").notebook((ROOT / path).read_text(), AT, path)
    ran = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ECHO_JAX", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(subprocess, "run", lambda line, check: ran.append(line))
    exec(first_cell(text), {})
    assert [line[-1] for line in ran] == [f"git+{AT}"]
    assert "colab.research.google.com/github/somebody/echo_jax/" in text
