"""The user's own numbers: a column of a CSV file, or words that arrive as a stream of bytes.

A word is a value as it was spelled; `vocabulary` has its token.
"""

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from echo_jax import machine
from echo_jax.config import RunConfig, TaskConfig, changed
from echo_jax.exceptions import ConfigError, shown
from echo_jax.runs.run_folder import RunSpec, column_inputs
from echo_jax.runs.vocabulary import LONGEST, Vocabulary, encode, listed

COPIES = 6  # as bytes, as text, as text to be split (4 bytes a character)


class Column(NamedTuple):
    """A column of a CSV file: its name, its cells, and the line of the file that each is in."""

    name: str
    words: list[str]
    lines: list[int]


def read_column(path: Path, column: str | None = None) -> Column:
    """Read a column of a CSV file (UTF-8; separated by commas, semicolons or tabs).

    Its first line names the columns; `column` is None where there is only one. ConfigError names
    a record that spans several lines by its first.
    """
    text = _read_text(path)
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
        raise ConfigError(None, f"{path} line {line}", rule, "correct its quotes") from None
    if not result.words:
        raise ConfigError(None, path, "has no values", "add a line for each")
    return result


def read_inputs(config: RunConfig) -> RunSpec:
    """The inputs of a new run on the column that the configuration names.

    Their configuration has the name of the column and the number of its values. ConfigError
    where the column cannot be read, or is too short or too uniform to train on.
    """
    task, data = config.task, config.data
    column = read_column(Path(str(data.csv)), data.column)
    try:
        vocabulary = Vocabulary.of_words(column.words)
        if task.vocab_size not in (TaskConfig.vocab_size, len(vocabulary)):
            rule = f"is not the number of different values, {len(vocabulary)}"
            raise ConfigError("vocab_size", task.vocab_size, rule, "leave it out")
        complete = changed(config, vocab_size=len(vocabulary), column=column.name)
        inputs = column_inputs(complete, list(vocabulary.values), encode(vocabulary, column.words))
        inputs.corpus()  # refuses a column that is too short
    except ConfigError as error:
        rule = f"{error.rule} (column {column.name} of {data.csv})"
        raise ConfigError(error.field, error.value, rule, error.fix) from None
    return inputs


def words_of(blocks: Iterable[bytes]) -> Iterator[list[str]]:
    """The words of a stream that comes in blocks cut anywhere, once whitespace has ended them.

    b"3 14", b"15 9"  ->  ["3"], ["1415"], ["9"]

    Memory does not grow: of a word that is longer than any value, only the beginning is kept.
    """
    partial = b""
    for block in itertools.chain(blocks, [b" "]):
        *words, partial = re.split(rb"\s+", partial + block)
        partial = partial[: 4 * LONGEST + 1]
        yield [word.decode(errors="surrogateescape") for word in words if word]


def _read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark and blank lines at the end."""
    try:
        if not path.is_file():  # a pipe or a device may never end
            rule = "does not exist or is not a regular file"
            raise ConfigError(None, path, rule, "use the name of a CSV file")
        machine.check_memory(COPIES * path.stat().st_size)
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        rule = f"cannot be read ({error.strerror})"
        raise ConfigError(None, path, rule, "use a file you may read") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        where = f"{path} line {line}"
        raise ConfigError(None, where, "is not UTF-8", "save the file as UTF-8") from None
    if not text.strip():
        raise ConfigError(None, path, "is empty", "use one with column names and values")
    return text.rstrip(" \r\n")


def _place(path: Path, names: list[str], column: str | None) -> int:
    """The index of the column asked for; ConfigError unless there is exactly one such."""
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
        rule = f"has {len(cells)} cells, but line 1 names {len(names)}"
        fix = "put a cell that contains the separator in double quotes"
        raise ConfigError(None, where, rule, fix)
    if len(cells) <= place or not cells[place].strip():
        rule = f"has no value in column {shown(names[place])}"
        raise ConfigError(None, where, rule, "fill it or remove the line")
