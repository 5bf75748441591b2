"""Runs that are stopped, by whatever, and go on: real processes, compared bit for bit."""

import random
import re
import shutil
import signal
import time

import numpy as np
import pytest
from run_folders import assert_same_arrays, shapes_of
from running import begin, execute

from echo_jax.echo.run import checkpoint
from echo_jax.storage import atomic_files

SMALL = [
    "--length", "10", "--vocab-size", "8", "--window", "3", "--batch", "2", "--hidden", "6",
    "--learning-rate", "0.01", "--evaluation-sequences", "50",
]  # fmt: skip
LONG = ["--sequences", "1000", "--checkpoint-every", "10"]

pytestmark = pytest.mark.timeout(280)


def trained(run):
    """The sequences so far; at any moment the file of a run is whole."""
    inputs = checkpoint.read_inputs(run)
    saved, _ = checkpoint.read(run, inputs, shapes_of(inputs.config))
    return saved.history.sequences if saved else 0


def wait_for(run, process, sequences=0):
    """Until a process has trained a run on so many sequences, or has ended well."""
    # Without a number only the file is waited for: to read it takes as long as to compile.
    while not (run / "config.json").exists() or (sequences and trained(run) < sequences):
        if process.poll() is not None:
            assert process.returncode == 0, process.stderr.read()
            return
        time.sleep(0.002)


def assert_same_run(run, other):
    for name in ("metrics.csv", "config.json"):
        assert (run / name).read_bytes() == (other / name).read_bytes(), name
    assert_same_arrays(run, other)
    digests = [atomic_files.read_json(each / "result.json")["digest"] for each in (run, other)]
    assert digests[0] == digests[1]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A run of two seeds that is never stopped, and the seconds that it trained."""
    folder = tmp_path_factory.mktemp("whole")
    execute("train.py", *SMALL, *LONG, "--seeds", 2, "--out", "run", cwd=folder)
    seconds = atomic_files.read_json(folder / "run" / "result.json")["seconds"]
    return folder / "run", seconds["train"]


RESUME = ["--resume", "run", "--checkpoint-every", "10"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_runs_killed_at_random_moments_go_on_to_the_same_bits(whole_run, tmp_path):
    """Once while it compiles or trains, once while it trains; then both are killed again."""
    whole, seconds = whole_run
    rng, stood_at = random.Random(0), set()
    for i in range(2):
        run, arguments = tmp_path / str(i) / "run", [*SMALL, *LONG, "--seeds", 2, "--out", "run"]
        run.parent.mkdir()
        for sequences in (rng.randrange(475), rng.randrange(475, 950)):
            process = begin("train.py", *arguments, cwd=run.parent)
            # as much trained as chance has it, however fast this machine is just now
            wait_for(run, process, sequences if i % 2 else 0)
            time.sleep(rng.random() * (0.01 if i % 2 else seconds + 2))  # or while it compiles
            process.kill()
            process.communicate()
            stood_at.add(trained(run))
            arguments = RESUME
            if (run / "result.json").exists():
                break
        else:
            execute("train.py", *RESUME, "--devices", 1, cwd=run.parent)
        assert_same_run(run, whole)
        shutil.rmtree(run)
    assert len(stood_at) > 1  # they were killed while they trained


@pytest.mark.slow
def test_a_run_that_is_terminated_saves_and_says_how_to_go_on(whole_run, tmp_path):
    process = begin("train.py", *SMALL, *LONG, "--seeds", 2, "--out", "run", cwd=tmp_path)
    wait_for(tmp_path / "run", process, 1)
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    (done,) = re.findall(
        r"^Stopped after ([\d,]+) of 1,000 .*train\.py --resume run$", errors, re.M
    )
    done = int(done.replace(",", ""))
    assert trained(tmp_path / "run") == done
    assert (tmp_path / "run" / "metrics.csv").read_text().count("\n") == 1 + 2 * done
    assert "Run folder" not in printed
    execute("train.py", "--resume", "run", cwd=tmp_path)
    assert_same_run(tmp_path / "run", whole_run[0])


def test_a_second_interrupt_ends_the_run_at_once(tmp_path):
    slow = ["--hidden", "64", "--window", "9", "--length", "20"]  # a minute to go, nothing cached
    process = begin("train.py", *slow, "--sequences", "9999999", "--out", "run", cwd=tmp_path)
    wait_for(tmp_path / "run", process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None  # it is compiling: the first one waits for a chunk to end
    process.send_signal(signal.SIGINT)
    asked = time.perf_counter()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT  # 130 for the shell that started it
    assert time.perf_counter() - asked < 5  # it has minutes to go


@pytest.mark.slow
def test_any_cuts_give_the_same_bits_also_for_longer_than_was_asked_first(tmp_path):
    options = [*SMALL, "--seeds", 3, "--compute", "literal"]
    execute("train.py", *options, "--sequences", 50, "--out", "whole", cwd=tmp_path)
    execute(
        "train.py", *options, "--sequences", 21, "--checkpoint-every", 4, "--devices", 1,
        "--out", "cut", cwd=tmp_path,
    )  # fmt: skip
    resume = ["--resume", "cut"]
    execute("train.py", *resume, "--sequences", 30, "--checkpoint-every", 7, cwd=tmp_path)
    execute("train.py", *resume, "--sequences", 50, cwd=tmp_path)
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    config = atomic_files.read_json(tmp_path / "cut" / "config.json")
    assert config["compute"] == "literal"
    made = [tmp_path / "cut" / name for name in ("result.json", "seeds.csv", "metrics.csv")]
    before = [path.read_bytes() for path in made]
    for path in made:
        path.unlink()
    execute("show.py", "--curve", "cut", cwd=tmp_path)
    assert [path.read_bytes() for path in made] == before


FRAGILE = """
import jax, jax.numpy as jnp
from flax import linen as nn

class Late(nn.SimpleCell):
    '''No number comes out of it once a weight has moved far enough.'''
    @nn.compact
    def __call__(self, carry, inputs):
        carry, output = super().__call__(carry, inputs)
        moved = self.param("moved", nn.initializers.zeros, (1,))
        return carry, jnp.where(jnp.abs(moved) > 0.1, jnp.nan, output * (1 + moved))
"""


@pytest.mark.slow
def test_a_loss_that_becomes_no_number_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where this process finds the cell too
    (tmp_path / "fragile.py").write_text(FRAGILE)
    options = [*SMALL, "--cell", "fragile:Late", "--sequences", "400", "--checkpoint-every", "2"]
    done = execute("train.py", *options, "--out", "run", cwd=tmp_path, status=2)
    (sequence, kept) = re.fullmatch(
        r"error: the loss of sequence (\d+) .* with seed 0: .* checkpoint of sequence (\d+); "
        r".*train.* --cell fragile:Late .*--learning-rate 0\.001\n",
        done.stderr,
    ).groups()
    assert 2 <= int(kept) < int(sequence) <= int(kept) + 3
    assert trained(tmp_path / "run") == int(kept)
    saved = np.loadtxt(tmp_path / "run" / "metrics.csv", delimiter=",", skiprows=1)
    assert np.isfinite(saved[: int(sequence) - 1]).all()
    assert np.isnan(saved[int(sequence) - 1, 1])

    (tmp_path / "fragile.py").write_text(
        "import pathlib; pathlib.Path('executed').touch()\n" + FRAGILE
    )
    refused = execute("train.py", "--resume", "run", cwd=tmp_path, status=2)
    assert "add --cell fragile:Late" in refused.stderr  # no folder's word will do
    assert not (tmp_path / "executed").exists()
