"""The user's own numbers: columns of CSV files, the vocabulary of their values, readers of tokens.

A word is a value as it was spelled; a token is the index of its value in the vocabulary.
"""

import bisect
import codecs
import contextlib
import csv
import dataclasses
import difflib
import functools
import io
import itertools
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from echo_jax.config import CONTROL, LARGEST, RunConfig, TaskConfig
from echo_jax.exceptions import ConfigError

Unknown = Literal["error", "skip"]

UNSEEN = -1
"""Stands for a skipped word among tokens."""

LONGEST = 100
"""Characters that a value may have."""

_TOO_LONG = -2
_TOO_LONG_RULE = f"is longer than {LONGEST} characters: use a shorter one"
_SPELLINGS = 2**17
_NAMES_LISTED = 10
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?[0-9]*[.]?[0-9]+")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The different values that there are; the token of a value is its index.

    words   7 007 -0 3 +7 -12
    values  -12 0 3 7
    tokens    0 1 2 3
    """

    values: tuple[str, ...]
    """Canonical spellings, two at least, in the order of numbers if all are whole, else of text."""

    def __post_init__(self) -> None:
        """Raise ConfigError for values that `of_words` would spell or order in another way."""
        if len(self.values) < 2:
            found = f"the one value {_shown(self.values[0])}" if self.values else "no value"
            raise ConfigError(f"a vocabulary of {found} is too small: use 2 different values")
        _check_values(self.values)
        pairs = itertools.zip_longest(self.values, _canonical(self.values))
        wrong = next((value for value, expected in pairs if value != expected), None)
        if wrong is not None:
            raise ConfigError(
                f"vocabulary value {_shown(wrong)} is there twice, out of order or not in its "
                "shortest spelling: use a list that to_list wrote"
            )

    @classmethod
    def of_words(cls, words: Iterable[str]) -> "Vocabulary":
        """The vocabulary of all the different values among words."""
        distinct = list(dict.fromkeys(map(str.strip, dict.fromkeys(words))))
        _check_values(distinct)
        return cls(_canonical(distinct))

    @classmethod
    def of_integers(cls, vocab_size: int) -> "Vocabulary":
        """The integers 0 .. vocab_size-1, each its own token."""
        return cls(tuple(map(str, range(vocab_size))))

    @classmethod
    def from_list(cls, values: object) -> "Vocabulary":
        """The inverse of `to_list`; ConfigError for anything that it cannot have written."""
        if not isinstance(values, list):
            raise ConfigError(
                f"vocabulary is of type {type(values).__name__}, not a list: "
                "use one that to_list wrote"
            )
        for place, value in enumerate(values, start=1):
            if not isinstance(value, str):
                raise ConfigError(
                    f"vocabulary value number {place} is of type {type(value).__name__}, "
                    "not a text: use a list that to_list wrote"
                )
        return cls(tuple(values))

    def to_list(self) -> list[str]:
        """The values in the order of their tokens, ready for JSON."""
        return list(self.values)

    def __len__(self) -> int:
        """How many values there are, V."""
        return len(self.values)

    @functools.cached_property
    def is_whole(self) -> bool:
        """Whether every value is a whole number, so that 007, +7 and 7 are one value."""
        return _all_whole(self.values)

    @functools.cached_property
    def _tokens(self) -> Mapping[str, int]:
        return {value: token for token, value in enumerate(self.values)}

    def token(self, word: str) -> int | None:
        """The token of a word, spaces around it aside; None for a value that is not there."""
        word = word.strip()
        return self._tokens.get(_whole(word) if self.is_whole else word)

    def value(self, token: int) -> int | str:
        """The value of a token: an integer if all values are whole numbers, else text."""
        return int(self.values[token]) if self.is_whole else self.values[token]

    def __str__(self) -> str:
        """A short description: the range of whole numbers without gaps, or a few examples."""
        first, last = self.value(0), self.value(-1)
        if isinstance(first, int) and isinstance(last, int) and last - first == len(self) - 1:
            return f"the whole numbers {first} to {last}"
        return f"{len(self)} values: {_listed(self.values, limit=3)}"


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


def encode(
    vocabulary: Vocabulary,
    words: Sequence[str],
    lines: Sequence[int] | None = None,
    unknown: Unknown = "error",
) -> np.ndarray:
    """The tokens of words, int32 `[N]`, where N is their number.

    Args:
      vocabulary: the values that have a token.
      words: values in any spelling.
      lines: the line of each word, to name it by; None to name its position, counted from 1.
      unknown: what a value without a token does: raise ConfigError, or be skipped as UNSEEN.
    """
    token_of = {word: vocabulary.token(word) for word in set(words)}
    unseen = {word for word, token in token_of.items() if token is None}
    if unseen and unknown == "error":
        at = next(i for i, word in enumerate(words) if word in unseen)
        place = f"at position {at + 1}" if lines is None else f"in line {lines[at]}"
        raise ConfigError(_unseen(vocabulary, words[at], place))
    known = {word: UNSEEN if token is None else token for word, token in token_of.items()}
    return np.fromiter(map(known.__getitem__, words), np.int32, len(words))


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
            return f"value {_shown(word)} {place} {_TOO_LONG_RULE}"
        return _unseen(self._vocabulary, word, place)


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


def _decoded(word: bytes) -> str:
    """Text that is in no vocabulary where the bytes are not UTF-8: lone surrogates are refused."""
    return word.decode(errors="surrogateescape")


def _whole(word: str) -> str:
    """The shortest spelling of a whole number in ASCII digits; any other word as it is."""
    if not _WHOLE.fullmatch(word):
        return word
    digits = word.lstrip("+-").lstrip("0") or "0"
    return f"-{digits}" if word[0] == "-" and digits != "0" else digits


def _all_whole(words: Iterable[str]) -> bool:
    return all(map(_WHOLE.fullmatch, words))


def _canonical(words: Sequence[str]) -> tuple[str, ...]:
    """The different values among words of at most LONGEST characters, in order."""
    if _all_whole(words):
        return tuple(sorted(set(map(_whole, words)), key=int))
    return tuple(sorted(set(words)))


def _check_values(values: Iterable[str]) -> None:
    for value in values:
        if len(value) > LONGEST:
            raise ConfigError(f"vocabulary value {_shown(value)} {_TOO_LONG_RULE}")
        if not value or value != value.strip():
            raise ConfigError(
                f"vocabulary value {_shown(value)} is blank or has blanks around it: leave them out"
            )
        if re.search(f"{CONTROL}|[\ud800-\udfff]", value):
            raise ConfigError(
                f"vocabulary value {_shown(value)} has a control character, or one that text in "
                "UTF-8 has not: leave it out"
            )


def _shown(word: str, limit: int = 40) -> str:
    """A word in quotes, on one line, its end left off where it is long."""
    return repr(word if len(word) <= limit else word[:limit] + "...")


def _listed(words: Sequence[str], limit: int = _NAMES_LISTED) -> str:
    rest = f" and {len(words) - limit} more" if len(words) > limit else ""
    return ", ".join(map(_shown, words[:limit])) + rest


def _unseen(vocabulary: Vocabulary, word: str, place: str) -> str:
    return (
        f"value {_shown(word)} {place} is not in the vocabulary ({vocabulary}): "
        "use --unknown skip to leave out such values"
    )


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
            f"file {path} has {len(names)} columns: use --column with one of {_listed(names)}"
        )
    if column is None and _NUMBER.fullmatch(names[0]):
        raise ConfigError(
            f"file {path} line 1 has the number {_shown(names[0])} where the name of the column "
            "belongs: add a line with a name above it"
        )
    column = names[0] if column is None else column.strip()
    if names.count(column) > 1:
        raise ConfigError(
            f"file {path} has {names.count(column)} columns named {_shown(column)}: rename one"
        )
    if column not in names:
        close = difflib.get_close_matches(column, names, n=1)
        others = [name for name in names if name not in close]
        raise ConfigError(
            f"file {path} has no column {_shown(column)}: use one of {_listed(close + others)}"
        )
    return names.index(column)


def _fault(cells: list[str], names: list[str], place: int) -> str | None:
    """What is wrong with a record, as the end of a sentence on its line."""
    name = _shown(names[place])
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
        return f"has in column {name} the value {_shown(word)}, which {_TOO_LONG_RULE}"
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
