"""A machine that is set up badly: one sentence, and nothing is left behind or lost."""

import shutil

import pytest
from running import SMALL, assert_one_sentence, execute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_jax_that_cannot_start_is_told_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "nosuch")
    said = execute("sweep.py", "--lag", 1, "--out", "new", cwd=tmp_path, status=2)
    assert_one_sentence(said.stderr, "jax cannot start (RuntimeError: Unable to initialize")
    assert not list(tmp_path.iterdir())


RUN = ["train.py", *SMALL, "--out", "run"]


@pytest.mark.parametrize("line", [RUN, ["train.py", "--help"], ["study.py"]], ids=lambda x: x[-1])
def test_without_a_standard_output_a_command_does_what_it_does(tmp_path, line):
    shell = ["sh", "-c", '"$@" >&- 2>&-', "sh"]
    execute(*line, cwd=tmp_path, prefix=shell)
    assert (tmp_path / "run" / "curve.png").exists() == (line is RUN)


def test_a_reader_that_ends_stops_training_with_a_checkpoint(tmp_path):
    run = ["train.py", "--sequences", 10**9, "--out", "run"]
    shell = ["sh", "-c", '("$@"; echo $? > status) | head -2', "sh"]
    done = execute(*run, cwd=tmp_path, prefix=shell)
    assert done.stdout.count("\n") == 2
    assert done.stderr.startswith("Stopped after ")
    assert (tmp_path / "status").read_text() == "141\n"
    assert list((tmp_path / "run").glob("checkpoint.*"))


@pytest.mark.parametrize("line", ["train.py --help", "study.py", "cards.py list"])
def test_a_full_device_is_one_sentence(tmp_path, line):
    shell = ["sh", "-c", 'unset PYTHONUNBUFFERED; "$@" > /dev/full', "sh"]
    printed = execute(*line.split(), cwd=tmp_path, prefix=shell, status=2).stderr
    assert_one_sentence(printed, "the standard output cannot be written (No space left")


SWEEP = ["sweep.py", "--lag", 0, 1, *SMALL, "--cell", "mine:Mine", "--cluster", "local:1"]


def test_no_process_runs_a_file_of_a_strangers_folder_but_the_cell_that_is_named(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
    for name in ("jaxlib", "numpy", "multiprocessing", "distributed", "signal"):
        (tmp_path / f"{name}.py").write_text(f"open('ran {name}', 'w')\n")
    cell = "from echo_jax.cells.vector_state.lstm import LSTMCell\nclass Mine(LSTMCell): pass\n"
    (tmp_path / "mine.py").write_text(cell)
    execute(*RUN, cwd=tmp_path)
    assert execute("predict.py", "run", 1, 2, 3, cwd=tmp_path).stdout
    execute(*SWEEP, "--out", "grid", cwd=tmp_path)
    assert not list(tmp_path.glob("ran *"))


NO_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]  # root's, too
NO_RIGHTS += ["--inh-caps=-dac_override,-dac_read_search"]
LOCKED = {
    "sweep.py --lag 1 --out {}": "{} cannot be created as a folder (Permission denied): use",
    "train.py --out {}/run": "--out {}/run cannot be created (Permission denied)",
}


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv to give up rights")
@pytest.mark.parametrize("line", LOCKED)
def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_computed(tmp_path, line):
    (tmp_path / "locked").mkdir(mode=0o555)
    said = execute(*line.format("locked").split(), cwd=tmp_path, prefix=NO_RIGHTS, status=2)
    assert said.stderr.startswith(f"error: {LOCKED[line].format('locked')}")
    assert said.stdout == ""


@pytest.mark.parametrize("line", ["study.py parts", "train.py --out run"])
def test_a_current_folder_that_was_deleted_is_told(tmp_path, line):
    shell = ["sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh"]
    said = execute(*line.split(), cwd=tmp_path, prefix=shell, status=2).stderr
    assert_one_sentence(said, "the current folder no longer exists")
