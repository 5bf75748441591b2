"""docs/from-keras-to-jax.md: its JAX blocks are one program, which does what Keras did."""

import ast
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

PAGE = "docs/from-keras-to-jax.md"


@pytest.fixture(scope="module")
def code(root):
    """Our blocks, in order, as one program."""
    blocks = r"<!-- not run: run by tests/test_from_keras.py -->\n```python\n(.*?)```"
    return "".join(re.findall(blocks, (root / PAGE).read_text(), re.S))


@pytest.fixture(scope="module")
def program(code):
    """The names of our program, without its last statements, which train."""
    tree = ast.parse(code)
    kept = [each for each in tree.body if not isinstance(each, ast.Expr)]
    first_of_the_training = next(
        number for number, each in enumerate(kept) if "init_key" in ast.unparse(each)
    )
    names = {}
    exec(compile(ast.Module(kept[:first_of_the_training], []), PAGE, "exec"), names)
    return names


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


@pytest.mark.slow
def test_the_program_of_the_page_learns(code, capsys):
    exec(code, {})
    share = re.fullmatch(r"(.*)% right, by chance 1%\n", capsys.readouterr().out)
    assert float(share[1]) > 99
