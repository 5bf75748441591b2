"""The user's own numbers: a column of a CSV file, or words that arrive as a stream of bytes.

A word is a value as it was spelled; `vocabulary` has its token.
"""

import csv
import functools
import io
import itertools
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from echo_jax import machine
from echo_jax.config import RunConfig, TaskConfig, changed
from echo_jax.exceptions import ConfigError, shown
from echo_jax.runs.run_folder import RunSpec, column_inputs
from echo_jax.runs.vocabulary import (
    LONGEST,
    UNSEEN,
    Unknown,
    Vocabulary,
    encode,
    listed,
    unknown_value,
)

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
            _check_record(f"file {path} line {line}", cells, names, place)
            result.words.append(cells[place].strip())
            result.lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(
            f"file {path} line {line} is not CSV ({error}): correct the quotes of the cell"
        ) from None
    if not result.words:
        raise ConfigError(f"file {path} has column names and no values: add a line for each value")
    return result


def new_inputs(config: RunConfig) -> RunSpec:
    """The inputs of a new run; the column that the configuration names, if any, is read.

    Their configuration then has the name of the column and the number of its values. ConfigError
    where the column cannot be read, or is too short or too uniform to train on.
    """
    task, data = config.task, config.data
    if data.csv is None:
        return RunSpec(config)
    column = read_column(Path(data.csv), data.column)
    try:
        vocabulary = Vocabulary.of_words(column.words)
        if task.vocab_size not in (TaskConfig.vocab_size, len(vocabulary)):
            rule = f"is not the number of different values, {len(vocabulary)}"
            raise ConfigError("vocab_size", task.vocab_size, rule, "leave {vocab_size} out")
        known = changed(config, vocab_size=len(vocabulary), column=column.name)
        inputs = column_inputs(known, list(vocabulary.values), encode(vocabulary, column.words))
        inputs.split()  # refuses a column that is too short
    except ConfigError as error:
        raise error.then(f"this is of column {column.name} of {data.csv}") from None
    return inputs


class InputError(ConfigError):
    """A word of a stream has no token."""

    def __init__(self, sentence: str, tokens: np.ndarray) -> None:
        """Hold the tokens, int32 `[N]`, of the words before it."""
        super().__init__(sentence)
        self.tokens = tokens


class TokenReader:
    """Reads an endless input, in blocks cut anywhere, as tokens; its memory does not grow.

    feed(b"3 14")  ->  3        14 may go on
    feed(b"15 9")  ->  1415
    finish()       ->  9
    """

    def __init__(self, vocabulary: Vocabulary, unknown: Unknown = "error") -> None:
        """Start at line 1; a value without a token raises InputError, or is UNSEEN."""
        self._vocabulary, self._unknown = vocabulary, unknown
        self._token = functools.lru_cache(2**17)(self._look_up)
        self._partial, self._line = b"", 1

    def feed(self, data: bytes) -> np.ndarray:
        """The tokens, int32 `[N]`, of the words that ASCII whitespace has completed by now."""
        block = self._partial + data
        words = block.split()
        self._partial = b""
        if words and not block[-1:].isspace():
            self._partial = words.pop()[: 4 * LONGEST + 1]  # what is longer has no token either
        tokens = np.fromiter(map(self._token, words), np.int32, len(words))
        if self._unknown == "error" and (tokens == UNSEEN).any():
            at = int(np.argmax(tokens == UNSEEN))
            match = next(itertools.islice(re.finditer(rb"\S+", block), at, None))
            line = self._line + block.count(b"\n", 0, match.start())
            word = match[0].decode(errors="surrogateescape")
            sentence = unknown_value(self._vocabulary, word, f"in line {line} of the input")
            raise InputError(sentence, tokens[:at])
        self._line += block.count(b"\n")
        return tokens

    def finish(self) -> np.ndarray:
        """The token of the last word, int32 `[0 or 1]`, which the end of the input completes."""
        return self.feed(b" ")

    def _look_up(self, word: bytes) -> int:
        """The token of a word in UTF-8; UNSEEN where it has none, or more bytes than any value."""
        token = None
        if len(word) <= 4 * LONGEST:
            token = self._vocabulary.token(word.decode(errors="surrogateescape"))
        return UNSEEN if token is None else token


def _read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark and blank lines at the end."""
    try:
        if not path.is_file():  # a pipe or a device may never end
            raise ConfigError(
                f"file {path} does not exist or is not a regular file: use the name of a CSV file"
            )
        size = path.stat().st_size
        if COPIES * size > machine.memory():
            raise ConfigError(
                f"file {path} has {size / 2**30:,.1f} GiB, and reading it takes at least {COPIES} "
                f"times that, of {machine.memory() / 2**30:,.1f}: use a part of the file"
            )
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"file {path} cannot be read ({error.strerror}): use a file you may read"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"file {path} line {line} is not UTF-8: save the file as UTF-8") from None
    if not text.strip():
        raise ConfigError(f"file {path} is empty: use one with column names and values")
    return text.rstrip(" \r\n")


def _place(path: Path, names: list[str], column: str | None) -> int:
    """The index of the column asked for; ConfigError unless there is exactly one such."""
    if not any(names):
        raise ConfigError(f"file {path} line 1 is blank: name the columns there")
    if column is None and len(names) > 1:
        raise ConfigError(
            f"file {path} has {len(names)} columns: use {{column}} with one of {listed(names)}"
        )
    if column is None and re.fullmatch(r"[+-]?[0-9]*[.]?[0-9]+", names[0]):
        raise ConfigError(
            f"file {path} line 1 has the number {shown(names[0])} where the name of the column "
            "belongs: add a line with a name above it"
        )
    column = names[0] if column is None else column.strip()
    if names.count(column) > 1:
        raise ConfigError(
            f"file {path} has {names.count(column)} columns named {shown(column)}: give one "
            "of them another name"
        )
    if column not in names:
        raise ConfigError(
            f"file {path} has no column {shown(column)}: use {{column}} with one of {listed(names)}"
        )
    return names.index(column)


def _check_record(where: str, cells: list[str], names: list[str], place: int) -> None:
    if any(cells[len(names) :]):
        raise ConfigError(
            f"{where} has {len(cells)} cells, but line 1 names {len(names)}: "
            "put a cell that contains the separator in double quotes"
        )
    if len(cells) <= place or not cells[place].strip():
        raise ConfigError(
            f"{where} has no value in column {shown(names[place])}: fill it or remove the line"
        )
