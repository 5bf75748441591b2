"""The user's own numbers: columns of CSV files, the vocabulary of their values, readers of tokens.

A word is a value as it was spelled; a token is the index of its value in the vocabulary.
"""

import bisect
import codecs
import contextlib
import csv
import dataclasses
import difflib
import io
import itertools
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from echo_jax.config import LARGEST, RunConfig, TaskConfig
from echo_jax.exceptions import ConfigError
from echo_jax.runs.vocabulary import (
    _TOO_LONG_RULE,
    LONGEST,
    UNSEEN,
    Unknown,
    Vocabulary,
    _decoded,
    encode,
    listed,
    shown,
    unseen_sentence,
)

_TOO_LONG = -2
_SPELLINGS = 2**17
_NUMBER = re.compile(r"[+-]?[0-9]*[.]?[0-9]+")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


class Column(NamedTuple):
    """A column of a CSV file: its name, its cells, and the line of the file that each is in."""

    name: str
    words: list[str]
    lines: list[int]


class Tokenized(NamedTuple):
    """A column ready to train on: configuration, vocabulary, and the tokens int32 `[M]`."""

    config: RunConfig
    vocabulary: Vocabulary
    tokens: np.ndarray


class InputError(ConfigError):
    """A word of the input that cannot be read, with the tokens of the words before it."""

    def __init__(self, sentence: str, tokens: np.ndarray) -> None:
        """Hold the tokens, int32 `[N]`, that were complete before the word."""
        super().__init__(sentence)
        self.tokens = tokens


class Occurrences(NamedTuple):
    """How often a value occurs in a column, and in what share of it."""

    value: int | str
    token: int
    occurrences: int
    share: float


def read_column(path: Path, column: str | None = None) -> Column:
    """Read a column of a CSV file (UTF-8; separated by commas, semicolons or tabs).

    Args:
      path: a regular file whose first line names the columns.
      column: the name of one; None where there is just one.

    Raises:
      ConfigError: for a file, a line or a cell that cannot be read, whatever the file holds.
    """
    text = _read_text(path)
    records = _records(path, text)
    _, header = next(records)
    names = [name.strip() for name in header]
    place = _place(path, names, column)
    result = Column(names[place], [], [])
    for first_line, cells in records:
        line = first_line + sum(len(_LINE_BREAK.findall(cell)) for cell in cells[:place])
        if fault := _fault(cells, names, place):
            raise ConfigError(f"file {path} line {line} {fault}")
        result.words.append(cells[place].strip())
        result.lines.append(line)
    if not result.words:
        raise ConfigError(f"file {path} has column names and no values: add a line for each value")
    return result


def tokenize(config: RunConfig) -> Tokenized:
    """Read the column that a configuration names; ConfigError where it cannot be trained on.

    Returns:
      The configuration with the name of the column and the number of its values, these values,
      and the column as tokens.
    """
    task, data = config.task, config.data
    column = read_column(Path(str(data.csv)), data.column)
    with _about(f"column {column.name} of {data.csv}"):
        vocabulary = Vocabulary.of_words(column.words)
    if task.vocab_size not in (TaskConfig.vocab_size, len(vocabulary)):
        raise ConfigError(
            f"vocab size {task.vocab_size} is not that of the column, which has "
            f"{len(vocabulary)} different values: leave --vocab-size out"
        )
    tokens = encode(vocabulary, column.words)
    with _about(f"column {column.name} of {data.csv}"):
        split(tokens, task.length, data.held_out)  # refuses a column that is too short
    known = dataclasses.replace(
        config,
        task=dataclasses.replace(task, vocab_size=len(vocabulary)),
        data=dataclasses.replace(data, column=column.name),
    )
    return Tokenized(known, vocabulary, tokens)


@contextlib.contextmanager
def _about(what: str) -> Iterator[None]:
    """Say what a ConfigError within it is about."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None


class TokenReader:
    """Reads endless input, in blocks cut anywhere, as tokens; its memory does not grow.

    feed(b"3 14")  ->  3        14 may go on
    feed(b"15 9")  ->  1415
    finish()       ->  9
    """

    def __init__(self, vocabulary: Vocabulary, unknown: Unknown = "error") -> None:
        """Start at line 1; a value without a token raises, or is skipped as UNSEEN."""
        self._vocabulary = vocabulary
        self._tokens = _Spellings(vocabulary)
        self._refused = UNSEEN if unknown == "error" else _TOO_LONG
        self._partial = b""
        self._line = 1

    def feed(self, data: bytes) -> np.ndarray:
        """The tokens, int32 `[N]`, of the words that ASCII whitespace completed by now.

        Raises:
          InputError: for a value without a token or of more than LONGEST characters. It holds the
            tokens before that word; the reader is then at its end.
        """
        block = self._partial + data
        words = block.split()
        complete = not words or block[-1:].isspace() or _is_too_long(words[-1])
        self._partial = b"" if complete else words.pop()
        tokens = np.fromiter(map(self._tokens.__getitem__, words), np.int32, len(words))
        refused = np.flatnonzero(tokens <= self._refused)
        if refused.size:
            at = int(refused[0])
            raise InputError(self._refusal(block, at), tokens[:at])
        self._line += block.count(b"\n")
        return tokens

    def finish(self) -> np.ndarray:
        """The token of the last word, int32 `[0 or 1]`, which the end of the input completes."""
        return self.feed(b" ")

    def _refusal(self, block: bytes, at: int) -> str:
        """The sentence for the word at an index of a block."""
        match = next(itertools.islice(re.finditer(rb"\S+", block), at, None))
        line = self._line + block.count(b"\n", 0, match.start())
        place = f"in line {line} of the input"
        word = _decoded(match[0])
        if _is_too_long(match[0]):
            return f"value {shown(word)} {place} {_TOO_LONG_RULE}"
        return unseen_sentence(self._vocabulary, word, place)


def split(tokens: np.ndarray, length: int, held_out: float) -> tuple[np.ndarray, np.ndarray]:
    """Cut a column in two: the part to train on, and the last share of it, held out.

    Args:
      tokens: `[N]`.
      length: of a sequence; both parts must hold one.
      held_out: share of the column, above 0 and below 1.
    """
    if not 0 < held_out < 1:
        raise ConfigError(f"held-out {held_out} is not above 0 and below 1: use one such as 0.1")
    held = round(len(tokens) * held_out)
    if min(held, len(tokens) - held) < length:
        raise ConfigError(_too_short(len(tokens), length, held_out))
    return tokens[: len(tokens) - held], tokens[len(tokens) - held :]


def most_common(tokens: np.ndarray, vocabulary: Vocabulary, count: int = 10) -> list[Occurrences]:
    """The most frequent values among tokens `[N]`, skipped ones aside; ties in order of token."""
    seen = tokens[tokens != UNSEEN]
    occurrences = np.bincount(seen, minlength=len(vocabulary))
    order = np.argsort(-occurrences, kind="stable")[: min(count, np.count_nonzero(occurrences))]
    return [
        Occurrences(vocabulary.value(token), token, times, times / len(seen))
        for token, times in zip(order.tolist(), occurrences[order].tolist(), strict=True)
    ]


class _Spellings(dict[bytes, int]):
    """The tokens of the spellings met, UNSEEN or _TOO_LONG included; emptied when it is full."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._vocabulary = vocabulary

    def __missing__(self, word: bytes) -> int:
        if _is_too_long(word):
            return _TOO_LONG
        if len(self) >= _SPELLINGS:
            self.clear()
        token = self._vocabulary.token(_decoded(word))
        self[word] = UNSEEN if token is None else token
        return self[word]


def _is_too_long(word: bytes) -> bool:
    """Whether a word, or a part of one with its last character cut, has too many characters."""
    return len(word) > LONGEST and len(word.decode(errors="replace")) > LONGEST


def _read_text(path: Path) -> str:
    """The text of a UTF-8 file, a byte order mark and blank lines at the end left off."""
    data = _read_regular(path).removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = len(re.findall(rb"\r\n|\r|\n", data[: error.start])) + 1
        raise ConfigError(
            f"file {path} line {line} is not UTF-8 (byte 0x{data[error.start]:02x}): "
            "save the file as UTF-8"
        ) from None
    if "\0" in text:
        line = len(_LINE_BREAK.findall(text[: text.index("\0")])) + 1
        raise ConfigError(f"file {path} line {line} has a NUL byte: save the file as UTF-8 text")
    if not text.strip():
        raise ConfigError(f"file {path} is empty: use one with column names and values")
    return text.rstrip(" \r\n")


def _read_regular(path: Path) -> bytes:
    """The bytes of a regular file; a pipe or a device, which may never end, is not opened."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"file {path} does not exist: use the name of a CSV file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "there is a NUL in its name"
        raise ConfigError(
            f"file {path} cannot be read ({reason}): use a file you may read"
        ) from error
    kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device, not a regular file"
    raise ConfigError(f"file {path} is {kind}: use the name of a CSV file")


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record of a CSV text with the line that it begins in; ConfigError for bad quoting."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=_separator(text), strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(
            f"file {path} line {line} is not CSV ({error}): mend the quotes of the cell"
        ) from None


def _separator(text: str) -> str:
    """The one of comma, semicolon and tab that the first line has most of, outside quotes."""
    header = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return max(",;\t", key=re.sub(r'"[^"]*("|$)', "", header).count)


def _place(path: Path, names: list[str], column: str | None) -> int:
    """The index of the column asked for; ConfigError unless there is exactly one such."""
    if not any(names):
        raise ConfigError(f"file {path} line 1 is blank: name the columns there")
    if column is None and len(names) > 1:
        raise ConfigError(
            f"file {path} has {len(names)} columns: use --column with one of {listed(names)}"
        )
    if column is None and _NUMBER.fullmatch(names[0]):
        raise ConfigError(
            f"file {path} line 1 has the number {shown(names[0])} where the name of the column "
            "belongs: add a line with a name above it"
        )
    column = names[0] if column is None else column.strip()
    if names.count(column) > 1:
        raise ConfigError(
            f"file {path} has {names.count(column)} columns named {shown(column)}: rename one"
        )
    if column not in names:
        close = difflib.get_close_matches(column, names, n=1)
        others = [name for name in names if name not in close]
        raise ConfigError(
            f"file {path} has no column {shown(column)}: use one of {listed(close + others)}"
        )
    return names.index(column)


def _fault(cells: list[str], names: list[str], place: int) -> str | None:
    """What is wrong with a record, as the end of a sentence on its line."""
    name = shown(names[place])
    if len(cells) <= place:
        return (
            f"has {len(cells)} cell{'s' * (len(cells) != 1)}, none of them in column {name} "
            f"(number {place + 1}): add what is missing or remove the line"
        )
    if any(cells[len(names) :]):
        return (
            f"has {len(cells)} cells, but line 1 names {len(names)}: "
            "put a cell that contains the separator in double quotes"
        )
    word = cells[place].strip()
    if not word:
        return f"has an empty cell in column {name}: fill it or remove the line"
    if len(word) > LONGEST:
        return f"has in column {name} the value {shown(word)}, which {_TOO_LONG_RULE}"
    return None


def _too_short(total: int, length: int, held_out: float) -> str:
    """The sentence for a part shorter than a sequence; each number in it works alone."""

    def fits(count: int) -> bool:
        held = round(count * held_out)
        return min(held, count - held) >= length

    held = round(total * held_out)
    enough = bisect.bisect_left(range(LARGEST), True, key=fits)
    fixes = []
    if min(held, total - held) > 0:
        fixes.append(f"--length {min(held, total - held)}")
    if total >= 2 * length:
        fixes.append(f"--held-out {_share(length if held < length else total - length, total)}")
    if enough < LARGEST:
        fixes.append(f"at least {enough} values")
    if not fixes:
        fixes.append(f"--held-out 0.5 with at least {2 * length} values")
    return (
        f"{total} value{'s' * (total != 1)} with --held-out {held_out} give {total - held} to "
        f"train on and {held} held out, which must both be at least --length {length}: "
        f"use {', '.join(fixes[:-1])}{' or ' * (len(fixes) > 1)}{fixes[-1]}"
    )


def _share(count: int, total: int) -> float:
    """The shortest decimal that is the share of so many values: 25 of 99 give 0.25."""
    shares = (round(count / total, digits) for digits in range(1, 18))
    return next(share for share in shares if round(total * share) == count)
