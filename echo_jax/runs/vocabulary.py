"""Values and their tokens: the token of a value is its index in the vocabulary."""

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from echo_jax.config import CONTROL
from echo_jax.exceptions import ConfigError

Unknown = Literal["error", "skip"]


UNSEEN = -1
"""Stands for a skipped word among tokens."""


LONGEST = 100
"""Characters that a value may have."""


_TOO_LONG_RULE = f"is longer than {LONGEST} characters: use a shorter one"


_NAMES_LISTED = 10


_WHOLE = re.compile(r"[+-]?[0-9]+")


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
            found = f"the one value {shown(self.values[0])}" if self.values else "no value"
            raise ConfigError(f"a vocabulary of {found} is too small: use 2 different values")
        _check_values(self.values)
        pairs = itertools.zip_longest(self.values, _canonical(self.values))
        wrong = next((value for value, expected in pairs if value != expected), None)
        if wrong is not None:
            raise ConfigError(
                f"vocabulary value {shown(wrong)} is there twice, out of order or not in its "
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
        return f"{len(self)} values: {listed(self.values, limit=3)}"


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
        raise ConfigError(unseen_sentence(vocabulary, words[at], place))
    known = {word: UNSEEN if token is None else token for word, token in token_of.items()}
    return np.fromiter(map(known.__getitem__, words), np.int32, len(words))


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
            raise ConfigError(f"vocabulary value {shown(value)} {_TOO_LONG_RULE}")
        if not value or value != value.strip():
            raise ConfigError(
                f"vocabulary value {shown(value)} is blank or has blanks around it: leave them out"
            )
        if re.search(f"{CONTROL}|[\ud800-\udfff]", value):
            raise ConfigError(
                f"vocabulary value {shown(value)} has a control character, or one that text in "
                "UTF-8 has not: leave it out"
            )


def shown(word: str, limit: int = 40) -> str:
    """A word in quotes, on one line, its end left off where it is long."""
    return repr(word if len(word) <= limit else word[:limit] + "...")


def listed(words: Sequence[str], limit: int = _NAMES_LISTED) -> str:
    """The first few words in quotes, and how many more there are."""
    rest = f" and {len(words) - limit} more" if len(words) > limit else ""
    return ", ".join(map(shown, words[:limit])) + rest


def unseen_sentence(vocabulary: Vocabulary, word: str, place: str) -> str:
    """The refusal of a word without a token."""
    return (
        f"value {shown(word)} {place} is not in the vocabulary ({vocabulary}): "
        "use --unknown skip to leave out such values"
    )
