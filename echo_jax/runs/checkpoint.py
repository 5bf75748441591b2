"""Checkpoints: the state of every seed, written and read back with its digest."""

import contextlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from echo_jax import atomic_files, machine
from echo_jax.config import LARGEST
from echo_jax.exceptions import StorageError
from echo_jax.runs.run_folder import CHECKPOINT, CONFIG, METRICS, Inputs

if TYPE_CHECKING:  # jax and numpy wait until a command line was found valid
    from echo_jax.runs.metrics_csv import History

CHECKPOINT_FORMAT, ECHO_FORMAT = b"echo_jax checkpoint 1\n", b"echo_jax state 1\n"
"""How a file begins; then come the digest of the rest, a line, and the rest, msgpack."""


LINE = 80
"""No line of `metrics.csv` has more bytes: two whole numbers, two of 32 bits, commas."""


OVERHEAD = 2**20
"""At most so many bytes of a checkpoint are not those of its arrays."""


class Saved(NamedTuple):
    """How far a run is: the state of every seed, numpy leaves `[S, ...]`, and what led there."""

    state: Any
    history: "History"


def save(folder: Path, inputs: Inputs, saved: Saved) -> None:
    """Write a checkpoint, and before it the lines of `metrics.csv` up to it."""
    from flax import serialization

    metrics = saved.history.text()
    atomic_files.write_bytes(folder / METRICS, metrics)
    contents = {
        "inputs": inputs.identity,
        "sequences": saved.history.sequences,
        "metrics_bytes": len(metrics),
        "metrics_digest": atomic_files.digest(metrics),
        "state": serialization.to_state_dict(saved.state),
    }
    atomic_files.write_bytes(folder / CHECKPOINT, _pack(CHECKPOINT_FORMAT, contents))


def load(folder: Path, inputs: Inputs, shapes: Any) -> Saved | None:
    """The last checkpoint of a run with its part of `metrics.csv`; None where there is none yet.

    Args:
      folder: of the run.
      inputs: what `read_inputs` found there.
      shapes: the state of every seed, a tree of shapes and types.

    Raises:
      StorageError: a file is damaged, or belongs to another run.
    """
    from echo_jax.runs.metrics_csv import History

    if not os.path.lexists(folder / CHECKPOINT):
        return None
    state, contents = load_state(folder, inputs, shapes)
    path = folder / METRICS
    size = contents["metrics_bytes"]
    if size > machine.memory():
        raise StorageError(f"{path} would be larger than the memory: restore {CHECKPOINT}")
    metrics = atomic_files.read_bytes(path, size, whole=False)
    with contextlib.suppress(ValueError):
        if atomic_files.digest(metrics) == contents["metrics_digest"]:
            history = History.of_text(inputs.config, metrics)
            if history.sequences == contents["sequences"]:
                return Saved(state, history)
    raise StorageError(
        f"{path} is damaged before the line at which the checkpoint stands: restore it, or train "
        f"again with the configuration in {CONFIG}; to predict, it is not needed"
    )


def load_state(folder: Path, inputs: Inputs, shapes: Any) -> tuple[Any, dict[str, Any]]:
    """The state of every seed in the last checkpoint, and what else the checkpoint says.

    A file whose size is not that of the shapes is refused before it is read.
    """
    path = folder / CHECKPOINT
    if not os.path.lexists(path):
        raise StorageError(
            f"{folder} has no checkpoint yet: train on with --resume {folder}, or start a new run"
        )
    fix = f"restore it, or train again with the configuration in {CONFIG}"
    contents = _unpack(path, CHECKPOINT_FORMAT, shapes, fix)
    numbers = [contents.get(name) for name in ("sequences", "metrics_bytes")]
    if not all(type(number) is int and number > 0 for number in numbers):
        raise StorageError(f"{path} is damaged: {fix}")
    lines = 1 + contents["sequences"] * inputs.config.seeds
    if contents["sequences"] > LARGEST or contents["metrics_bytes"] > LINE * lines:
        raise StorageError(f"{path} is damaged, its counts cannot be right: {fix}")
    if contents.get("inputs") != inputs.identity:
        raise StorageError(f"{path} is not of the run in {CONFIG}: restore the one or the other")
    return contents["state"], contents


def save_echo(path: Path, network: str, state: Any) -> None:
    """Write the state of a network that is fed integer by integer.

    Args:
      path: replaced if it is there.
      network: a digest that no other network has.
      state: `EchoState`.
    """
    from flax import serialization

    contents = {"network": network, "state": serialization.to_state_dict(state)}
    atomic_files.write_bytes(path, _pack(ECHO_FORMAT, contents))


def load_echo(path: Path, network: str, shapes: Any) -> Any:
    """The inverse of `save_echo`; StorageError for any other file, or another network's."""
    fix = "name another file, or none to start afresh"
    contents = _unpack(path, ECHO_FORMAT, shapes, fix)
    if contents.get("network") != network:
        raise StorageError(f"{path} is the state of another network: {fix}")
    return contents["state"]


def _pack(form: bytes, contents: dict[str, Any]) -> bytes:
    from flax import serialization

    payload = serialization.msgpack_serialize(contents)
    return form + atomic_files.digest(payload).encode() + b"\n" + payload


def _unpack(path: Path, form: bytes, shapes: Any, fix: str) -> dict[str, Any]:
    """What `_pack` wrote, its `state` of the same arrays as `shapes`; StorageError otherwise."""
    from flax import serialization

    size = size_of(shapes)
    machine.check_memory(size)
    data = atomic_files.read_bytes(path, size + OVERHEAD, fix=fix)
    start = len(form) + len(atomic_files.digest(b"")) + 1
    try:
        if data[:start] != form + atomic_files.digest(data[start:]).encode() + b"\n":
            raise ValueError("the digest is not that of the content")
        contents = serialization.msgpack_restore(data[start:])
        contents["state"] = serialization.from_state_dict(shapes, contents["state"])
        if not _same_shapes(contents["state"], shapes):
            raise ValueError("its arrays are not those of the network")
    except Exception as error:  # whatever the bytes of a stranger make of their reader
        raise StorageError(f"{path} is damaged ({error}): {fix}") from error
    return contents


def size_of(shapes: Any) -> int:
    """The bytes of the arrays of a tree of shapes."""
    import jax

    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def _same_shapes(state: Any, shapes: Any) -> bool:
    import jax
    import numpy as np

    def same(leaf: Any, shape: Any) -> bool:
        return type(leaf) is np.ndarray and (leaf.shape, leaf.dtype) == (shape.shape, shape.dtype)

    try:
        return all(jax.tree.leaves(jax.tree.map(same, state, shapes)))
    except (ValueError, TypeError):  # not even the same tree
        return False
