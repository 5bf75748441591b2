"""A machine that is set up badly: one sentence, and nothing is left behind or lost."""

import pytest
from running import execute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

VARIABLES = {
    "JAX_PLATFORMS=cuda": "jax cannot start (",
    "JAX_PLATFORMS=nosuch": "jax cannot start (RuntimeError: Unable to initialize",
    "XLA_FLAGS=--nosuch=1": "the variable XLA_FLAGS is '--nosuch=1', which XLA refuses (Unknown",
    "XLA_FLAGS=nosuch": "the variable XLA_FLAGS is 'nosuch', which XLA refuses (Could not open",
}


@pytest.mark.parametrize("command", ["train.py --out new/run", "sweep.py --lag 1 --out new"])
@pytest.mark.parametrize("variable", VARIABLES)
def test_jax_that_cannot_start_is_told_before_anything_is_made(
    tmp_path, monkeypatch, variable, command
):
    monkeypatch.setenv(*variable.split("=", 1))
    said = execute(*command.split(), cwd=tmp_path, status=2)
    assert said.stderr.startswith(f"error: {VARIABLES[variable]}")
    assert said.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
