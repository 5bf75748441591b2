"""Checkpoints that fail to be written, and metrics as lines of text."""

import errno

import jax
import numpy as np
import pytest
from disk_faults import Faults
from run_folders import PLAIN, saved_of, shapes_of

from echo_jax.config import changed
from echo_jax.exceptions import StorageError
from echo_jax.runs import checkpoint, run_folder
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.run_folder import RunSpec

CONFIG = changed(PLAIN, seeds=2, sequences=9)


def saved_after(sequences):
    """A state that differs for every number of sequences, and as much of one history."""
    history = History(CONFIG)
    history.append(*np.random.default_rng(0).random((2, 2, 9), np.float32)[:, :, :sequences])
    return saved_of(CONFIG, draw=sequences)._replace(history=history)


@pytest.fixture(scope="module")
def saved():
    """The shapes of a state, and what is saved after some sequences."""
    return shapes_of(CONFIG), {n: saved_after(n) for n in (2, 5, 9)}


def same(a, b):
    pairs = zip(jax.tree.leaves(a.state), jax.tree.leaves(b.state), strict=True)
    return a.history.text() == b.history.text() and all(np.array_equal(x, y) for x, y in pairs)


def write(folder, saved, **faults):
    """All that a run writes until its third checkpoint; returns the system calls that it took."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        disk = Faults(patch, **faults)
        run_folder.write_inputs(folder, RunSpec(CONFIG))
        for each in saved[1].values():
            checkpoint.save(folder, RunSpec(CONFIG), each)
    return len(disk.log)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_whatever_call_fails_the_old_or_the_new_checkpoint_is_whole(tmp_path, saved, error):
    calls, found = write(tmp_path / "count", saved), []
    assert calls == 6 * (1 + 2 * 3)
    for k in range(calls):
        folder = tmp_path / str(k)
        with pytest.raises(StorageError, match=r"cannot be written \("):
            write(folder, saved, fails=k, error=error)
        assert not list(folder.glob(".*.part"))
        if not (folder / "config.json").exists():
            assert not list(folder.iterdir())  # no run yet
            found.append(None)
            continue
        inputs = run_folder.read_inputs(folder)
        loaded = checkpoint.load(folder, inputs, saved[0])
        done = loaded.history.sequences if loaded else 0
        assert loaded is None or same(loaded, saved[1][done])
        found.append(done)
        checkpoint.save(folder, inputs, saved[1][9])  # and it goes on
        assert same(checkpoint.load(folder, inputs, saved[0]), saved[1][9])
    assert set(found) == {None, 0, 2, 5, 9}
    assert found[:4] == [None] * 4
    assert found[4:] == sorted(found[4:])


def test_a_longer_run_goes_on_from_the_checkpoint_and_another_run_does_not(tmp_path, saved):
    write(tmp_path / "run", saved)
    longer, other = changed(CONFIG, sequences=90), changed(CONFIG, seed=1)
    assert same(checkpoint.load(tmp_path / "run", RunSpec(longer), saved[0]), saved[1][9])
    with pytest.raises(StorageError, match=r"is not of the run in config\.json"):
        checkpoint.load(tmp_path / "run", RunSpec(other), saved[0])


def test_metrics_are_the_same_lines_however_they_were_cut_and_come_back_bit_for_bit():
    values = np.array([[0.05, 1 / 3, np.pi * 1e-8, 4.60517, 1e30], [0, 1, np.nan, np.inf, 2e-45]])
    values = values.astype(np.float32)
    whole, cut = History(CONFIG), History(CONFIG)
    whole.append(values, values[:, ::-1])
    for chunk, rounding in (([0, 1, 2], False), ([3], "1.13"), ([4], "1.25")):
        with np.printoptions(legacy=rounding):
            cut.append(values[:, chunk], values[:, ::-1][:, chunk])
    assert whole.text() == cut.text()
    lines = whole.text().decode().splitlines()
    assert lines[0] == "seed,sequence,loss,accuracy"
    assert [line.split(",")[:2] for line in lines[1:4]] == [["0", "1"], ["1", "1"], ["0", "2"]]
    again = History.of_text(CONFIG, whole.text())
    for mine, theirs in zip(whole.curves(), again.curves(), strict=True):
        assert mine.tobytes() == theirs.tobytes()
    assert again.bad.tolist() == [False, True]
