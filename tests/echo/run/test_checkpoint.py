"""The file of a run that fails to be written, and metrics as lines of text."""

import errno

import jax
import numpy as np
import pytest
from disk_faults import Faults
from fabricated_results import fabricated_result
from run_folders import PLAIN, prepared, saved_of, shapes_of

from echo_jax.config import changed
from echo_jax.echo.run import checkpoint
from echo_jax.echo.run.checkpoint import History
from echo_jax.echo.run.run_folder import RunSpec
from echo_jax.exceptions import ConfigError, StorageError

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


def read(folder, shapes):
    return checkpoint.read(folder, checkpoint.read_inputs(folder), shapes)[0]


def write(folder, saved, **faults):
    """All that a run writes until its third checkpoint; returns the system calls that it took."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        disk = Faults(patch, **faults)
        checkpoint.begin(folder, RunSpec(CONFIG))
        for each in saved[1].values():
            checkpoint.write(folder, RunSpec(CONFIG), each)
    return len(disk.log)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_whatever_call_fails_the_old_or_the_new_checkpoint_is_whole(tmp_path, saved, error):
    calls, found = write(tmp_path / "count", saved), []
    for k in range(calls):
        folder = tmp_path / str(k)
        with pytest.raises(StorageError, match=r"cannot be written \("):
            write(folder, saved, fails=k, error=error)
        assert not list(folder.glob(".*.part"))
        if not (folder / checkpoint.CHECKPOINT).exists():
            assert not list(folder.iterdir())  # no run yet
            found.append(None)
            continue
        loaded = read(folder, saved[0])
        done = loaded.history.sequences if loaded else 0
        assert loaded is None or same(loaded, saved[1][done])
        found.append(done)
        checkpoint.write(folder, RunSpec(CONFIG), saved[1][9])  # and it goes on
        assert same(read(folder, saved[0]), saved[1][9])
    assert set(found) == {None, 0, 2, 5, 9}
    assert found[:4] == [None] * 4
    assert found[4:] == sorted(found[4:])


@pytest.mark.parametrize("sequences", [9, 90])
def test_a_run_whose_result_was_stored_is_finished_until_more_is_asked_for(
    tmp_path, saved, sequences
):
    run = tmp_path / "run"
    write(run, saved)
    assert prepared(run).saved.history.sequences == 9  # it was stopped before its evaluation
    checkpoint.write(run, RunSpec(CONFIG), saved[1][9], fabricated_result(CONFIG))
    assert checkpoint.read_finished(run).result == fabricated_result(CONFIG)
    if sequences == 9:
        with pytest.raises(ConfigError, match="is finished, with all 9"):
            prepared(run)
        return
    assert same(prepared(run, sequences=90).saved, saved[1][9])
    assert prepared(run).config.training.sequences == 90  # also if it is killed at once
    with pytest.raises(StorageError, match="has no result yet"):
        checkpoint.read_finished(run)


def test_metrics_are_the_same_lines_however_they_were_cut_and_read_back_bit_for_bit():
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
    read_back = [float(line.split(",")[2]) for line in lines[1:]]
    assert np.array(read_back, np.float32).tobytes() == values.T.tobytes()
    assert whole.bad.tolist() == [False, True]
