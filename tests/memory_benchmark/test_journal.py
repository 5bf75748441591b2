"""A measurement that is stopped or killed goes on from its journal, to the same card."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from running import ROOT
from tiny_cards import TINY, made_card

from echo_jax.cells import known_memory
from echo_jax.exceptions import StorageError
from echo_jax.memory_benchmark.journal import Journal, claimed
from echo_jax.memory_benchmark.measure_cell import raw_rows

ABOUT = {"cell": "mine", "seeds": [0, 1]}
ROWS = [{"ladder": "lag-2", "accuracy": [0.1, None, 1e-7]}]
WEIGHTS = {"cell": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}, "bias": np.ones(2)}


@pytest.fixture
def written(tmp_path):
    """A journal of two trainings."""
    (tmp_path / "j").mkdir()
    journal = Journal(tmp_path / "j")
    for call in (["a"], ["b"]):
        assert journal.next(call) is None
        journal.append(call, ROWS, WEIGHTS)
    return journal.folder


def test_what_was_written_is_read_back_in_order_bit_for_bit(written):
    again = Journal(written)
    for call in (["a"], ["b"]):
        assert again.is_ahead
        rows, weights = again.next(call)
        assert rows == ROWS
        np.testing.assert_array_equal(weights["cell"]["kernel"], WEIGHTS["cell"]["kernel"])
        assert weights["bias"].dtype == np.float64
    assert not again.is_ahead
    assert again.next(["c"]) is None
    again.append(["c"], ROWS, WEIGHTS)
    assert len(Journal(written)) == 3


@pytest.mark.parametrize("damage", ["a line", "a digest", "half a line", "weights", "no weights"])
def test_it_goes_on_before_what_is_damaged(written, damage):
    path, weights = written / "rows.jsonl", written / "1.msgpack"
    lines = path.read_text().splitlines(keepends=True)
    if damage == "a line":
        path.write_text(lines[0] + lines[1].replace("0.1", "0.2"))
    if damage == "a digest":
        path.write_text(lines[0] + json.dumps({**json.loads(lines[1]), "digest": "x"}))
    if damage == "half a line":
        path.write_text(lines[0] + lines[1][:40])
    if damage == "weights":
        weights.write_bytes(weights.read_bytes()[:-1])
    if damage == "no weights":
        weights.unlink()
    assert len(Journal(written)) == 1


def test_the_folder_of_another_measurement_is_refused_and_one_in_use_too(tmp_path):
    folder = tmp_path / "j"
    with claimed(folder, ABOUT), pytest.raises(StorageError, match="in use by another process"):
        claimed(folder, ABOUT).__enter__()
    with claimed(folder, ABOUT):
        pass
    with pytest.raises(StorageError, match="of another cell, protocol, version or device: remove"):
        claimed(folder, {**ABOUT, "seeds": [0]}).__enter__()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(StorageError, match="is a link"):
        claimed(tmp_path / "link", ABOUT).__enter__()


def test_trainings_that_are_asked_for_in_another_order_are_refused(written):
    with pytest.raises(StorageError, match="is damaged: remove it"):
        Journal(written).next(["b"])


@pytest.mark.slow
def test_what_is_in_a_journal_is_not_trained_again_and_gives_the_same_rows(tmp_path, monkeypatch):
    cell, folder = known_memory.ShiftRegister(3), tmp_path / "j"
    whole = list(raw_rows(cell, TINY))
    folder.mkdir()
    journal = Journal(folder)
    assert same(list(raw_rows(cell, TINY, journal=journal)), whole)
    monkeypatch.delattr("echo_jax.memory_benchmark.parallel_runs.ParallelRuns._train")
    assert same(list(raw_rows(cell, TINY, journal=Journal(folder))), whole)


def same(one, other):
    """Equal raw rows, times excepted."""
    return made_card(one, TINY)["digest"] == made_card(other, TINY)["digest"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_cards_killed_twenty_times_are_those_of_an_undisturbed_run(tmp_path):
    script = ROOT / "tests" / "support" / "tiny_probe.py"
    command = [sys.executable, script, "--cell", "simple", "--cell", "identity-rnn", "--out"]

    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

    def begin(out):
        return subprocess.Popen(
            [*command, out],
            cwd=tmp_path, env=os.environ | cache, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def trainings(out):
        return sum(len(path.read_bytes().splitlines()) for path in out.glob(".*/rows.jsonl"))

    said = (undisturbed := begin("whole")).communicate()[1]
    assert not undisturbed.returncode, said
    rng, kills = random.Random(0), 0
    for out in itertools.count():
        folder = tmp_path / str(out)
        while len(list(folder.glob("*.json"))) < 2 or list(folder.glob(".*")):
            process, before = begin(folder), trainings(folder)
            while process.poll() is None and (trainings(folder) <= before or kills == 20):
                time.sleep(0.01)
            if process.poll() is None:  # a training is on disk that was not there before
                time.sleep(0.5 * rng.random())
                process.kill()
                kills += 1
            said = process.communicate()[1]
            assert process.returncode in (0, -signal.SIGKILL), said
        assert digests(folder) == digests(tmp_path / "whole")
        if kills == 20:
            break


def digests(folder):
    return {path.name: json.loads(path.read_text())["digest"] for path in folder.glob("*.json")}
