"""Checkpoints: the state of every seed, written in time, and read back with its digest."""

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from echo_jax import atomic_files, environment, tensor_files
from echo_jax.config import LARGEST, is_built_in
from echo_jax.exceptions import DivergedError, StorageError
from echo_jax.runs import result
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.run_folder import CHECKPOINT, CONFIG, METRICS, RunSpec, as_shown

if TYPE_CHECKING:
    from echo_jax.runs.prepared_run import PreparedRun


class Saved(NamedTuple):
    """The state of every seed, numpy leaves `[S, ...]`, and the log of the training up to it."""

    state: Any
    history: History


def save(folder: Path, inputs: RunSpec, saved: Saved) -> None:
    """Write the lines of `metrics.csv` so far, and then the checkpoint that has their digest."""
    metrics = saved.history.text()
    atomic_files.write_bytes(folder / METRICS, metrics)
    about = {
        "inputs": inputs.identity,
        "sequences": saved.history.sequences,
        "metrics_bytes": len(metrics),
        "metrics_digest": atomic_files.digest(metrics),
    }
    tensor_files.write(folder / CHECKPOINT, "checkpoint", saved.state, about)


def load(folder: Path, inputs: RunSpec, shapes: Any) -> Saved | None:
    """The last checkpoint of a run with its part of `metrics.csv`; None where there is none yet."""
    if not os.path.lexists(folder / CHECKPOINT):
        return None
    state, about = load_state(folder, inputs, shapes)
    path = folder / METRICS
    size = about["metrics_bytes"]
    environment.check_memory(size)
    fix = f"restore it, or train again with that in {CONFIG}; to predict, it is not needed"
    metrics = atomic_files.read_bytes(path, size, whole=False, fix=fix)
    with contextlib.suppress(ValueError):
        if atomic_files.digest(metrics) == about["metrics_digest"]:
            history = History.of_text(inputs.config, metrics)
            if history.sequences == about["sequences"]:
                return Saved(state, history)
    rule = "is damaged before the line at which the checkpoint stands"
    raise StorageError(None, path, rule, fix)


def load_state(folder: Path, inputs: RunSpec, shapes: Any) -> tuple[Any, dict[str, Any]]:
    """The state of every seed in the last checkpoint, and what is about it.

    StorageError where the file is damaged, belongs to another run, or has not these shapes.
    """
    path = folder / CHECKPOINT
    if not os.path.lexists(path):
        fix = f"train on with --resume {folder}, or start a new run"
        raise StorageError(None, folder, "has no checkpoint yet", fix)
    cell = inputs.config.network.cell
    own = "" if is_built_in(cell) else f", use the text of cell {cell} with which it was trained"
    fix = f"restore it{own}, or train again with the configuration in {CONFIG}"
    state, about = tensor_files.read(path, shapes, fix)
    for name in ("sequences", "metrics_bytes"):
        if not (type(about.get(name)) is int and about[name] > 0):
            raise StorageError(None, path, f"is damaged (its {name} is no count)", fix)
    if about.get("inputs") != inputs.identity:
        raise StorageError(None, path, f"is not of the run in {CONFIG}", "restore one of the two")
    return state, about


class CheckpointWriter:
    """Writes the checkpoints of a run that trains, whose loop appends to `log`."""

    def __init__(self, run: "PreparedRun", log: History) -> None:
        """Start the clock."""
        self._run = run
        self._log = log
        self._saved = log.sequences
        self._clock = time.perf_counter()

    def is_due(self) -> bool:
        """True if a checkpoint is due after the chunk that was logged last."""
        done = self._log.sequences
        if done == self._run.config.training.sequences:
            return True
        if self._run.checkpoint_every:
            return done % self._run.checkpoint_every == 0
        return time.perf_counter() - self._clock > 10.0  # seconds

    def save(self, state: Any) -> None:
        """Write a checkpoint of the states `[S or more, ...]`, unless all are non-finite."""
        if self._run.folder is None:
            return
        seeds = self._run.config.seeds
        state = jax.tree.map(lambda leaf: np.asarray(leaf)[:seeds], state)
        bad = [~np.isfinite(x.reshape(len(x), -1)).all(axis=1) for x in jax.tree.leaves(state)]
        if not np.any(bad, axis=0).all():
            save(self._run.folder, self._run.inputs, Saved(state, self._log))
            self._saved = self._log.sequences
            self._clock = time.perf_counter()

    def refuse_divergence(self, final: np.ndarray | None = None) -> None:
        """Raise DivergedError where every seed has had a non-finite loss, in its evaluation too."""
        bad = self._log.bad if final is None else self._log.bad | ~np.isfinite(final)
        if not bad.all():
            return
        folder = self._run.folder
        config = self._run.config
        failed = result.failures(config, self._log.curves()[0], final)
        pairs = zip(failed["sequence"], failed["seed"], strict=True)
        first, seed = min(pairs, key=lambda pair: pair[0] or LARGEST)
        place = f"sequence {first}" if first else "the evaluation"
        fix = f"use a {{learning_rate}} below {config.training.learning_rate:g}"
        if config.training.of_optax:
            fix = "use an {optimizer} that takes smaller steps"
        if first == 1 and not is_built_in(config.network.cell):
            fix = "guard the division, root or logarithm of the cell that gives it untrained"
        if folder:
            atomic_files.write_bytes(folder / METRICS, self._log.text())
            kept = f"the checkpoint of sequence {self._saved}" if self._saved else "metrics.csv"
            fix += f"; {as_shown(folder)} keeps {kept}"
        raise DivergedError(None, f"the loss of {place}", f"is non-finite with seed {seed}", fix)
