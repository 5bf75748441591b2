"""Keep rows in a file: one line of JSON for each task, with a digest. Nothing here imports jax."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Meta

from echo_jax.exceptions import StorageError
from echo_jax.storage import atomic_files

Count = Annotated[int, Meta(ge=0, le=2**53)]
"""A whole number that every reader of JSON reads exactly."""


class KeyedRow(Protocol):
    """The row of a task, with the key of the task."""

    @property
    def key(self) -> str:
        """The key of the row's task."""


R = TypeVar("R", bound=KeyedRow)


class RowKind(NamedTuple, Generic[R]):
    """A kind of rows: its name, and the functions between a row and the plain values of a line."""

    name: str  # of it, in refusals: "a row of results"
    decode: Callable[[dict[str, Any]], R]  # plain values to a row; ValueError where they are none
    encode: Callable[[R], dict[str, Any]]
    timing: Sequence[str] = ()  # left out by the digest: they differ when a row is made again

    def digest(self, values: Mapping[str, Any]) -> str:
        """Return the digest of the `values` of a row, without the fields named in `timing`."""
        kept = {name: values[name] for name in values if name not in self.timing}
        return atomic_files.digest_of(kept)

    def line(self, row: R) -> bytes:
        """Return the line of a row, with its digest."""
        values = self.encode(row)
        signed = values | {"digest": self.digest(values)}
        return json.dumps(signed, allow_nan=False, separators=(",", ":")).encode() + b"\n"

    def read(self, path: Path) -> list[R]:
        """Return the rows of the file at `path`, or no rows if there is no file.

        Raises StorageError if a line is damaged.
        """
        rows = list[R]()
        if not os.path.lexists(path):
            return rows
        fix = "restore the file, or use another folder"
        data = atomic_files.read_bytes(path, atomic_files.JSON_LIMIT, fix=fix)
        for number, line in enumerate(data.splitlines(), 1):
            try:
                if line:
                    rows.append(self.decode(self._values(line)))
            except (ValueError, RecursionError, msgspec.ValidationError) as error:
                why = ascii(str(error))[1:-1][:200]  # it may quote the file
                rule = f"is not {self.name} ({why})"
                fix = "remove that line, and its run will be made again"
                raise StorageError(None, f"line {number} of {path}", rule, fix) from error
        return rows

    def _values(self, line: bytes) -> dict[str, Any]:
        """Return the values of a line; raise ValueError unless their digest matches."""
        values = atomic_files.parse_json(line)
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        if values.pop("digest", None) != self.digest(values):
            raise ValueError("its digest does not match its content")
        return values

    def append(self, path: Path, rows: Iterable[R]) -> None:
        """Append `rows` to the file at `path`, which is made if it does not exist.

        If this fails at any moment, the file stays as it was. Raises StorageError if the file
        cannot be written.
        """
        # An append in place that is killed leaves half a line, which the next command refuses.
        before = path.read_bytes() if path.exists() else b""
        if before and not before.endswith(b"\n"):  # an editor may have removed the last one
            before += b"\n"
        atomic_files.write_bytes(path, before + b"".join(map(self.line, rows)))

    def write(self, path: Path, rows: Iterable[R]) -> None:
        """Write `rows` to the file at `path`, in place of an existing file."""
        atomic_files.write_bytes(path, b"".join(map(self.line, rows)))
