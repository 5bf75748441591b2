"""Checkpoints: the state of every seed, written and read back with its digest."""

import contextlib
import os
from pathlib import Path
from typing import Any, NamedTuple

from echo_jax import atomic_files, machine, tensor_files
from echo_jax.config import is_built_in
from echo_jax.exceptions import StorageError
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.run_folder import CHECKPOINT, CONFIG, METRICS, RunSpec

KIND = "checkpoint"


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
    tensor_files.write(folder / CHECKPOINT, KIND, saved.state, about)


def load(folder: Path, inputs: RunSpec, shapes: Any) -> Saved | None:
    """The last checkpoint of a run with its part of `metrics.csv`; None where there is none yet.

    StorageError where a file is damaged, belongs to another run, or has not these shapes.
    """
    if not os.path.lexists(folder / CHECKPOINT):
        return None
    state, about = load_state(folder, inputs, shapes)
    path, size = folder / METRICS, about["metrics_bytes"]
    machine.check_memory(size)
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
    """The state of every seed in the last checkpoint, in these shapes, and what is about it."""
    path, cell = folder / CHECKPOINT, inputs.config.network.cell
    if not os.path.lexists(path):
        fix = f"train on with --resume {folder}, or start a new run"
        raise StorageError(None, folder, "has no checkpoint yet", fix)
    own = "" if is_built_in(cell) else f", use the text of cell {cell} with which it was trained"
    fix = f"restore it{own}, or train again with the configuration in {CONFIG}"
    state, about = tensor_files.read(path, shapes, fix)
    for name in ("sequences", "metrics_bytes"):
        if not (type(about.get(name)) is int and about[name] > 0):
            raise StorageError(None, path, f"is damaged (its {name} is no count)", fix)
    if about.get("inputs") != inputs.identity:
        raise StorageError(None, path, f"is not of the run in {CONFIG}", "restore one of the two")
    return state, about
