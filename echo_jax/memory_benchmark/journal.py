"""The trainings of a card in the making, on disk: a measurement that was killed goes on.

    about.json    cell, protocol, seeds and software; another measurement's journal is refused
    rows.jsonl    a line for each training of runs: its raw rows, and their digest
    N.msgpack     the weights after training N

The rest of a card is a function of these, so the finished card is that of an undisturbed run.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization

from echo_jax import atomic_files
from echo_jax.exceptions import StorageError

WEIGHTS_LIMIT = 2**32
"""Largest file of weights, bytes."""

JournalEntry = tuple[list[dict[str, Any]], Any]
"""The raw rows of some runs after training, and their weights, leaves `[S, ...]`."""


@contextlib.contextmanager
def claimed(folder: Path, about: dict[str, Any]) -> Iterator[None]:
    """Keep others out of the folder of an unfinished card, which is made if it is not there.

    Args:
      folder: its parent is there.
      about: JSON values that the raw rows are a function of.

    Raises:
      StorageError: the folder is in use, or of another measurement.
    """
    atomic_files.check_no_link(folder)
    folder.mkdir(exist_ok=True)
    with atomic_files.locked(folder):
        path = folder / "about.json"
        if not path.exists():
            atomic_files.write_json(path, about)
        if atomic_files.read_json(path, fix=f"remove {folder}") != about:
            raise StorageError(
                f"{folder} is the unfinished measurement of another cell, protocol, version or "
                "device: remove it, or give the card another {name}"
            )
        yield


class Journal:
    """The trainings of one card, in the order in which they are asked for.

    A training that is taken from it has numpy leaves in dictionaries, see `ParallelRuns.train`.
    """

    def __init__(self, folder: Path) -> None:
        """Read what is there; the caller has `claimed` the folder."""
        self.folder, self._asked = folder, 0
        self._lines = self._whole_lines()

    @property
    def is_ahead(self) -> bool:
        """True if the next training is there already."""
        return self._asked < len(self._lines)

    def __len__(self) -> int:
        """The number of trainings that are there."""
        return len(self._lines)

    def next(self, call: list[Any]) -> JournalEntry | None:
        """The next training, if it is there; `call` says which one it must be."""
        if not self.is_ahead:
            return None
        number, line = self._asked, self._lines[self._asked]
        self._asked += 1
        if line["call"] != call:
            raise StorageError(f"{self.folder} is damaged: remove it, and measure the card again")
        weights = atomic_files.read_bytes(self._weights(number), WEIGHTS_LIMIT)
        return line["rows"], serialization.msgpack_restore(weights)

    def append(self, call: list[Any], rows: list[dict[str, Any]], weights: Any) -> None:
        """Keep a training: the weights first, so that a line always has its weights."""
        tree = jax.tree.map(np.asarray, serialization.to_state_dict(weights))
        payload = serialization.msgpack_serialize(tree)
        atomic_files.write_bytes(self._weights(self._asked), payload)
        line = {"call": call, "rows": rows, "weights": atomic_files.digest(payload)}
        self._lines.append(line | {"digest": atomic_files.digest_of(line)})
        self._asked += 1
        text = "".join(json.dumps(each, allow_nan=False) + "\n" for each in self._lines)
        atomic_files.write_bytes(self.folder / "rows.jsonl", text.encode())

    def _weights(self, number: int) -> Path:
        return self.folder / f"{number}.msgpack"

    def _whole_lines(self) -> list[dict[str, Any]]:
        """The lines up to the first that is damaged, or whose weights are."""
        path, lines = self.folder / "rows.jsonl", []
        text = atomic_files.read_bytes(path, atomic_files.JSON_LIMIT) if path.exists() else b""
        with contextlib.suppress(ValueError, TypeError, KeyError, StorageError, RecursionError):
            for number, written in enumerate(text.splitlines()):
                line = atomic_files.parse_json(written)
                rest = {name: value for name, value in line.items() if name != "digest"}
                weights = atomic_files.read_bytes(self._weights(number), WEIGHTS_LIMIT)
                whole = atomic_files.digest(weights) == line["weights"]
                if not (whole and line["digest"] == atomic_files.digest_of(rest)):
                    break
                lines.append(line)
        return lines
