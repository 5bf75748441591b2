"""docs/exercises.md and the notebook made from it, which .ci/wheel runs; the cell that installs."""

import importlib.util
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from running import ROOT

from echo_jax.config import RunConfig
from echo_jax.runs.train_call import configured


@pytest.fixture(scope="module")
def exercises():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / ".ci"))
        return importlib.import_module("exercises")


@pytest.fixture
def cells(exercises):
    return json.loads(exercises.made())["cells"]


def test_the_notebook_is_that_of_the_page(exercises):
    assert exercises.made() == exercises.NOTEBOOK.read_text()


def test_gaps_are_refused_and_solutions_fill_them_with_options_that_exist(exercises, cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    tools = {}
    exec(code[1]["source"], tools)
    checks = [re.search(r".*?^filled\(.*?\)$", cell["source"], re.M | re.S) for cell in code[2:]]
    for gaps, check in zip(code[2:-1:2], checks[1::2], strict=True):
        exec(gaps["source"], tools)
        with pytest.raises(AssertionError, match="in place of the dots"):
            exec(check[0], tools)
    exercises.with_solutions(cells)
    for filled, check in zip(code[2:-1:2], checks[1::2], strict=True):
        exec(filled["source"], tools)
        exec(check[0], tools)
        options = {"my_change", "my_reach", "my_keeper"}
        for name in options & {*re.findall(r"my_\w+", filled["source"])}:
            assert isinstance(configured(**tools[name]).config, RunConfig)


@pytest.mark.parametrize(
    ("exercise", "answers", "sentence"),
    [
        (1, {"my_change": {"seed": 1}}, "NAME is one of hidden_size, "),
        (1, {"my_change": 3000}, "NAME is one of hidden_size, "),
        (1, {"my_change": {"sequences": 2000}}, "That is part 3 itself"),
        (1, {"my_prediction": 0.9}, "0.9 %? Say 0, or 1 to 100"),
        (6, {"my_answer": "not the oldest"}, "Choose all, oldest or newest"),
        (7, {"my_predictions": 1}, "NAME is one of hidden_size, "),
        (7, {"my_predictions": {"window": 100}}, "in place of the dots"),
        (7, {"largest_lag": [0, 0, 0, 0, 0, 4, 5].__getitem__}, "(7) gives no number: IndexError"),
        (7, {"largest_lag": lambda window: {1: 0, 5: 4}.get(window, 5)}, "How much further"),
        (8, {"my_keeper": {"seed": 1}}, "NAME is one of bptt_batches, "),
    ],
)
def test_an_answer_to_another_question_is_refused_in_a_sentence(
    exercises, cells, exercise, answers, sentence
):
    def train(**options):
        config = configured(**options).config
        accuracy = float(config.task.window > config.task.lag)
        return SimpleNamespace(config=config, result=SimpleNamespace(accuracy=accuracy))

    exercises.with_solutions(cells)
    code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    tools = {}
    exec(f"{code[1]}\n{code[2 * exercise]}", tools)
    tools |= answers | {"echo_jax": SimpleNamespace(train=train)}
    with pytest.raises(AssertionError, match=re.escape(sentence)):
        exec(code[2 * exercise + 1], tools)


@pytest.mark.parametrize("path", ["examples/echo.ipynb", "examples/exercises.ipynb"])
def test_a_lone_notebook_says_what_to_do_and_with_an_address_it_installs(
    exercises, path, tmp_path, monkeypatch
):
    def first_cell(address):
        text = exercises.with_address((ROOT / path).read_text(), address, path)
        return next(c["source"] for c in json.loads(text)["cells"] if c["cell_type"] == "code")

    isolated = [sys.executable, "-I", "-S", "-c", first_cell("")]  # no package is found
    place = {"cwd": tmp_path, "env": {}}
    done = subprocess.run(isolated, check=False, capture_output=True, text=True, **place)
    assert done.returncode == 1
    assert done.stderr.startswith("echo_jax is not installed, and this notebook is not in the")
    assert done.stderr.count("\n") == 1
    ran, at = [], "https://github.com/somebody/echo_jax"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(subprocess, "run", lambda line, check: ran.append(line[-1]))
    exec(first_cell(at), {})
    assert ran == [f"git+{at}"]
