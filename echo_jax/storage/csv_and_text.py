"""Read the user's own values from a column of a CSV file, a text or a stream.

The readers raise ConfigError for a file that cannot be read.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from echo_jax import machine
from echo_jax.exceptions import ConfigError, shown
from echo_jax.storage.vocabulary import LONGEST, listed

COPIES = 6  # as bytes, as text, as text to be split (4 bytes a character)


class Column(NamedTuple):
    """A column of a CSV file.

    name   the name of the column
    words  the words, in the order of the file
    lines  for each word, the number of the line of the file, counted from 1
    """

    name: str
    words: list[str]
    lines: list[int]


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, with each run of white space as one space.

    White space at both ends is removed.
    """
    return single_spaced(_some(path)).strip()


def single_spaced(text: str) -> str:
    """Return the text with each run of white space as one space."""
    return re.sub(r"\s+", " ", text)


def read_column(path: Path, column: str | None = None) -> Column:
    """Return a column of a CSV file in UTF-8, separated by commas, semicolons or tabs.

    The first line of the file names the columns. `column` is the name of the column, or None if the
    file has only one column.
    """
    text = _some(path).rstrip(" \r\n")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        names = [name.strip() for name in next(reader)]
        place = _place(path, names, column)
        result = Column(names[place], [], [])
        line = reader.line_num + 1
        for cells in reader:
            _check_record(f"{path} line {line}", cells, names, place)
            result.words.append(cells[place].strip())
            result.lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        rule = f"is not CSV ({error})"
        raise ConfigError(
            None, f"{path} line {line}", rule, "correct its quotes, or shorten the value"
        ) from None
    if not result.words:
        raise ConfigError(None, path, "has no values", "add a line for each value")
    return result


def words_of(blocks: Iterable[bytes]) -> Iterator[list[str]]:
    """Yield lists of words from a stream of blocks, each as soon as white space ends its words.

        b"3 14", b"15 9"  ->  ["3"], ["1415"], ["9"]

    Memory does not grow: of a word that is longer than any value, only the beginning is kept.
    """
    partial = b""
    for block in itertools.chain(blocks, [b" "]):
        *words, partial = re.split(rb"\s+", partial + block)
        partial = partial[: 4 * LONGEST + 1]
        yield [word.decode(errors="surrogateescape") for word in words if word]


def content(path: Path) -> str:
    """Return the text of a UTF-8 file, without a byte order mark."""
    try:
        if not path.is_file():  # a pipe or a device may never end
            rule = "does not exist or is not a regular file"
            raise ConfigError(None, path if path.name else "''", rule, "use the name of a file")
        machine.check_memory(COPIES * path.stat().st_size, "use a smaller file")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        rule = f"cannot be read ({error.strerror})"
        raise ConfigError(None, path, rule, "use a file you may read") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        where = f"{path} line {line}"
        raise ConfigError(None, where, "is not UTF-8", "save the file as UTF-8") from None


def _some(path: Path) -> str:
    """Return the text of a UTF-8 file; raise ConfigError if it holds no value."""
    text = content(path)
    if not text.strip():
        raise ConfigError(None, path, "is empty", "use a file with values")
    return text


def _place(path: Path, names: list[str], column: str | None) -> int:
    if not any(names):
        raise ConfigError(None, f"{path} line 1", "is blank", "name the columns there")
    choice = f"use {{column}} with one of {listed(names)}"
    if column is None and len(names) > 1:
        raise ConfigError(None, path, f"has {len(names)} columns", choice)
    if column is None and re.fullmatch(r"[+-]?[0-9]*[.]?[0-9]+", names[0]):
        rule = f"has the number {shown(names[0])} where the name of the column belongs"
        raise ConfigError(None, f"{path} line 1", rule, "add a line with a name above it")
    column = names[0] if column is None else column.strip()
    if names.count(column) > 1:
        rule = f"names {names.count(column)} columns of {path}"
        raise ConfigError("column", column, rule, "give one of them another name")
    if column not in names:
        raise ConfigError("column", column, f"is not in {path}", choice)
    return names.index(column)


def _check_record(where: str, cells: list[str], names: list[str], place: int) -> None:
    if any(cells[len(names) :]):
        rule = f"has {len(cells)} cells, but line 1 names {len(names)} columns"
        fix = "put a cell that contains the separator in double quotes"
        raise ConfigError(None, where, rule, fix)
    if len(cells) <= place or not cells[place].strip():
        rule = f"has no value in column {shown(names[place])}"
        raise ConfigError(None, where, rule, "add the value, or remove the line")
