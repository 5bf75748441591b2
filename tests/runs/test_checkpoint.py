"""Checkpoints that fail to be written, that a kill left half written, and that come back."""

import errno

import jax
import numpy as np
import pytest
from disk_faults import Faults

from echo_jax.config import NetworkConfig, RunConfig, TaskConfig, TrainingConfig, changed
from echo_jax.core.many_seeds import state_shapes
from echo_jax.exceptions import StorageError
from echo_jax.runs import checkpoint, run_folder
from echo_jax.runs.checkpoint import Saved
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.run_folder import Inputs

CONFIG = RunConfig(
    TaskConfig(length=6, vocab_size=4, window=2, lag=1, batch_size=2),
    NetworkConfig(hidden_size=2),
    TrainingConfig(sequences=9),
    seeds=2,
)


@pytest.fixture(scope="module")
def shapes():
    return state_shapes(CONFIG)


def saved_after(sequences, shapes):
    """A state and a history that differ for every number of sequences."""
    rng = np.random.default_rng(sequences)
    state = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shapes)
    history = History(CONFIG)
    whole = np.random.default_rng(0).random((2, 2, 9), np.float32)
    history.append(*whole[:, :, :sequences])
    return Saved(state, history)


def same(a, b):
    pairs = zip(jax.tree.leaves(a.state), jax.tree.leaves(b.state), strict=True)
    return a.history.text() == b.history.text() and all(np.array_equal(x, y) for x, y in pairs)


def writing(folder, shapes, until=3):
    """All that a run writes until its third checkpoint."""
    run_folder.write_inputs(folder, Inputs(CONFIG))
    for sequences in (2, 5, 9)[:until]:
        checkpoint.save(folder, Inputs(CONFIG), saved_after(sequences, shapes))


def number_of_calls(folder, monkeypatch, shapes):
    folder.mkdir()
    with monkeypatch.context() as patch:
        faults = Faults(patch)
        writing(folder, shapes)
    return len(faults.log)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_whatever_call_fails_the_old_or_the_new_checkpoint_is_whole(
    tmp_path, monkeypatch, shapes, error
):
    calls = number_of_calls(tmp_path / "count", monkeypatch, shapes)
    assert calls == 6 * (1 + 2 * 3)
    found = []
    for k in range(calls):
        folder = tmp_path / str(k)
        folder.mkdir()
        with monkeypatch.context() as patch:
            Faults(patch, fails=k, error=error)
            with pytest.raises(StorageError, match=r"cannot be written \("):
                writing(folder, shapes)
        assert not list(folder.glob(".*.part"))
        if k < 6:
            assert not list(folder.iterdir())
            found.append(None)
            continue
        inputs = run_folder.read_inputs(folder)
        loaded = checkpoint.load(folder, inputs, shapes)
        done = loaded.history.sequences if loaded else 0
        assert loaded is None or same(loaded, saved_after(done, shapes))
        lines = (folder / "metrics.csv").read_text().splitlines() if k > 10 else ["header"]
        assert len(lines) - 1 in (2 * done, 2 * {0: 2, 2: 5, 5: 9, 9: 9}[done])
        found.append(done)
        checkpoint.save(folder, inputs, saved_after(9, shapes))  # and it goes on
        assert same(checkpoint.load(folder, inputs, shapes), saved_after(9, shapes))
    assert set(found) == {None, 0, 2, 5, 9}
    assert found[6:] == sorted(found[6:])


def test_what_a_kill_left_half_written_does_not_matter(tmp_path, shapes):
    writing(tmp_path, shapes, until=1)
    for name in (".checkpoint.msgpack.part", ".metrics.csv.part", ".config.json.part"):
        (tmp_path / name).write_bytes(b"half a ")
    run_folder.write_config(tmp_path, Inputs(CONFIG))
    checkpoint.save(tmp_path, Inputs(CONFIG), saved_after(5, shapes))
    assert same(checkpoint.load(tmp_path, Inputs(CONFIG), shapes), saved_after(5, shapes))
    assert not list(tmp_path.glob(".*.part"))


def test_metrics_beyond_the_checkpoint_are_left_out_and_missing_ones_are_noticed(tmp_path, shapes):
    writing(tmp_path, shapes, until=2)
    metrics = tmp_path / "metrics.csv"
    whole = metrics.read_bytes()
    metrics.write_bytes(whole + b"0,6,0.5,0.5\n1,6,0.")
    assert same(checkpoint.load(tmp_path, Inputs(CONFIG), shapes), saved_after(5, shapes))
    for damaged in (whole[:-1], whole[:40], b"", whole.replace(b"5", b"6")):
        metrics.write_bytes(damaged)
        with pytest.raises(StorageError, match=r"metrics\.csv is damaged before the line"):
            checkpoint.load(tmp_path, Inputs(CONFIG), shapes)


def test_a_longer_run_goes_on_from_the_checkpoint_and_another_run_does_not(tmp_path, shapes):
    writing(tmp_path, shapes)
    longer, other = changed(CONFIG, sequences=90), changed(CONFIG, seed=1)
    assert same(checkpoint.load(tmp_path, Inputs(longer), shapes), saved_after(9, shapes))
    with pytest.raises(StorageError, match=r"is not of the run in config\.json"):
        checkpoint.load(tmp_path, Inputs(other), shapes)


def test_the_lines_of_the_metrics_do_not_depend_on_how_they_were_cut():
    loss, accuracy = np.random.default_rng(1).random((2, 2, 9), np.float32)
    whole, cut = History(CONFIG), History(CONFIG)
    whole.append(loss, accuracy)
    for chunk in ([0, 1, 2], [3], [4, 5, 6, 7, 8]):
        cut.append(loss[:, chunk], accuracy[:, chunk])
    assert whole.text() == cut.text()
    lines = whole.text().decode().splitlines()
    assert lines[0] == "seed,sequence,loss,accuracy"
    assert [line.split(",")[:2] for line in lines[1:4]] == [["0", "1"], ["1", "1"], ["0", "2"]]


def test_curves_come_back_from_the_metrics_bit_for_bit():
    values = np.array([[0.05, 1 / 3, np.pi * 1e-8, 4.60517, 1e30], [0, 1, np.nan, np.inf, 2e-45]])
    values = values.astype(np.float32)
    history = History(CONFIG)
    history.append(values, values[:, ::-1])
    again = History.of_text(CONFIG, history.text())
    for mine, theirs in zip(history.curves(), again.curves(), strict=True):
        assert mine.tobytes() == theirs.tobytes()
    assert again.bad.tolist() == [False, True]
