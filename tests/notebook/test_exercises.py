"""docs/exercises.md and the notebook made from it; .ci/wheel runs that with its solutions."""

import importlib
import json
import re

import pytest
from running import ROOT

from echo_jax.config import RunConfig
from echo_jax.notebook.training_call import _command


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
    checks = [re.search(r"^filled\(.*\)$", cell["source"], re.M) for cell in code[2:]]
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
            assert isinstance(_command(tools[name]).run, RunConfig)
