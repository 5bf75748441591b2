"""The times at which a run writes a checkpoint, and its end where its loss is non-finite."""

import time
from typing import Any

import jax
import numpy as np

from echo_jax import atomic_files
from echo_jax.config import LARGEST, is_built_in
from echo_jax.exceptions import DivergedError
from echo_jax.runs import checkpoint, result, run_folder
from echo_jax.runs.checkpoint import Saved
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.prepared_run import PreparedRun

SECONDS = 10.0
"""Seconds between two checkpoints, about, where no number of sequences was asked for."""


class CheckpointWriter:
    """Writes the checkpoints of a run that trains, whose loop appends to `log`."""

    def __init__(self, run: PreparedRun, log: History) -> None:
        """Start the clock."""
        self._run, self._log = run, log
        self._last, self._every = run.config.training.sequences, run.checkpoint_every
        self._saved, self._clock = log.sequences, time.perf_counter()

    def next_border(self, done: int) -> int:
        """The sequence at which a chunk must end: the next checkpoint, or the last sequence."""
        if self._every is None:
            return self._last
        return min(self._last, (done // self._every + 1) * self._every)

    def is_due(self) -> bool:
        """True if a checkpoint is due after the chunk that was logged last."""
        done = self._log.sequences
        if self._every is None:
            return done == self._last or time.perf_counter() - self._clock > SECONDS
        return done == self._last or done % self._every == 0

    def save(self, state: Any) -> None:
        """Write a checkpoint of the states `[S or more, ...]`, unless all are non-finite."""
        if self._run.folder is None:
            return
        seeds = self._run.config.seeds
        state = jax.tree.map(lambda leaf: np.asarray(leaf)[:seeds], state)
        bad = [~np.isfinite(x.reshape(len(x), -1)).all(axis=1) for x in jax.tree.leaves(state)]
        if not np.any(bad, axis=0).all():
            checkpoint.save(self._run.folder, self._run.inputs, Saved(state, self._log))
            self._saved, self._clock = self._log.sequences, time.perf_counter()

    def refuse_divergence(self, final: np.ndarray | None = None) -> None:
        """Raise DivergedError where every seed has had a non-finite loss, in its evaluation too."""
        bad = self._log.bad if final is None else self._log.bad | ~np.isfinite(final)
        if not bad.all():
            return
        folder, config = self._run.folder, self._run.config
        failed = result.failures(config, self._log.curves()[0], final)
        pairs = zip(failed["sequence"], failed["seed"], strict=True)
        first, seed = min(pairs, key=lambda pair: pair[0] or LARGEST)
        place = f"sequence {first}" if first else "the evaluation"
        keeps = ""
        if folder:
            atomic_files.write_bytes(folder / run_folder.METRICS, self._log.text())
            kept = f"the checkpoint of sequence {self._saved}" if self._saved else "metrics.csv"
            keeps = f"; {run_folder.as_shown(folder)} keeps {kept}"
        fix = f"use a {{learning_rate}} below {config.training.learning_rate:g}"
        if first == 1 and not is_built_in(config.network.cell):
            fix = "guard the division, root or logarithm of the cell that gives it untrained"
        raise DivergedError(
            None, f"the loss of {place}", f"is non-finite with seed {seed}", fix + keeps
        )
