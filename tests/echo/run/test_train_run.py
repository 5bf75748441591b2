"""A whole run: its data, the times of its checkpoints, several devices."""

import itertools
import json
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from run_folders import OWN, PLAIN, inputs_of, prepared, saved_of
from running import execute

from echo_jax.config import changed
from echo_jax.echo.run import checkpoint, own_data, train_run
from echo_jax.echo.run.run_folder import RunSpec
from echo_jax.engine.process import Interrupts, StoppedError
from echo_jax.exceptions import DivergedError


def train(folder, inputs, chunk=None, every=None, **running):
    """Train a new run, so many sequences a chunk and between two checkpoints."""
    run = prepared(folder, inputs)
    run = run._replace(chunk=chunk or run.chunk, checkpoint_every=every)
    return train_run.train_run(run, train_run.Running(**running))


@pytest.fixture
def written(monkeypatch):
    """For each checkpoint that is written, its sequences, and whether it has the result."""
    found, write = [], checkpoint.write

    def noted(folder, inputs, saved=None, result=None):
        found.append((saved.history.sequences if saved else 0, result is not None))
        write(folder, inputs, saved, result)

    monkeypatch.setattr(checkpoint, "write", noted)
    return found


def test_a_column_is_trained_on_its_first_part_and_evaluated_on_the_rest():
    """The tokens 0 and 1 fill the first 80%, the tokens 2 and 3 the part that is held out."""
    config = changed(OWN, vocab_size=4, sequences=20, learning_rate=0.01)
    tokens = np.random.default_rng(0).integers(0, 2, 200).astype(np.int32)
    tokens[160:] += 2
    finished = train(None, own_data.column_inputs(config, ["a", "b", "c", "d"], tokens))
    assert set(finished.result.expected) <= {"c", "d"}
    bias = np.asarray(finished.params["readout"]["bias"])
    assert bias[:, :2].min() > 0 > bias[:, 2:].max()  # no target of training was held out


def test_a_checkpoint_is_written_about_every_ten_seconds(tmp_path, monkeypatch, written):
    """Two sequences a chunk; the clock goes on by four seconds whenever it is read."""
    clock = itertools.count(0.0, 4.0)
    monkeypatch.setattr(train_run, "time", SimpleNamespace(perf_counter=clock.__next__))
    train(tmp_path, RunSpec(changed(PLAIN, sequences=14)), chunk=2)
    assert written == [(0, False), (6, False), (12, False), (14, True)]


def test_a_checkpoint_is_written_at_each_multiple_of_what_was_asked(tmp_path, written):
    """Chunks of two sequences alone would end at none of the odd multiples of three."""
    train(tmp_path, RunSpec(changed(PLAIN, sequences=10)), chunk=2, every=3)
    assert written == [(0, False), (3, False), (6, False), (9, False), (10, True)]


def test_a_run_is_stopped_after_a_chunk_that_is_saved_whenever_the_signal_comes(tmp_path):
    interrupts = Interrupts()

    def interrupt(done, *_):
        """A signal after the loop has asked whether to save the chunk."""
        interrupts.signal = signal.SIGINT

    running = {"interrupts": interrupts, "on_chunk": interrupt}
    with pytest.raises(StoppedError, match="Stopped after 4 of 14"):
        train(tmp_path, RunSpec(changed(PLAIN, sequences=14)), chunk=2, **running)
    assert prepared(tmp_path).saved.history.sequences == 4


def test_a_run_is_written_and_goes_on_until_every_seed_has_failed(tmp_path):
    saved = saved_of(OWN)
    run = prepared(tmp_path, inputs_of(OWN))
    assert run.plan.seed_map == "map"  # on a CPU, where each seed has the bits that it has alone
    writer = train_run.CheckpointWriter(run, saved.history)
    for failed in range(OWN.seeds + 1):
        weights = saved.state.params["readout"]["bias"]
        weights[:failed] = np.nan
        writer.save(saved.state)
        kept = prepared(tmp_path).saved.state.params["readout"]["bias"]
        assert np.isnan(kept).all(axis=1).sum() == min(failed, OWN.seeds - 1)
    writer.refuse_divergence(np.float32([np.nan, 1]))
    with pytest.raises(DivergedError):
        writer.refuse_divergence(np.full(OWN.seeds, np.nan))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("cell", ["exprnn", "delta-net", "block:delta-net"])
def test_cells_that_invert_or_exponentiate_matrices_train_on_several_devices(cell, tmp_path):
    """A linear solver of jax 0.10 waits for ever where two devices of a CPU use it at a time."""
    options = ("--cell", cell, "--no-stateful", "--seeds", 2, "--sequences", 60, "--hidden", 24)
    execute("train.py", *options, "--out", "run", cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert len(result["by_seed"]["accuracy"]) == 2
