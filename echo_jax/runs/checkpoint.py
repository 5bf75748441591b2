"""Checkpoints: the state of every seed, written and read back with its digest."""

import contextlib
import math
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import serialization

from echo_jax import atomic_files, machine
from echo_jax.config import is_built_in
from echo_jax.exceptions import StorageError
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.run_folder import CHECKPOINT, CONFIG, METRICS, RunSpec

CHECKPOINT_FORMAT, ECHO_FORMAT = b"echo_jax checkpoint 1\n", b"echo_jax state 1\n"
"""First line of a file; then come the digest of the payload, a line end, and the payload."""

OVERHEAD = 2**20
"""Bytes of a checkpoint beyond those of its arrays, at most."""


class Saved(NamedTuple):
    """The state of every seed, numpy leaves `[S, ...]`, and the log of the training up to it."""

    state: Any
    history: History


def save(folder: Path, inputs: RunSpec, saved: Saved) -> None:
    """Write the lines of `metrics.csv` so far, and then the checkpoint that has their digest."""
    metrics = saved.history.text()
    atomic_files.write_bytes(folder / METRICS, metrics)
    contents = {
        "inputs": inputs.identity,
        "sequences": saved.history.sequences,
        "metrics_bytes": len(metrics),
        "metrics_digest": atomic_files.digest(metrics),
    }
    write(folder / CHECKPOINT, CHECKPOINT_FORMAT, contents, saved.state)


def load(folder: Path, inputs: RunSpec, shapes: Any) -> Saved | None:
    """The last checkpoint of a run with its part of `metrics.csv`; None where there is none yet.

    StorageError where a file is damaged, belongs to another run, or has not these shapes.
    """
    if not os.path.lexists(folder / CHECKPOINT):
        return None
    contents = load_state(folder, inputs, shapes)
    path, size = folder / METRICS, contents["metrics_bytes"]
    machine.check_memory(size)
    fix = f"restore it, or train again with that in {CONFIG}; to predict, it is not needed"
    metrics = atomic_files.read_bytes(path, size, whole=False, fix=fix)
    with contextlib.suppress(ValueError):
        if atomic_files.digest(metrics) == contents["metrics_digest"]:
            history = History.of_text(inputs.config, metrics)
            if history.sequences == contents["sequences"]:
                return Saved(contents["state"], history)
    raise StorageError(f"{path} is damaged before the line at which the checkpoint stands: {fix}")


def load_state(folder: Path, inputs: RunSpec, shapes: Any) -> dict[str, Any]:
    """All that the last checkpoint holds, the `state` of every seed in these shapes."""
    path = folder / CHECKPOINT
    if not os.path.lexists(path):
        raise StorageError(
            f"{folder} has no checkpoint yet: train on with --resume {folder}, or start a new run"
        )
    restored, cell = "restore it", inputs.config.network.cell
    if not is_built_in(cell):
        restored += f", use the text of cell {cell} with which it was trained"
    fix = f"{restored}, or train again with the configuration in {CONFIG}"
    contents = read(path, CHECKPOINT_FORMAT, shapes, fix)
    for name in ("sequences", "metrics_bytes"):
        if not (type(contents.get(name)) is int and contents[name] > 0):
            raise StorageError(f"{path} is damaged (its {name} is no count): {fix}")
    if contents.get("inputs") != inputs.identity:
        raise StorageError(f"{path} is not of the run in {CONFIG}: restore the one or the other")
    return contents


def size_of(shapes: Any) -> int:
    """The bytes of the arrays of a tree of shapes."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def write(path: Path, form: bytes, contents: dict[str, Any], state: Any) -> None:
    """Write plain contents and a state to a file, replacing the one that is there."""
    whole = contents | {"state": serialization.to_state_dict(state)}
    payload = serialization.msgpack_serialize(whole)
    digest = atomic_files.digest(payload).encode()
    atomic_files.write_bytes(path, form + digest + b"\n" + payload)


def read(path: Path, form: bytes, shapes: Any, fix: str) -> dict[str, Any]:
    """The inverse of `write`, with a `state` of these shapes; StorageError otherwise.

    A file that is larger than the shapes allow is refused before it is read.
    """
    size = size_of(shapes)
    machine.check_memory(size)
    begins = atomic_files.read_bytes(path, len(form) + 8, whole=False, fix=fix)
    kind, _, number = form.rpartition(b" ")
    version = re.match(kind + rb" (\d{1,8})\n", begins)
    if version and int(version[1]) > int(number):
        raise StorageError(
            f"{path} is of a newer format, {version[1].decode()}, than this echo_jax reads, "
            f"{int(number)}: update echo_jax"
        )
    data = atomic_files.read_bytes(path, size + OVERHEAD, fix=fix)
    start = len(form) + len(atomic_files.digest(b"")) + 1
    if data[:start] != form + atomic_files.digest(data[start:]).encode() + b"\n":
        raise StorageError(f"{path} is damaged, its digest is not that of its content: {fix}")
    try:
        contents = serialization.msgpack_restore(data[start:])
        contents["state"] = serialization.from_state_dict(shapes, contents["state"])
        fits = jax.tree.map(_fits, contents["state"], shapes)
        if all(jax.tree.leaves(fits)):
            return contents
    except Exception:  # anyone can write a digest: the bytes may break their reader in any way
        pass
    raise StorageError(f"{path} does not hold the arrays of the network: {fix}")


def _fits(leaf: Any, shape: Any) -> bool:
    return type(leaf) is np.ndarray and (leaf.shape, leaf.dtype) == (shape.shape, shape.dtype)
