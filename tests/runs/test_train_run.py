"""A whole run in this process: its data, and the times of its checkpoints."""

import itertools
from types import SimpleNamespace

import numpy as np
from run_folders import OWN, PLAIN, prepared

from echo_jax.config import changed
from echo_jax.host.compiled_programs import Stopwatch
from echo_jax.host.interrupts import Interrupts
from echo_jax.runs import checkpoint, run_folder
from echo_jax.runs.run_folder import RunSpec
from echo_jax.runs.train_run import train_run


def train(folder, inputs, chunk=None):
    """Train a new run, so many sequences a chunk."""
    run = prepared(folder, inputs)
    run = run._replace(chunk=chunk or run.chunk)
    return train_run(run, Interrupts(), Stopwatch(), lambda _: None)


def test_a_column_is_trained_on_its_first_part_and_evaluated_on_the_rest():
    """The tokens 0 and 1 fill the first 80%, the tokens 2 and 3 the part that is held out."""
    config = changed(OWN, vocab_size=4, sequences=20, learning_rate=0.01)
    tokens = np.random.default_rng(0).integers(0, 2, 200).astype(np.int32)
    tokens[160:] += 2
    finished = train(None, run_folder.column_inputs(config, ["a", "b", "c", "d"], tokens))
    assert set(finished.result.expected) <= {"c", "d"}
    bias = np.asarray(finished.params["readout"]["bias"])
    assert bias[:, :2].min() > 0 > bias[:, 2:].max()  # no target of training was held out


def test_a_checkpoint_is_written_about_every_ten_seconds(tmp_path, monkeypatch):
    """Two sequences a chunk; the clock goes on by four seconds whenever it is read."""
    clock = itertools.count(0.0, 4.0)
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(perf_counter=clock.__next__))
    written, save = [], checkpoint.save

    def noted(folder, inputs, saved):
        written.append(saved.history.sequences)
        save(folder, inputs, saved)

    monkeypatch.setattr(checkpoint, "save", noted)
    train(tmp_path, RunSpec(changed(PLAIN, sequences=14)), chunk=2)
    assert written == [6, 12, 14]
    assert (tmp_path / run_folder.CHECKPOINT).exists()
