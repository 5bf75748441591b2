"""Runs that are stopped, by whatever, and go on: real processes, compared bit for bit."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from running import begin, command, execute

from echo_jax import atomic_files
from echo_jax.core.many_seeds import state_shapes
from echo_jax.runs import checkpoint, run_folder
from echo_jax.runs.metrics_csv import History

SMALL = [
    "--length", "10", "--vocab-size", "8", "--window", "3", "--batch", "2", "--hidden", "6",
    "--learning-rate", "0.01", "--evaluation-sequences", "50", "--compilation-cache",
]  # fmt: skip
LONG = ["--sequences", "1000", "--checkpoint-every", "10"]

pytestmark = pytest.mark.timeout(280)


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)


def wait_for_lines(path, lines, process):
    wait_for(path, process)
    while path.read_bytes().count(b"\n") < lines and process.poll() is None:
        time.sleep(0.002)


def digest(run):
    return atomic_files.read_json(run / "result.json")["digest"]


def assert_same_run(run, other):
    for name in ("metrics.csv", "checkpoint.msgpack", "config.json"):
        assert (run / name).read_bytes() == (other / name).read_bytes(), name
    assert digest(run) == digest(other)


def assert_sound(run):
    """At any moment the checkpoint of a folder is whole, and its metrics have no torn line."""
    inputs = run_folder.read_inputs(run)
    saved = checkpoint.load(run, inputs, state_shapes(inputs.config))
    if (run / "metrics.csv").exists():
        text = (run / "metrics.csv").read_bytes()
        assert History.of_text(inputs.config, text).sequences >= (saved is not None)
    return saved.history.sequences if saved else 0


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A run of two seeds that is never stopped, and the seconds that it trained."""
    folder = tmp_path_factory.mktemp("whole")
    execute("train.py", *SMALL, *LONG, "--seeds", 2, "--out", "run", cwd=folder)
    seconds = atomic_files.read_json(folder / "run" / "result.json")["seconds"]
    return folder / "run", seconds["train"]


RESUME = ["--resume", "run", "--compilation-cache", "--checkpoint-every", "10"]


@pytest.mark.slow
def test_a_run_that_is_killed_three_times_goes_on_to_the_same_bits(whole_run, tmp_path):
    arguments, done = [*SMALL, *LONG, "--seeds", 2, "--out", "run"], 0
    for moment in (0.0, 0.01, 0.05):
        process = begin("train.py", *arguments, cwd=tmp_path)
        started = time.time()
        saved = tmp_path / "run" / "checkpoint.msgpack"
        while not (saved.exists() and saved.stat().st_mtime > started):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)
        time.sleep(moment)
        process.kill()
        process.communicate()
        assert assert_sound(tmp_path / "run") > done
        arguments, done = RESUME, assert_sound(tmp_path / "run")
    execute("train.py", *RESUME, "--devices", 1, cwd=tmp_path)
    assert_same_run(tmp_path / "run", whole_run[0])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thirty_runs_killed_at_random_moments_go_on_to_the_same_bits(whole_run, tmp_path):
    whole, seconds = whole_run
    rng, stood_at = random.Random(0), set()
    for i in range(30):
        folder = tmp_path / str(i)
        folder.mkdir()
        process = begin("train.py", *SMALL, *LONG, "--seeds", 2, "--out", "run", cwd=folder)
        wait_for(folder / "run" / "config.json", process)
        if i % 2:  # as much of it trained as chance has it, however fast this machine is just now
            wait_for_lines(folder / "run" / "metrics.csv", rng.randrange(1900), process)
        time.sleep(rng.random() * (0.01 if i % 2 else seconds + 2))  # else while it compiles, too
        process.kill()
        process.communicate()
        stood_at.add(assert_sound(folder / "run"))
        if not (folder / "run" / "result.json").exists():
            execute("train.py", *RESUME, cwd=folder)
        assert_same_run(folder / "run", whole)
        shutil.rmtree(folder)
    assert len(stood_at) > 9  # they were killed while they trained


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_interrupted_saves_and_says_how_to_go_on(whole_run, tmp_path, number, status):
    process = begin("train.py", *SMALL, *LONG, "--seeds", 2, "--out", "run", cwd=tmp_path)
    wait_for(tmp_path / "run" / "config.json", process)
    second = execute("train.py", "--resume", "run", cwd=tmp_path, status=2)
    assert second.stderr == (
        "error: run is in use by another process: wait until it has ended, or stop it\n"
    )
    wait_for(tmp_path / "run" / "checkpoint.msgpack", process)
    process.send_signal(number)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == status
    (done,) = re.findall(
        r"^Stopped after ([\d,]+) of 1,000 sequences; to go on: "
        r"\S*python\S* \S*train\.py --resume run$",
        errors, re.M,
    )  # fmt: skip
    assert assert_sound(tmp_path / "run") == int(done.replace(",", ""))
    assert "Run folder" not in printed
    execute("train.py", "--resume", "run", "--compilation-cache", cwd=tmp_path)
    assert_same_run(tmp_path / "run", whole_run[0])


def test_a_second_interrupt_ends_the_run_at_once(tmp_path):
    slow = ["--hidden", "64", "--window", "9", "--length", "20"]  # a minute to go, nothing cached
    process = begin("train.py", *slow, "--sequences", "9999999", "--out", "run", cwd=tmp_path)
    wait_for(tmp_path / "run" / "config.json", process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None  # it is compiling: the first one waits for a chunk to end
    process.send_signal(signal.SIGINT)
    asked = time.perf_counter()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT  # 130 for the shell that started it
    assert time.perf_counter() - asked < 5  # it has minutes to go


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_any_cuts_give_the_same_bits_also_for_longer_than_was_asked_first(tmp_path, seeds):
    options = [*SMALL, "--seeds", seeds]
    execute("train.py", *options, "--sequences", 50, "--out", "whole", cwd=tmp_path)
    execute(
        "train.py", *options, "--sequences", 21, "--checkpoint-every", 4, "--devices", 1,
        "--out", "cut", cwd=tmp_path,
    )  # fmt: skip
    resume = ["--resume", "cut", "--compilation-cache"]
    execute("train.py", *resume, "--sequences", 30, "--checkpoint-every", 7, cwd=tmp_path)
    shorter = (tmp_path / "cut" / "result.json").read_bytes()
    execute("train.py", *resume, "--sequences", 50, cwd=tmp_path)
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    (tmp_path / "cut" / "result.json").write_bytes(shorter)  # as if killed before its own
    execute("train.py", *resume, cwd=tmp_path)
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    (tmp_path / "cut" / "result.json").write_bytes(shorter[:99])
    damaged = execute("train.py", *resume, cwd=tmp_path, status=2)
    assert (
        "result.json is damaged, its digest is not that of its content: remove it" in damaged.stderr
    )
    (tmp_path / "cut" / "result.json").unlink()
    execute("train.py", *resume, cwd=tmp_path)
    again = execute("train.py", *resume, cwd=tmp_path, status=2)
    assert again.stderr.startswith("error: cut is finished, all 50 sequences: use a larger")
    fewer = execute("train.py", *resume, "--sequences", 20, cwd=tmp_path, status=2)
    assert fewer.stderr.startswith("error: sequences 20 is below the 50 that cut has done")


FRAGILE = """
import jax, jax.numpy as jnp
from flax import linen as nn

class Odd(nn.SimpleCell):
    '''No number comes out of it where the first weight of a seed is below zero.'''
    @nn.compact
    def __call__(self, carry, inputs):
        carry, output = super().__call__(carry, inputs)
        sign = self.param("sign", nn.initializers.normal(), (1,))
        return carry, jnp.where(sign < 0, jnp.nan, output)

class Late(nn.SimpleCell):
    '''No number comes out of it once a weight has moved far enough.'''
    @nn.compact
    def __call__(self, carry, inputs):
        carry, output = super().__call__(carry, inputs)
        moved = self.param("moved", nn.initializers.zeros, (1,))
        return carry, jnp.where(jnp.abs(moved) > 0.1, jnp.nan, output * (1 + moved))
"""


@pytest.mark.slow
def test_a_seed_whose_loss_is_no_number_is_named_and_the_others_go_on(tmp_path):
    (tmp_path / "fragile.py").write_text(FRAGILE)
    options = [*SMALL, "--cell", "fragile:Odd", "--sequences", "30", "--seeds", "6"]
    done = execute("train.py", *options, "--out", "run", cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    failed = result["failed"]["seed"]
    assert 0 < len(failed) < 6
    assert result["failed"]["sequence"] == [1] * len(failed)
    named = ", ".join(f"{seed} (sequence 1)" for seed in failed)
    assert re.search(rf"^Failed with .*: seeds? {re.escape(named)}\. ", done.stdout, re.M)
    good = next(seed for seed in range(6) if seed not in failed)
    execute("train.py", *options[:-2], "--seed", good, "--out", "alone", cwd=tmp_path)
    alone = json.loads((tmp_path / "alone" / "result.json").read_text())
    assert result["by_seed"]["loss"][good] == alone["loss"]


@pytest.mark.slow
def test_a_loss_that_becomes_no_number_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where this process finds the cell too
    (tmp_path / "fragile.py").write_text(FRAGILE)
    options = [*SMALL, "--cell", "fragile:Late", "--sequences", "400", "--checkpoint-every", "2"]
    done = execute("train.py", *options, "--out", "run", cwd=tmp_path, status=2)
    (sequence, kept) = re.fullmatch(
        r"error: the loss of sequence (\d+) is non-finite with seed 0: use a learning "
        r"rate below 0\.01; run keeps the checkpoint of sequence (\d+)\n",
        done.stderr,
    ).groups()
    assert 2 <= int(kept) < int(sequence) <= int(kept) + 3
    assert assert_sound(tmp_path / "run") == int(kept)
    saved = np.loadtxt(tmp_path / "run" / "metrics.csv", delimiter=",", skiprows=1)
    assert np.isfinite(saved[: int(sequence) - 1]).all()
    assert np.isnan(saved[int(sequence) - 1, 1])

    (tmp_path / "fragile.py").write_text(
        "import pathlib; pathlib.Path('executed').touch()\n" + FRAGILE
    )
    refused = execute(
        "train.py", "--resume", "run", cwd=tmp_path, status=2
    )  # no folder's word will do
    assert refused.stderr == (
        "error: run needs the cell fragile:Late, which is imported only if you name it: "
        "add --cell fragile:Late\n"
    )
    assert not (tmp_path / "executed").exists()


LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Runs a command that may write no file of more bytes than it is told first."""


@pytest.mark.slow
def test_a_disk_that_is_full_ends_the_run_with_a_sentence_and_it_goes_on_later(tmp_path):
    options = [*SMALL, "--sequences", "60", "--checkpoint-every", "20"]
    execute("train.py", *options, "--out", "whole", cwd=tmp_path)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "whole").iterdir()}
    names = ("config.json", "checkpoint.msgpack", "curve.png")
    assert sorted(sizes, key=sizes.get)[-3:] == ["result.json", *names[1:]]
    for name in names:
        limit = sizes[name] - 1

        run = tmp_path / f"run-{name}"
        limited = [sys.executable, "-c", LIMITED, str(limit)]
        done = execute(
            "train.py", *options, "--out", run.name, cwd=tmp_path, status=2, prefix=limited
        )  # fmt: skip
        assert re.fullmatch(rf"error: {run.name}/{name} cannot be written \(.*\n", done.stderr)
        if name == "config.json":
            assert not run.exists()
            continue
        assert f"--resume {run.name} goes on from the last checkpoint" in done.stderr
        execute("train.py", "--resume", run.name, "--compilation-cache", cwd=tmp_path)
        assert_same_run(run, tmp_path / "whole")


STRACE = shutil.which("strace")
FAULTS = [("write", "ENOSPC"), ("fsync", "EIO"), ("rename", "EIO"), ("openat", "EMFILE")]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(STRACE is None, reason="needs strace to make system calls fail")
@pytest.mark.parametrize(("call", "error"), FAULTS)
def test_whatever_system_call_fails_the_run_goes_on_to_the_same_bits(tmp_path, call, error):
    options = [*SMALL, "--sequences", "40", "--checkpoint-every", "20"]
    execute("train.py", *options, "--out", "whole", cwd=tmp_path)
    failures = 0
    for k in range(1, 100):
        run = tmp_path / f"run{k}"
        inject = [STRACE, "-f", "--seccomp-bpf", "-qq", "-o", str(tmp_path / "log")]
        inject += ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={k}"]
        names = ["config.json", "metrics.csv", "checkpoint.msgpack", "curve.png", "result.json"]
        inject += [part for name in names for part in ("-P", f"{run}/.{name}.part")]
        done = subprocess.run(
            [*inject, *command("train.py", *options, "--out", run)],
            check=False, cwd=tmp_path, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        if done.returncode == 0:
            break
        failures += 1
        assert done.returncode == 2
        assert re.match(r"error: \S+ cannot be written \(", done.stderr), done.stderr
        assert done.stderr.count("\n") == 1
        if run.exists():
            assert_sound(run)
            execute("train.py", "--resume", run, "--compilation-cache", cwd=tmp_path)
            assert_same_run(run, tmp_path / "whole")
            shutil.rmtree(run)
    assert failures == 7  # the configuration, two checkpoints with metrics, figure and result


@pytest.mark.slow
def test_a_literal_run_stays_literal_when_it_is_resumed(tmp_path):
    options = [*SMALL, "--compute", "literal"]
    execute("train.py", *options, "--sequences", 40, "--out", "whole", cwd=tmp_path)
    execute("train.py", *options, "--sequences", 25, "--out", "cut", cwd=tmp_path)
    execute("train.py", "--resume", "cut", "--sequences", 40, cwd=tmp_path)
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    assert json.loads((tmp_path / "cut" / "config.json").read_text())["compute"] == "literal"
    execute("train.py", *SMALL, "--sequences", 40, "--out", "fast", cwd=tmp_path)
    metrics = [(tmp_path / run / "metrics.csv").read_bytes() for run in ("fast", "whole")]
    assert metrics[0] != metrics[1]  # in the last digits of the loss
    assert "compute" not in json.loads((tmp_path / "fast" / "config.json").read_text())
