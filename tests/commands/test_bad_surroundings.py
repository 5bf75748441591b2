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


RUN = [
    "train.py", "--length", 10, "--vocab-size", 8, "--window", 3, "--batch", 2, "--hidden", 6,
    "--sequences", 20, "--evaluation-sequences", 20, "--out", "run",
]  # fmt: skip


@pytest.mark.parametrize("line", [RUN, ["train.py", "--help"], ["study.py"]], ids=lambda x: x[-1])
def test_without_a_standard_output_a_command_does_what_it_does(tmp_path, line):
    shell = ["sh", "-c", '"$@" >&- 2>&-', "sh"]
    execute(*line, cwd=tmp_path, prefix=shell)
    assert (tmp_path / "run" / "curve.png").exists() == (line is RUN)


GONE = "error: the current folder is not there any more: change to another one\n"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("study.py parts", GONE),
        ("sweep.py --lag 1", GONE),
        ("probe.py --cell mine:Cell", GONE),
        ("calibrate.py --cell mine:Cell", GONE),
        ("train.py --out run", "error: out run cannot be created (No such file or directory): use"),
    ],
)
def test_a_current_folder_that_was_deleted_is_told(tmp_path, line, sentence):
    shell = ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh"]
    said = execute(*line.split(), cwd=tmp_path, prefix=shell, status=2)
    assert said.stderr.startswith(sentence)
    assert said.stderr.count("\n") == 1
