"""Compute the card of a cell from its rows, and read and write the card's folder. Imports no jax.

    NAME/card.json          the card; rewritten with every row
    NAME/rows.jsonl         a line for each run, added when the run ends
    NAME/card.md, card.svg  the page and the figure, and picture.svg if there is a reading

A card is a function of its cell and rows, so a measurement that was stopped can continue.
"""

import datetime
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from echo_jax.config import BLOCK_PREFIX
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.memory.all_questions import NAMED, WITH_CURVES, Bits, Row, bits_of, order
from echo_jax.memory.by_key.key_rows_and_bits import BitsByKey, KeyRow
from echo_jax.memory.by_lag.lag_rows_and_bits import BitsByLag
from echo_jax.memory.by_task.task_rows_and_bits import BitsAnAnswer, MeasuredTask
from echo_jax.memory.protocol import (
    PILOT_SEED,
    SCANS_AGREE,
    STANDARD,
    Configuration,
    Protocol,
    QuestionName,
)
from echo_jax.memory.question import DECIMALS, Number, Question
from echo_jax.report.number_formats import plain
from echo_jax.storage import atomic_files
from echo_jax.storage.row_file import Count, RowKind

CARD_FILE, ROWS_FILE = "card.json", "rows.jsonl"

MIXED_DEVICES = "its rows were made on several devices or numbers of cores, and bits may differ"

Text = Annotated[str, Meta(min_length=1, max_length=1000)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
DEVICE = r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?"  # of Windows, where no folder is called so
CardName = Annotated[str, Meta(pattern=NAME)]


class MeasuredCell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cell that was measured.

    name       the name of the cell, as after --cell
    args       the keyword arguments of the cell
    source     the SHA-256 of the file of a user's cell; null for a cell of this package, and for
               code typed at a prompt
    framework  the package that trained and ran the cell, named as in `versions`; absent for JAX
    """

    name: Text
    args: dict[str, Any]
    source: Text | None = None
    framework: Text | UnsetType = UNSET

    @property
    def in_block(self) -> bool:
        """True if the cell is in a block, the common block or another one."""
        return self.name.startswith(BLOCK_PREFIX)

    @property
    def bare(self) -> str:
        """The name of the cell without its block."""
        return self.name.removeprefix(BLOCK_PREFIX)


class Budget(msgspec.Struct, forbid_unknown_fields=True):
    """The bits after a number of updates other than the usual one.

    question  the question by which the bits were measured
    updates   the number of updates
    mean      the mean bits over the seeds
    seeds     the seeds, in order
    by_seed   the bits of each seed
    """

    question: QuestionName
    updates: Count
    mean: Number
    seeds: list[Count]
    by_seed: list[Number]


class PilotChoice(msgspec.Struct, forbid_unknown_fields=True):
    """What the pilot measured with one configuration.

    configuration  the question, the number of updates and the rate
    mean           the mean validation bits of the pilot's runs with this configuration
    """

    configuration: Configuration
    mean: Number


class Card(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A memory card: a cell, its bits by each question, and how the bits were measured.

    protocol        5, or all numbers of a user's own protocol
    name            the name of the card, and of its folder
    cell            the cell that was measured
    state_bytes     the bytes of the cell's state, in the question with the larger state
    state_numbers   how many numbers of each type that state has; a complex number is two
    conv_bytes      the bytes of the state of a block's convolutions
    constant_bytes  the bytes of the arrays that the program of the score holds as constants
    keys            the size of a key of a matrix state; null for other states
    values          the size of a value of a matrix state; null for other states
    parameters      how many numbers are trained, by key or on the task, with the block and the
                    readout
    seeds           the seeds that were wanted last, and all seeds with a row, except the pilot's
    configuration   the configurations of the rows that count, one for each question and number of
                    updates
    bits_by_lag     the bits by lag; null if not measured
    bits_by_key     the bits by key; null if not measured
    pilot           what the pilot measured; the configuration with the most bits counts
    budgets         the bits after other numbers of updates
    date            the day on which the card was begun
    devices         the devices on which rows were made
    versions        the versions of the software on the day on which the card was begun
    remarks         sentences on what a reader should know
    task            the task that was measured; absent without a task
    bits_an_answer  the bits per answer of the task; absent if not measured
    file_digest     the digest of all other fields, in a file; absent elsewhere
    """

    protocol: Literal[5] | Protocol = 5
    name: CardName
    cell: MeasuredCell
    state_bytes: Count
    state_numbers: dict[str, Count] = {}
    conv_bytes: Count
    constant_bytes: Count = 0
    keys: Count | None = None
    values: Count | None = None
    parameters: Count
    seeds: list[Count]
    configuration: list[Configuration]
    bits_by_lag: BitsByLag | None = None
    bits_by_key: BitsByKey | None = None
    pilot: list[PilotChoice] = []
    budgets: list[Budget] = []
    date: datetime.date
    devices: list[str] = []
    versions: dict[str, str] = {}
    remarks: list[str] = []
    task: MeasuredTask | UnsetType = UNSET
    bits_an_answer: BitsAnAnswer | UnsetType = UNSET
    file_digest: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Replace a protocol whose numbers are all standard by its name, 5."""
        if self.protocol == STANDARD:
            self.protocol = 5

    @property
    def numbers(self) -> Protocol:
        """The protocol of the card, with all its numbers."""
        return self.protocol if isinstance(self.protocol, Protocol) else STANDARD

    def bits(self, question: Question) -> Bits | None:
        """Return the bits by `question`, or None if they were not measured."""
        return getattr(self, question.field) or None

    def known(self, question: Question) -> Bits:
        """Return the bits by `question`, which must have been measured."""
        bits = self.bits(question)
        assert bits is not None
        return bits

    def mean(self, question: Question) -> float:
        """Return the mean bits by `question`, or -1 if they were not measured."""
        bits = self.bits(question)
        return -1.0 if bits is None else bits.mean

    @property
    def has_curves(self) -> bool:
        """True if the card has bits by a question whose curves are drawn."""
        return any(map(self.measured, WITH_CURVES))

    def budgets_of(self, question: Question) -> list[Budget]:
        """Return the bits by `question` after numbers of updates other than the usual one."""
        return [x for x in self.budgets if x.question == question.name]

    def measured(self, question: Question) -> list[tuple[int, Bits | Budget]]:
        """Return pairs of a number of updates and the bits by `question` after these updates.

        The usual number of updates comes first.
        """
        bits = self.bits(question)
        usual = [(self.numbers.updates, bits)] if bits else []
        return [*usual, *((x.updates, x) for x in self.budgets_of(question))]


def protocol_of(cards: Iterable[Card]) -> Protocol:
    """Return the protocol that all `cards` share, or `STANDARD` if there are none.

    Raises ConfigError if the cards have several protocols.
    """
    of = {card.numbers: card.name for card in cards} or {STANDARD: ""}
    if len(of) > 1:
        first, second, *_ = (f"{name} (protocol {key.name})" for key, name in of.items())
        rule = "cannot be shown together: use cards of one {protocol}"
        raise ConfigError(f"{first} and {second} {rule}")
    return next(iter(of))


def check_name(name: str, folder: Path | None = None) -> None:
    """Raise ConfigError, about `folder` if given, unless `name` is a valid card name."""
    valid = isinstance(name, str) and re.fullmatch(NAME, name)
    if not valid or re.fullmatch(DEVICE, name, re.I):
        field = None if folder else "name"
        fix = (
            "use up to 100 letters, digits, ., _ and -, with a letter or digit first, but not a "
            "device of Windows such as CON"
        )
        raise ConfigError(field, folder or name, "is not a valid name of a card", fix)


def pilot_of(rows: Iterable[Row], protocol: Protocol) -> list[PilotChoice]:
    """Return the mean validation bits of the pilot's runs in `rows`, for each configuration.

    The bits of a row depend on the numbers of `protocol`. Runs that were not finite, and bits below
    0, count as 0.
    """
    found: dict[Configuration, list[float]] = {}
    for row in rows:
        if row.seed >= PILOT_SEED:
            bits = max(row.validation_bits(protocol), 0.0)
            found.setdefault(row.configuration, []).append(bits)

    return [PilotChoice(of, plain(float(np.mean(found[of])), DECIMALS)) for of in sorted(found)]


def chosen_by(
    pilot: Iterable[PilotChoice], choices: Collection[Configuration]
) -> Configuration | None:
    """Return the configuration among `choices` with the most bits in the `pilot`.

    If several have equally many bits, the first of them in the `pilot` is returned. The result is
    None if the pilot has none of the `choices`.
    """
    # max keeps the first of equal ones, which is the smaller rate, as `pilot_of` sorts them.
    known = [x for x in pilot if x.configuration in choices]
    return max(known, key=lambda x: x.mean).configuration if known else None


def rows_that_count(rows: Sequence[Row], card: Card) -> dict[tuple[QuestionName, int], list[Row]]:
    """Return the rows in `rows` whose bits `card` states, by question and updates.

    The rows of each question and number of updates are sorted by seed. Rows of the pilot are left
    out, and so are rows of other configurations, which may have been made before a pilot chose.
    """
    kinds: dict[tuple[QuestionName, int], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.seed):
        if row.configuration in card.configuration and row.seed < PILOT_SEED:
            kinds.setdefault((row.configuration.question, row.updates), []).append(row)
    return dict(sorted(kinds.items(), key=lambda kind: order(*kind[0])))


def with_rows(card: Card, rows: Sequence[Row]) -> Card:
    """Return a copy of `card` with the bits, sizes, devices and remarks that `rows` show."""
    protocol = card.numbers
    counted = rows_that_count(rows, card)
    measured = {kind: bits_of(of, protocol) for kind, of in counted.items()}
    usual = protocol.updates
    others = [(kind, of) for kind, of in measured.items() if kind[1] != usual]
    return msgspec.structs.replace(
        card,
        **{x.field: measured.get((x.name, usual), x.absent) for x in NAMED.values()},
        pilot=pilot_of(rows, protocol),
        budgets=[Budget(*kind, of.mean, of.seeds, of.by_seed) for kind, of in others],
        # As the score carried the state from step to step: a cell could state any size.
        state_bytes=max((row.state_bytes for row in rows), default=0) or card.state_bytes,
        constant_bytes=max((getattr(x, "constant_bytes", 0) for x in rows), default=0),
        devices=list(dict.fromkeys(row.device for row in rows if row.device)),
        remarks=list(dict.fromkeys([*card.remarks, *remarks_of(rows)])),
    )


def remarks_of(rows: Sequence[Row]) -> list[str]:
    """Return sentences on `rows` of several devices, and on rows whose scan and steps disagree."""
    mixed = len({row.device for row in rows if row.device}) > 1
    differ = [
        f"seed {row.seed} {row.configuration.question}: the accuracy by the cell's "
        f"scan differs from that by its steps by {row.difference:+.1%}; the steps count"
        for row in rows
        if abs(row.difference) > SCANS_AGREE
    ]
    return [MIXED_DEVICES, *differ] if mixed else differ


def row_kind(protocol: Protocol) -> RowKind[Row]:
    """Return the `RowKind` of cards of `protocol`, with which rows are read and written.

    Reading refuses a row that the protocol cannot give.
    """

    def decode(values: dict[str, Any]) -> Row:
        """Return the row of a line's `values`; raise ValueError if the row breaks a rule."""
        msgspec.json.encode(values)  # ValueError for half a pair of surrogates: it is no text
        row = msgspec.convert(values, Row)
        check_row(row, protocol)
        return row

    return RowKind("a row of a card", decode, msgspec.to_builtins)


def check_row(row: Row, protocol: Protocol) -> None:
    """Raise ValueError unless `protocol` can give this `row`."""
    if (row.validation is None) != (row.final is None):
        raise ValueError("only one of validation and final is null")
    question = NAMED[row.configuration.question]
    pilot = question.pilot(protocol, row.updates)
    if row.seed >= PILOT_SEED and row.configuration not in pilot:
        raise ValueError(f"seed is not below {PILOT_SEED}, and the run is none of the pilot")
    if row.updates % protocol.updates_at_once:
        raise ValueError(f"updates is not a multiple of {protocol.updates_at_once}")
    if getattr(row, "reading", None) and not question.has_picture(protocol):
        raise ValueError("reading needs 64 lags of 16 symbols, or 8 pairs of 64 keys and 64 values")
    row.check(protocol)


def read(folder: Path) -> tuple[Card, list[Row]]:
    """Return the card in `folder` and its rows.

    The bits of the card are computed from the rows, so a card cannot claim other bits. The card
    gets the name of the folder, which may have been copied or renamed.

    Raises:
      StorageError: the card or a row is not valid, or the rows do not fit the card.
      ConfigError: the folder's name is not a valid card name.
    """
    check_name(folder.name, folder)
    path = folder / CARD_FILE
    fix = "use an unchanged card of protocol 5 or of your own protocol"
    values = atomic_files.read_json(path, fix)
    try:
        msgspec.json.encode(values)  # ValueError for half a pair of surrogates: it is no text
        card = msgspec.convert(values, Card)
    except (ValueError, RecursionError) as error:
        raise StorageError(None, path, f"is not valid ({error})", fix) from error
    card.name = folder.name
    rows = row_kind(card.numbers).read(folder / ROWS_FILE)
    check_together(rows, folder / ROWS_FILE, card.task)
    return with_rows(card, rows), rows


def check_together(rows: Sequence[Row], path: Path, task: MeasuredTask | UnsetType) -> None:
    """Raise StorageError, about the file `path`, unless `rows` fit one card.

    Each run must occur at most once, all rows by key must have equal pairs, and all rows must be of
    `task`, which is UNSET for a card without a task.
    """
    fix = "keep only the rows of one card, each once"
    twice = [key for key, count in Counter(row.key for row in rows).items() if count > 1]
    if twice:
        raise StorageError(None, path, f"has {twice[0]} twice", fix)
    if len({tuple(row.pairs) for row in rows if isinstance(row, KeyRow)}) > 1:
        raise StorageError(None, path, "has rows by key with different numbers of pairs", fix)
    if any(getattr(row, "task", UNSET) != task for row in rows):
        raise StorageError(None, path, "has rows that do not belong to the task of its card", fix)


def write(card: Card, rows: Sequence[Row], folder: Path) -> Card:
    """Update `card` from its `rows`, write the result as card.json into `folder`, and return it."""
    shown = with_rows(card, rows)
    atomic_files.write_json(folder / CARD_FILE, msgspec.to_builtins(shown), indent=1)
    return shown


def write_whole(card: Card, rows: Sequence[Row], folder: Path) -> Card:
    """Write `card` and all its `rows` into `folder`, replacing existing files; return the card."""
    row_kind(card.numbers).write(folder / ROWS_FILE, rows)
    return write(card, rows, folder)
