"""docs/from-keras-to-jax.md: its JAX blocks are one program, which does what Keras did."""

import ast
import hashlib
import re
from pathlib import Path
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.config import NetworkConfig, RunConfig
from echo_jax.core.many_seeds import state_shapes

PAGE = "docs/from-keras-to-jax.md"
KERAS, OURS = "Keras is no dependency", "run by tests/test_from_keras.py"
FIGURE = "docs/figures/which-row-continues-which.svg"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def code(root):
    """The blocks of each side, in order."""
    text = (root / PAGE).read_text()
    return {
        side: re.findall(rf"<!-- not run: {side} -->\n```python\n(.*?)```", text, re.S)
        for side in (KERAS, OURS)
    }


@pytest.fixture(scope="module")
def program(code):
    """The names of our program, without its last statements, which train."""
    tree = ast.parse("".join(code[OURS]))
    kept = [each for each in tree.body if not isinstance(each, ast.Expr)]
    first_of_the_training = next(
        number for number, each in enumerate(kept) if "init_key" in ast.unparse(each)
    )
    names = {}
    exec(compile(ast.Module(kept[:first_of_the_training], []), PAGE, "exec"), names)
    return names


def test_each_part_has_both_sides_and_keras_is_python(code):
    assert len(code[KERAS]) == len(code[OURS]) == 7
    for block in code[KERAS]:
        ast.parse(block)


def test_the_losses_are_those_of_keras(program, root):
    case = np.load(root / "tests" / "keras_reference" / "part4_window.npz")
    params = {name[8:]: case[name] for name in case if name.startswith("initial/")}
    ours = jax.eval_shape(program["init"], jax.random.key(0))
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, ours)
    carry, losses = (params, jax.jit(program["adam"].init)(params)), []
    train_on = jax.jit(program["train_on"])
    for sequence in case["tokens"]:
        carry, (loss, _) = train_on(carry, sequence)
        losses.extend(loss.tolist())
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-4)
    assert np.ptp(case["losses"]) > 0.01


def test_the_weights_are_drawn_as_keras_draws_them(program):
    params = jax.tree.map(np.asarray, jax.jit(program["init"])(jax.random.key(3)))
    limit = np.sqrt(6 / (100 + 200))
    assert 0.99 * limit < np.abs(params["kernel"]).max() <= limit
    square = params["recurrent_kernel"] @ params["recurrent_kernel"].T
    np.testing.assert_allclose(square, np.eye(50), atol=1e-5)
    assert params["bias"].reshape(4, 50).sum(axis=1).tolist() == [0, 50, 0, 0]


def test_the_lstm_becomes_a_cell_of_ones_own_with_the_names_that_the_page_of_cells_has(
    code, tmp_path
):
    tree = ast.parse("".join(code[OURS]))
    kept = [
        ast.unparse(each) for each in tree.body
        if isinstance(each, ast.Import)
        or getattr(each, "name", "") in ("init", "lstm", "zero_state")
    ]  # fmt: skip
    text = "\n\n".join(kept)
    for there, here in (
        ("def lstm(", "def step("),
        ("def zero_state()", "def initial_state(params, batch_size, input_size)"),
        ("(5, 50)", "(batch_size, 50)"),
        ("def init(key)", "def init(key, input_size)"),
        ("(100, 200)", "(input_size, 200)"),
    ):
        assert there in text
        text = text.replace(there, here)
    text = re.sub(r", 'dense_kernel': .*?, 'dense_bias': .*?(?=\})", "", text)
    assert "dense" not in text
    (tmp_path / "keras_lstm.py").write_text(text)
    config = RunConfig(network=NetworkConfig(str(tmp_path / "keras_lstm.py")))
    made, ours = (state_shapes(each).params for each in (config, RunConfig()))
    assert sum(map(np.size, jax.tree.leaves(made))) == sum(map(np.size, jax.tree.leaves(ours)))


def test_the_figure_has_a_title_and_draws_the_rule(root):
    tree = ElementTree.parse(root / FIGURE).getroot()
    assert tree.get("role") == "img"
    assert tree.find(f"{SVG}title").text
    assert tree.find(f"{SVG}desc").text
    rows = [each.text for each in tree.iter(f"{SVG}text") if each.text.startswith("row ")]
    assert rows == [
        f"row {row}: x({row + 1}) => x({row})?" for pair in range(6) for row in (pair, pair + 6)
    ]


def test_the_pdf_of_the_figure_was_made_from_its_svg(root):
    lines = (root / FIGURE).with_name("SHA256SUMS").read_text().splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    assert set(sums) == {Path(FIGURE).name, Path(FIGURE).with_suffix(".pdf").name}
    for name, digest in sums.items():
        made = (root / FIGURE).with_name(name).read_bytes()
        assert hashlib.sha256(made).hexdigest() == digest, "run .ci/slide_figure.py"


@pytest.mark.slow
def test_the_program_of_the_page_learns(code, capsys):
    exec("".join(code[OURS]), {})
    share = re.fullmatch(r"(.*)% right, by chance 1%\n", capsys.readouterr().out)
    assert float(share[1]) > 99
