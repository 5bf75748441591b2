"""Give tokens to the user's own values: the token of a value is its index in the vocabulary.

A word is a value as the file spells it.
"""

import dataclasses
import difflib
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from echo_jax.config import CONTROL
from echo_jax.exceptions import ConfigError, shown

Unknown = Literal["error", "skip"]

UNSEEN = -1
"""The number among tokens that stands for a skipped value."""

LONGEST = 100
"""The most characters of a value."""

_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The different values of a column, in the order of their tokens.

    words   7 007 -0 3 +7 7.0 -12
    values  -12 0 3 7
    tokens    0 1 2 3

    Whole numbers are sorted as numbers, and 007, +7, 7.0 and 7 are one value. If one value is not a
    whole number, all values are text, sorted as text.
    """

    values: tuple[str, ...]
    """At least two values, each once and in its shortest spelling."""
    untrained: frozenset[int] = frozenset()
    """Tokens that no network was trained on, so that their values are unknown words."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless there are two or more values, and each of them is valid.

        A valid value has 1 to LONGEST characters, none of them a control character or a surrogate.
        It is one space, or neither begins nor ends with white space.
        """
        if len(self.values) < 2:
            one = f"of one value, {shown(self.values[0])}," if self.values else "without values"
            fix = "use at least 2 different values"
            raise ConfigError(None, f"vocabulary {one}", "is too small", fix)
        for value in self.values:
            _check(value)

    @classmethod
    def of_words(cls, words: Iterable[str]) -> "Vocabulary":
        """Return the vocabulary of all different values among `words`.

        Raises ConfigError if a value is not valid, or if there are fewer than two different values.
        """
        distinct = set(map(_bare, set(words)))
        for word in sorted(distinct):
            _check(word)
        if all(map(_WHOLE.fullmatch, distinct)):
            return cls(tuple(sorted(set(map(_shortest, distinct)), key=int)))
        return cls(tuple(sorted(distinct)))

    def __len__(self) -> int:
        """Return the number of values, V."""
        return len(self.values)

    @functools.cached_property
    def is_whole(self) -> bool:
        """True if every value is a whole number without a point, as `of_words` spells it."""
        return all(re.fullmatch(r"[+-]?[0-9]+", value) for value in self.values)

    @functools.cached_property
    def _tokens(self) -> Mapping[str, int]:
        known = set(range(len(self))) - self.untrained
        return {self.values[token]: token for token in sorted(known)}

    def token(self, word: str) -> int | None:
        """Return the token of `word`, spaces around it ignored, or None for an unknown value."""
        word = _bare(word)
        if len(word) > LONGEST:
            return None
        return self._tokens.get(_shortest(word) if self.is_whole else word)

    def unknown(self, word: str, place: str) -> ConfigError:
        """Return the error for `word`, at `place`, which has no token.

        If the values are text, the error suggests the nearest spelling, unless none is near.
        """
        rule = "occurs only in the held-out values, so no network was trained on it"
        if dataclasses.replace(self, untrained=frozenset()).token(word) is None:
            rule = f"is not in the vocabulary ({self})"
        fix = "use {unknown=skip} to leave out such values"
        if not self.is_whole and len(word) <= LONGEST:
            folded = {value.casefold(): value for value in self._tokens}
            for near in difflib.get_close_matches(word.strip().casefold(), folded, 1):
                fix = f"use {shown(folded[near])}, or {fix.removeprefix('use ')}"
        return ConfigError(None, f"value {shown(word)} {place}", rule, fix)

    def value(self, token: int) -> int | str:
        """Return the value of a token: an integer if all values are whole, or else a text."""
        return int(self.values[token]) if self.is_whole else self.values[token]

    def __str__(self) -> str:
        """Return the range of the values if they are whole without gaps, or else a few examples."""
        first = self.value(0)
        last = self.value(-1)
        if isinstance(first, int) and isinstance(last, int) and last - first == len(self) - 1:
            return f"the whole numbers {first} to {last}"
        return f"{len(self)} values: {listed(self.values, 3)}"


def encode(
    vocabulary: Vocabulary,
    words: Sequence[str],
    unknown: Unknown = "error",
    place: Callable[[int], str] = "at position {}".format,
) -> np.ndarray:
    """Return the tokens of N words, int32 `[N]`.

    If a word has no token, `unknown` decides: skip gives the number UNSEEN, and error raises
    ConfigError. The error contains `place(i)` for the i-th word, counted from 1.
    """
    tokens = {word: vocabulary.token(word) for word in set(words)}
    if unknown == "error" and None in tokens.values():
        number, word = next(x for x in enumerate(words, 1) if tokens[x[1]] is None)
        raise vocabulary.unknown(word, place(number))
    numbers = {word: UNSEEN if token is None else token for word, token in tokens.items()}
    return np.fromiter(map(numbers.__getitem__, words), np.int32, len(words))


def listed(words: Sequence[str], limit: int = 10) -> str:
    """Return the first `limit` words in quotes, and how many more there are."""
    rest = f" and {len(words) - limit} more" if len(words) > limit else ""
    return ", ".join(map(shown, words[:limit])) + rest


def _bare(word: str) -> str:
    """Return `word` without white space around it; white space alone becomes one space."""
    return word.strip() or (" " if word else "")


def _shortest(word: str) -> str:
    """Return `word` in its shortest ASCII spelling if it is a whole number, or else unchanged."""
    if not _WHOLE.fullmatch(word):
        return word
    digits = word.partition(".")[0].lstrip("+-").lstrip("0") or "0"
    return f"-{digits}" if word[0] == "-" and digits != "0" else digits


def _check(value: str) -> None:
    if len(value) > LONGEST:
        rule = f"is longer than {LONGEST} characters"
        raise ConfigError(None, f"value {shown(value)}", rule, "use a shorter value")
    if not value or value != _bare(value) or re.search(f"{CONTROL}|[\ud800-\udfff]", value):
        rule = (
            "is blank, begins or ends with white space, or contains a control character or half of "
            "a surrogate pair"
        )
        raise ConfigError(None, f"value {shown(value)}", rule, "correct the value or remove it")
