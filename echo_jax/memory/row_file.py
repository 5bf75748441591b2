"""Files of rows, which may come from anyone: each line is checked. No jax."""

from pathlib import Path
from typing import Any

import msgspec

from echo_jax import atomic_files
from echo_jax.exceptions import StorageError
from echo_jax.memory.protocol import PAIRS, RECALLS
from echo_jax.memory.rows import KeyRow, Row, configuration_of

ROWS_LIMIT = 2**26
"""Largest file of rows that is read, bytes."""

AS_WRITTEN = "use a card of protocol 3, as it was written"
IMPORTED = "write rows as docs/your-own-cell.md says"
"""What to do with a file that is not valid."""


def read_rows(path: Path, imported: bool = False) -> list[Row]:
    """The rows of a card, of which the last line may be unfinished; none where there is no file.

    Imported rows are those of another program: their file is there, and whole. StorageError, one
    sentence with the line and the key, for a row that is not valid, that is there twice, or that
    does not fit the rows before it.
    """
    if not (imported or path.exists()):
        return []
    fix = IMPORTED if imported else AS_WRITTEN
    lines = atomic_files.read_bytes(path, ROWS_LIMIT, fix=fix).split(b"\n")
    rows: list[Row] = []
    runs, pairs = set(), None
    for number, line in enumerate(lines if imported else lines[:-1], 1):
        if imported and not line:
            continue
        row = decoded(f"{path}:{number}", line, Row, fix)
        wrong = fault_of(row)
        run = (row.seed, configuration_of(row))
        if run in runs:
            wrong = f"seed {row.seed} {run[1].question} is there twice"
        if isinstance(row, KeyRow) and row.pairs != (pairs := pairs or row.pairs):
            wrong = "pairs are not those of the rows before"
        if wrong:
            raise StorageError(None, f"{path}:{number}", f"is not valid ({wrong})", fix)
        runs.add(run)
        rows.append(row)
    return rows


def fault_of(row: Row) -> str:
    """The key of a row whose values the protocol cannot give, and why; "" for a valid row."""
    if (row.validation is None) != (row.final is None):
        return "final is null on one data set alone"
    if not isinstance(row, KeyRow):
        return ""
    if tuple(row.pairs) != PAIRS[: len(row.pairs)]:
        return f"pairs do not begin {', '.join(map(str, PAIRS))}"
    if row.asked != [RECALLS * pairs for pairs in row.pairs]:
        return f"asked are not {RECALLS} times the pairs"
    for name in ("validation", "final"):
        right = getattr(row, name)
        counts = right is None or len(right) == len(row.asked)
        if not counts or any(map(int.__gt__, right or (), row.asked)):
            return f"{name} are not as many right answers as pairs, or above asked"
    return ""


def decoded(place: object, data: bytes, kind: Any, fix: str = AS_WRITTEN) -> Any:
    """JSON as a type of a card; StorageError names the place, the field and the rule."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise StorageError(None, place, f"is not valid ({error})", fix) from error
