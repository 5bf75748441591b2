"""Rows of results: a file of JSON lines that only grows, each line with its configuration.

A row is a dictionary of plain values. What makes it the row of a cell is its identity: the fields
that the cell has before anything is run. No jax here, so that tables and figures start at once.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from echo_jax import atomic_files, exceptions
from echo_jax.config import from_dict, to_dict
from echo_jax.exceptions import ConfigError

IDENTITY = ("cell", "labels", "config", "measures", "until_learned")
"""The fields of a row that say what was run."""

FOUND = ("trained", "parameters", "bytes", "floors", "by_seed", "measured", "failed")
"""The fields of a row that say what was found, beside `accuracy_by_position`."""

NOT_OF_THE_CELL = ("seconds", "versions", "date", "digest")
"""What a row holds that is not a function of its cell, and the digest of all that is."""

Row = dict[str, Any]


def key(row: Mapping[str, Any]) -> str:
    """What two rows of the same cell have in common, and no others.

    A row from before a field of the configuration was there is that of the field's default.
    """
    config = to_dict(from_dict(row["config"]))
    return atomic_files.digest_of({name: row[name] for name in IDENTITY} | {"config": config})


def digest(row: Mapping[str, Any]) -> str:
    """The digest of what a row found: of all but the seconds, versions and date."""
    return atomic_files.digest_of({k: v for k, v in row.items() if k not in NOT_OF_THE_CELL})


def read(path: Path) -> list[Row]:
    """The rows of a file, none where there is no file; StorageError for a line that is damaged."""
    if not path.exists():
        return []
    data = atomic_files.read_bytes(
        path, atomic_files.JSON_LIMIT, fix="use the folder of a study or sweep"
    )
    return [_row(path, i + 1, line) for i, line in enumerate(data.splitlines())]


def append(path: Path, row: Row) -> None:
    """Add a row to a file, which is there whole, with it or without it, whatever happens."""
    before = path.read_bytes() if path.exists() else b""
    if before and not before.endswith(b"\n"):  # an editor may have taken the last one off
        before += b"\n"
    line = json.dumps(row | {"digest": digest(row)}, allow_nan=False)
    atomic_files.write_bytes(path, before + line.encode() + b"\n")


def _row(path: Path, number: int, line: bytes) -> Row:
    try:
        row = json.loads(line)
        if row["digest"] == digest(row) and {*IDENTITY, *FOUND, *NOT_OF_THE_CELL} <= set(row):
            from_dict(row["config"])
            return row
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, ConfigError):
        pass
    raise exceptions.StorageError(
        f"{path} is damaged in line {number}, its digest is not that of its content: remove that "
        "line, and its cell is run again"
    )
