"""What a card is made of, field by field: a declaration, what checks it, and its tables. No jax.

A card may come from a stranger: `fault` finds the first thing in any JSON value that is not as
declared, and never raises. docs/card.md holds the tables that `tables` makes of the declaration.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from echo_jax.config import CONTROL

SCHEMA = 1
"""The version of what a card is made of: another number, other fields."""

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


def _is_whole(value: Any, least: int = 0) -> bool:
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


def _is_ladder(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(_is_whole(lag, 1) for lag in value)
        and all(below < above for below, above in itertools.pairwise(value))
    )


def _one_of(*words: str) -> Leaf:
    return Leaf(" or ".join(words), lambda value: value in words)


WHOLE = Leaf("whole number from 0", _is_whole)
COUNT = Leaf("whole number from 1", lambda value: _is_whole(value, 1))
NUMBER = Leaf("number", _is_number)
POSITIVE = Leaf("number above 0", lambda value: _is_number(value) and value > 0)
SHARE = Leaf("number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
FLAG = Leaf("true or false", lambda value: isinstance(value, bool))
TEXT = Leaf(f"text of 1 to {LONGEST_TEXT:,} characters, none to control a terminal", _is_text)
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
DATE = Leaf(
    "date, year-month-day",
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.A)),
)
PLAIN = Leaf("anything plain: texts, finite numbers, lists and tables of them", _is_plain)
ARGUMENTS = Leaf(
    "table of anything plain", lambda value: isinstance(value, dict) and _is_plain(value)
)
LADDER = Leaf("list of: whole number from 1, each above the one before", _is_ladder)
TASK = _one_of("stream", "hold")
THRESHOLDS = Leaf(
    "list of: number from 0 to 1, at least one",
    lambda value: isinstance(value, list) and bool(value) and all(map(SHARE.holds, value)),
)

ESTIMATE_FIELDS = (
    Field("by_seed", ListOf(OrNull(NUMBER)), "a value of each seed; null for never, or unknown"),
    Field("median", OrNull(NUMBER), "over the seeds; null for never"),
    Field("low", OrNull(NUMBER), "of the order-statistic interval of the median; null of 1 seed"),
    Field("high", OrNull(NUMBER), "the same, and null for never"),
    Field("coverage", OrNull(SHARE), "the probability that such an interval covers the median"),
)
ESTIMATE = Table("an estimate", ESTIMATE_FIELDS)
SPAN = Table(
    "a span",
    (
        *ESTIMATE_FIELDS,
        Field(
            "at_least",
            ListOf(FLAG),
            "of each seed, whether nothing was decided beyond: its span is a lower bound",
        ),
        Field("next", OrNull(COUNT), "the rung above the median; null where the ladder ends"),
    ),
)

PROTOCOL = Table(
    "the protocol",
    (
        Field("name", TEXT, "`full`, or `quick`, a subset of it"),
        Field("version", COUNT, "a change of anything is another version"),
        Field("vocab_size", Leaf("whole number from 2", lambda v: _is_whole(v, 2)), "tokens, V"),
        Field("ladder", LADDER, "the lags that are tried"),
        Field("budget", COUNT, "updates per lag"),
        Field("evaluate_every", COUNT, "updates between two evaluations"),
        Field("thresholds", THRESHOLDS, "of accuracy, the highest ends a run"),
        Field("seeds", COUNT, "how many"),
    ),
    is_open=True,
)
CELL = Table(
    "the cell",
    (
        Field("cell", TEXT, "its name, or `package.module:Class`"),
        Field("args", ARGUMENTS, "its keyword arguments"),
        Field("source", OrNull(HASH), "of the file of its class; null for one that is built in"),
    ),
)

_SEED = Field("seed", WHOLE, "of the run")
_LAG = Field("lag", COUNT, "steps back, or distractors")
_LAGS = Field("lags", LADDER, "of the heads, or readouts")
_RATE = Field("rate", POSITIVE, "learning rate")
_PER_LAG = ListOf(OrNull(NUMBER))
_RUN = (
    _LAG,
    _RATE,
    _SEED,
    Field("accuracy", ListOf(OrNull(SHARE)), "on fresh data, at each evaluation"),
    Field(
        "confirmed",
        ListOf(OrNull(SHARE)),
        "on four times as much other fresh data; null below the lowest threshold",
    ),
    Field("failed", FLAG, "whether the loss became no number"),
)
_TIMES = ByName("batch size", ListOf(NUMBER))


def _raw(kind: str, *fields: Field) -> Table:
    named = Field("kind", _one_of(kind), "what sort of raw row it is")
    return Table(f"raw row `{kind}`", (named, *fields))


RAW = OneOf(
    {
        "tune": _raw(
            "tune",
            Field("task", _one_of("stream", "hold", "copy"), "what was trained"),
            Field("lag", COUNT, "steps back, distractors, or T"),
            _RATE,
            Field("seed", WHOLE, "one that no other row has"),
            Field("accuracy", ListOf(OrNull(SHARE)), "on fresh data, at each evaluation"),
        ),
        "run": _raw("run", Field("task", TASK, "what was trained"), *_RUN),
        "curriculum": _raw(
            "curriculum",
            Field("task", TASK, "what was trained"),
            *_RUN,
            Field("from", COUNT, "the lag that the weights were trained for before"),
        ),
        "bits": _raw(
            "bits",
            _SEED,
            _LAGS,
            Field("exact", _PER_LAG, "bits recalled from the state; null where training failed"),
            Field("float16", _PER_LAG, "after the state was rounded to 16 bits"),
            Field("noise", _PER_LAG, "after small noise was added to it"),
            Field("state_numbers", COUNT, "numbers in the state"),
        ),
        "linear": _raw(
            "linear",
            _SEED,
            _LAGS,
            Field("trained", _PER_LAG, "held-out r squared of a ridge readout of the state"),
            Field("untrained", _PER_LAG, "the same of the state before training"),
            Field("trained_null", _PER_LAG, "the same with shuffled targets"),
            Field("untrained_null", _PER_LAG, "the same"),
        ),
        "beyond": _raw(
            "beyond",
            _SEED,
            Field("lag", COUNT, "that it was trained for"),
            Field("length", COUNT, "of the streams that it was trained on"),
            Field("times", ListOf(POSITIVE), "how much longer the streams are"),
            Field("accuracy", ListOf(OrNull(SHARE)), "on streams of each length"),
        ),
        "jacobian": _raw(
            "jacobian",
            _SEED,
            _LAG,
            Field(
                "before",
                ListOf(OrNull(NUMBER)),
                "before training, mean norm of the gradient of the answer's logit margin with "
                "respect to the input 0, 1, ..., lag steps back",
            ),
            Field("after", ListOf(OrNull(NUMBER)), "the same after training"),
        ),
        "price": _raw(
            "price",
            Field("parameters", WHOLE, "numbers that are trained"),
            Field("state_bytes", WHOLE, "of one stream"),
            Field("train", _TIMES, "microseconds per step of training, each time measured"),
            Field("stream", _TIMES, "the same, one step at a time"),
        ),
        "copy": _raw(
            "copy",
            Field("T", COUNT, "blanks between the symbols and their recall"),
            _SEED,
            _RATE,
            Field("updates", LADDER, "at each evaluation"),
            Field("loss", ListOf(OrNull(NUMBER)), "nats, mean over the whole sequence"),
            Field("recall", ListOf(OrNull(NUMBER)), "nats, mean over the ten recalled symbols"),
            Field("accuracy", ListOf(OrNull(SHARE)), "of the ten recalled symbols"),
        ),
    }
)

LEARNING_LINE = Table(
    "a line of learning",
    (
        _LAG,
        Field("seeds", COUNT, "that were run"),
        Field("reached", WHOLE, "seeds that reached the highest threshold"),
        Field(
            "median",
            OrNull(NUMBER),
            "updates until they did, by Kaplan and Meier; null where more than half did not",
        ),
        Field("low", OrNull(NUMBER), "of its 95% interval, by Brookmeyer and Crowley"),
        Field("high", OrNull(NUMBER), "the same; null where there is no bound"),
    ),
)
LEARNING = Table(
    "learning",
    (
        Field("stream", ListOf(LEARNING_LINE), "a line for each lag that was run"),
        Field("hold", ListOf(LEARNING_LINE), "the same"),
    ),
)
_OF_STATE = Field("state_numbers", OrNull(COUNT), "numbers in the state; null where unknown")
CAPACITY = Table(
    "capacity",
    (
        Field("exact", ESTIMATE, "bits about the past in one state, summed over the lags"),
        Field("float16", ESTIMATE, "after the state was rounded to 16 bits"),
        Field("noise", ESTIMATE, "after small noise was added to it"),
        Field(
            "by_lag",
            Table(
                "capacity by lag",
                (_LAGS, Field("median", ListOf(NUMBER), "bits, median over the seeds")),
            ),
            "the memory function",
        ),
        _OF_STATE,
    ),
)
LINEAR = Table(
    "linear capacity",
    (
        Field(
            "by_lag",
            Table(
                "linear capacity by lag",
                (
                    _LAGS,
                    Field("trained", ListOf(NUMBER), "r squared less that of shuffled targets"),
                    Field("untrained", ListOf(NUMBER), "the same before training"),
                ),
            ),
            "medians over the seeds",
        ),
        Field("trained", ESTIMATE, "r squared less that of shuffled targets, summed over lags"),
        Field("untrained", ESTIMATE, "the same before training"),
        _OF_STATE,
    ),
)
BEYOND = Table(
    "beyond",
    (
        Field("lag", COUNT, "that was trained"),
        Field("length", COUNT, "of the streams that it was trained on"),
        Field("times", ListOf(POSITIVE), "how much longer the streams are"),
        Field("accuracy", ListOf(ESTIMATE), "at each of these lengths"),
    ),
)
CAUSE = Table(
    "cause",
    (
        Field("lag", COUNT, "that is looked at: the first that seeds miss, or the last there is"),
        Field("failed", WHOLE, "seeds that did not reach it from scratch"),
        Field("tried", WHOLE, "of these, seeds that were trained on from a shorter lag"),
        Field("learned", WHOLE, "of these, seeds that then reached it"),
        Field(
            "before",
            OrNull(ESTIMATE),
            "gradient of the input that is asked for, as a share of that of the input just now, "
            "before training; a seed is null where the latter is 0",
        ),
        Field("after", OrNull(ESTIMATE), "the same after training"),
        Field(
            "profile",
            OrNull(
                Table(
                    "the profile of gradients",
                    (
                        Field("before", _PER_LAG, "of the input 0, 1, ..., lag steps back"),
                        Field("after", _PER_LAG, "the same after training"),
                    ),
                )
            ),
            "medians over the seeds of these shares",
        ),
        Field(
            "verdict",
            _one_of("could not learn", "could not hold", "undetermined", "no limit found"),
            "`could not learn`: half of the failed seeds or more reach it from a shorter lag; "
            "`could not hold`: the gradient is exactly 0, and nowhere near underflow; "
            "`no limit found`: every seed reached every rung",
        ),
    ),
)
PRICE = Table(
    "price",
    (
        Field("parameters", WHOLE, "numbers that are trained"),
        Field("state_bytes", WHOLE, "of one stream"),
        Field("train", ByName("batch size", NUMBER), "median microseconds per step of training"),
        Field("stream", ByName("batch size", NUMBER), "the same, one step at a time"),
    ),
)
COPY = Table(
    "a line of copy memory",
    (
        Field("T", COUNT, "blanks between the symbols and their recall"),
        Field("seeds", COUNT, "that were run"),
        Field("recall", ESTIMATE, "nats of a recalled symbol, at the last evaluation"),
        Field("floor", NUMBER, "the same without memory, ln 8"),
        Field("loss", ESTIMATE, "nats, mean over the whole sequence"),
        Field("loss_floor", NUMBER, "the same without memory, 10 ln 8 / (T + 20)"),
        Field("updates", COUNT, "until the last evaluation"),
    ),
)
_SPANS = OrNull(ByName("threshold", SPAN))
ROWS = Table(
    "the rows",
    (
        Field("stream_span", _SPANS, "tokens back that it can hand back from a running stream"),
        Field("hold_span", _SPANS, "distractors over which it can hold one value"),
        Field("learning", OrNull(LEARNING), "updates to the highest threshold, lag by lag"),
        Field("capacity", OrNull(CAPACITY), "bits about the past in one state"),
        Field("linear", OrNull(LINEAR), "linear memory capacity (Jaeger 2001)"),
        Field("beyond", OrNull(BEYOND), "accuracy on streams longer than trained"),
        Field("cause", OrNull(CAUSE), "why the stream span is no longer"),
        Field("price", OrNull(PRICE), "sizes and times"),
        Field("copy", OrNull(ListOf(COPY)), "the copy-memory task"),
    ),
)
CARD = Table(
    "a card",
    (
        Field("schema", COUNT, f"the version of this declaration, {SCHEMA}"),
        Field("name", NAME, "of the card, and of its files"),
        Field("cell", CELL, "what was measured"),
        Field("protocol", PROTOCOL, "what was fixed"),
        Field("protocol_hash", HASH, "of the protocol, its names sorted"),
        Field("seeds", ListOf(WHOLE), "those of the raw rows, all but those of `tune`"),
        Field("raw", ListOf(RAW), "what was measured, to six digits"),
        Field("rows", ROWS, "what it says about the cell; null for what was not measured"),
        Field("not_measured", ByName("row", TEXT), "why, of each row that is null"),
        Field("device", TEXT, "where it was measured"),
        Field("versions", ByName("program", TEXT), "of the programs that did"),
        Field("date", DATE, "on which it was"),
        Field("seconds", ByName("part", NUMBER), "that it took"),
        Field(
            "digest",
            HASH,
            "of all but device, versions, date, seconds, the times of the price, and itself",
        ),
    ),
)


def fault(value: Any, kind: Kind = CARD, where: str = "") -> str | None:
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


def tables(kind: Kind = CARD) -> dict[str, str]:
    """The tables of the declaration in Markdown by their titles, in the order of reading."""
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
