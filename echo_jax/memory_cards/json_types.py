"""What a value of JSON is made of, declared: the kinds, what checks a value, and their tables.

A value may come from a stranger: `fault` finds the first thing in it that is not as declared, and
never raises. `document` writes the declaration down in Markdown. No jax.
"""

import contextlib
import dataclasses
import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from echo_jax.config import CONTROL

LARGEST = 1e39
"""No number of a card is further from 0: 32 bits hold none."""

LARGEST_WHOLE = 2**53
"""Whole numbers up to it are the same in every reader of JSON."""

LONGEST_TEXT = 1000
"""Characters."""

DEEPEST = 8
"""Levels of lists and tables in a value that is not declared further."""


class Leaf(NamedTuple):
    """A value without parts: what it is, in words, and what is one."""

    words: str
    holds: Callable[[Any], bool]


class ListOf(NamedTuple):
    """A list whose entries are all of a kind."""

    each: "Kind"

    @property
    def words(self) -> str:
        """The kind of its entries, and what they stand in."""
        return f"list of: {self.each.words}"


class ByName(NamedTuple):
    """A table with any names, whose values are all of a kind."""

    names: str
    each: "Kind"

    @property
    def words(self) -> str:
        """What its names are, and the kind of its values."""
        return f"by {self.names}: {self.each.words}"


class OrNull(NamedTuple):
    """A kind, or null for what is not there."""

    kind: "Kind"

    @property
    def words(self) -> str:
        """The kind, or null."""
        return f"{self.kind.words}, or null"


class Field(NamedTuple):
    """A field of a table: its kind, and what it says."""

    name: str
    kind: "Kind"
    says: str


Row = dict[str, Any]
"""A JSON object."""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of fields that are all there, and of no others unless it is open."""

    title: str
    fields: tuple[Field, ...]
    is_open: bool = False

    @property
    def words(self) -> str:
        """Where it is described."""
        return f"table, {self.title}"


@dataclasses.dataclass(frozen=True)
class OneOf:
    """A table of fields that are those of its `kind`."""

    kinds: Mapping[str, Table]
    words: str = "table, one of the raw rows"


Kind = Leaf | ListOf | ByName | OrNull | Table | OneOf


def is_whole(value: Any, least: int = 0) -> bool:
    """Whether a value is a whole number from `least`, and no truth value."""
    return type(value) is int and least <= value <= LARGEST_WHOLE


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST


def _is_text(value: Any) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_TEXT
        and not re.search(rf"{CONTROL}|[\ud800-\udfff]", value)
    )


def _is_plain(value: Any, depth: int = DEEPEST) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_is_text(k) and _is_plain(value[k], depth - 1) for k in value)
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(each, depth - 1) for each in value)
    return value is None or isinstance(value, bool) or _is_number(value) or _is_text(value)


def one_of(*words: str) -> Leaf:
    """A text that is one of a few."""
    return Leaf(" or ".join(words), lambda value: value in words)


WHOLE = Leaf("whole number from 0", is_whole)
COUNT = Leaf("whole number from 1", lambda value: is_whole(value, 1))
NUMBER = Leaf("number", _is_number)
POSITIVE = Leaf("number above 0", lambda value: _is_number(value) and value > 0)
SHARE = Leaf("number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
FLAG = Leaf("true or false", lambda value: isinstance(value, bool))
TEXT = Leaf(f"text of one line, at most {LONGEST_TEXT:,} characters", _is_text)
HASH = Leaf(
    "SHA-256 in hexadecimal",
    lambda value: isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value)),
)
NAME = Leaf(
    "text of 1 to 100 letters, digits, `.`, `_` and `-`, the first a letter or digit",
    lambda value: (
        isinstance(value, str) and bool(re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value))
    ),
)


def _is_date(value: str) -> bool:
    """Whether a text is a day of the calendar, as in 2026-02-28."""
    with contextlib.suppress(ValueError):
        return datetime.date.fromisoformat(value).isoformat() == value
    return False


DATE = Leaf(
    "date, year-month-day",
    lambda value: isinstance(value, str) and _is_date(value),
)
PLAIN = Leaf("anything plain: texts, finite numbers, lists and tables of them", _is_plain)
ARGUMENTS = Leaf(
    "table of anything plain", lambda value: isinstance(value, dict) and _is_plain(value)
)


def fault(value: Any, kind: Kind, where: str = "") -> str | None:
    """The first thing in a value that is not as declared: where, what it is, what it should be."""
    match kind:
        case OrNull():
            return None if value is None else fault(value, kind.kind, where)
        case ListOf():
            return _list_fault(value, kind, where)
        case ByName():
            return _by_name_fault(value, kind, where)
        case Table():
            return _table_fault(value, kind, where)
        case OneOf():
            return _one_of_fault(value, kind, where)
    return None if kind.holds(value) else f"{where} is {shown(value)}, not a {kind.words}"


def _list_fault(value: Any, kind: ListOf, where: str) -> str | None:
    if not isinstance(value, list):
        return f"{where} is {shown(value)}, not a list"
    found = (fault(each, kind.each, f"{where}[{i}]") for i, each in enumerate(value))
    return next(filter(None, found), None)


def _by_name_fault(value: Any, kind: ByName, where: str) -> str | None:
    if not isinstance(value, dict):
        return f"{where} is {shown(value)}, not a table"
    unnamed = next((name for name in value if not _is_text(name)), None)
    if unnamed is not None:
        return f"{where} has the name {shown(unnamed)}, not a {TEXT.words}"
    found = (fault(each, kind.each, f"{where}.{name}") for name, each in value.items())
    return next(filter(None, found), None)


def _table_fault(value: Any, kind: Table, where: str) -> str | None:
    place = where or "the card"
    if not isinstance(value, dict):
        return f"{place} is {shown(value)}, not a table"
    declared = {field.name: field.kind for field in kind.fields}
    for name in [*declared, *value]:
        if name not in value:
            return f"{place} has no field {name}"
        if name not in declared and not kind.is_open:
            return f"{place} has a field {shown(name)}, which {kind.title} does not have"
        found = fault(value[name], declared.get(name, PLAIN), f"{where}.{name}".lstrip("."))
        if found:
            return found
    return None


def _one_of_fault(value: Any, kind: OneOf, where: str) -> str | None:
    named = value.get("kind") if isinstance(value, dict) else None
    if not (isinstance(named, str) and named in kind.kinds):
        kinds = ", ".join(kind.kinds)
        return f"{where} is {shown(value)}, not a table whose kind is one of {kinds}"
    return _table_fault(value, kind.kinds[named], where)


def shown(value: Any) -> str:
    """A value in a sentence, on one line and not too long."""
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def document(kind: Kind) -> str:
    """The tables of a declaration in Markdown, each under its title, in the order of reading."""
    parts = [
        f"### {title[0].upper()}{title[1:]}\n\n{table}" for title, table in tables(kind).items()
    ]
    return "\n\n".join(parts) + "\n"


def tables(kind: Kind) -> dict[str, str]:
    """By their titles."""
    found: dict[str, str] = {}
    match kind:
        case OrNull():
            return tables(kind.kind)
        case ListOf() | ByName():
            return tables(kind.each)
        case OneOf():
            for each in kind.kinds.values():
                found |= tables(each)
        case Table():
            lines = [
                f"| `{field.name}` | {field.kind.words} | {field.says} |" for field in kind.fields
            ]
            found[kind.title] = "\n".join(["| field | is | says |", "|---|---|---|", *lines])
            for field in kind.fields:
                found = found | {k: v for k, v in tables(field.kind).items() if k not in found}
    return found
