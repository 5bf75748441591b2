"""examples/echo.ipynb: valid, of public names, with its outputs; .ci/wheel runs it."""

import ast
import json
import re

import pytest

import echo_jax
from echo_jax.config import RunConfig
from echo_jax.notebook.training_call import _command


@pytest.fixture(scope="module")
def cells(root):
    notebook = json.loads((root / "examples" / "echo.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    return notebook["cells"]


@pytest.fixture(scope="module")
def code(cells):
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_uses_public_names_and_options_that_exist(code):
    nodes = [node for cell in code for node in ast.walk(ast.parse(cell))]
    used = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    public = {name.split(".")[1] for name in used if re.fullmatch(r"echo_jax(\.\w+)+", name)}
    assert public == {"machine", "study", "train"} <= set(dir(echo_jax))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    trained = [call for call in calls if ast.unparse(call.func) == "echo_jax.train"]
    for call in trained:
        options = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
        assert isinstance(_command(options).run, RunConfig)
    assert len(trained) == 6
