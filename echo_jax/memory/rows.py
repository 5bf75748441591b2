"""Define the rows of a card, which hold what each run answered. No jax."""

import math
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from echo_jax.memory.protocol import PILOT_SEED, Configuration, Protocol, Rate, Whole
from echo_jax.memory.questions import NAMED, CardQuestion
from echo_jax.memory.reading import KeyReading, Reading
from echo_jax.storage.row_file import Count, RowKind

DECIMALS = ".4f"  # of the numbers of a card
NATS = ".3f"  # of a row: the sum over 64 lags moves by 0.01 bits at most that was seen

TaskName = Annotated[str, Meta(pattern=r"^[\w-]{1,90}$")]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

Nat = Annotated[float, Meta(ge=0, le=1e6)]
Nats = Annotated[list[Nat], Meta(min_length=1, max_length=10_000)]
Accuracy = Annotated[float, Meta(ge=0, le=1)]
Counts = Annotated[list[Count], Meta(min_length=1, max_length=100)]
# The largest float32 is 3.4e38, so each finite loss is below the bound.
Losses = list[Annotated[float, Meta(ge=0, le=1e39)]] | UnsetType
"""The mean training loss in nats of each `updates_at_once` of a run, until it is not finite."""

Version = str | UnsetType
"""The release or commit of echo_jax that made a row."""


class _OfRun(msgspec.Struct):
    """The run of a row; its scores follow, in the order of their line.

    Rows of echo_jax 0.2.0.dev0 and older may lack `losses` and `version`.
    """

    seed: Count
    rate: Rate
    updates: Whole

    @property
    def asks(self) -> CardQuestion:
        """The question of the run, which is the tag of the row."""
        question: Any = self.__struct_config__.tag
        return NAMED[question]

    @property
    def configuration(self) -> Configuration:
        """The configuration of the run."""
        return Configuration(self.asks.name, self.updates, self.rate)

    @property
    def key(self) -> str:
        """The run of a configuration and a seed: seed 0, by key, rate 0.01, 3000 updates."""
        return run_key(self.configuration, self.seed)


class _Measured(_OfRun, kw_only=True):
    """What every run tells beside its scores, at the end of its line.

    state_bytes  of the state as it was carried in the score; 0 where that is not known
    difference   of the accuracies by scan and by steps, on the validation data
    device       that made it; null where that is unknown
    """

    state_bytes: Count = 0
    difference: float = 0.0
    device: str | None = None
    version: Version = UNSET
    losses: Losses = UNSET


class LagRow(_Measured, tag_field="question", tag="by lag", forbid_unknown_fields=True):
    """A run by lag. The scores are null if a loss was not finite.

    validation  mean cross-entropy of each lag from 1 after recalibration, in nats, on streams drawn
                from the seed
    final       the cross-entropy on streams drawn from the seed and the trained weights
    reading     what seed 0 holds of a picture after the usual updates; absent from other rows
    """

    validation: Nats | None
    final: Nats | None
    reading: Reading | UnsetType = UNSET


class KeyRow(_Measured, tag_field="question", tag="by key", forbid_unknown_fields=True):
    """A run by key. The right answers are null if a loss was not finite.

    pairs              K of each entry of the lists
    asked              the number of questions for each K and data set
    validation, final  the numbers of right answers
    associated         the numbers of right answers about `Protocol.associated` pairs, after each
                       `updates_at_once`; null if unknown
    constant_bytes     the bytes of the arrays that the program of the score holds as constants
    reading            the reading after the usual updates, see `LagRow`
    """

    pairs: Counts
    asked: Counts
    validation: Counts | None
    final: Counts | None
    associated: list[Count] | None = None
    constant_bytes: Count = 0
    reading: KeyReading | UnsetType = UNSET


class MeasuredTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The task that was asked.

    name    the name of its file or class
    source  the SHA-256 of its file; null for a task of this package
    drawn   the SHA-256 of a draw of each part, so that other data count as another task
    """

    name: TaskName
    source: Digest | None
    drawn: Digest


class TaskScore(msgspec.Struct, forbid_unknown_fields=True):
    """The answers of a run on a data set.

    accuracy  the share of right answers
    nats      the mean cross-entropy of an answer after recalibration
    entropy   the entropy of the answers of the data set, in nats
    """

    accuracy: Accuracy
    nats: Nat
    entropy: Nat

    @property
    def bits(self) -> float:
        """Bits an answer: the entropy less the cross-entropy; below 0 for less than nothing."""
        return (self.entropy - self.nats) / math.log(2)


class TaskRow(_Measured, tag_field="question", tag="task", forbid_unknown_fields=True):
    """A run of a task; the scores are null if a loss was not finite.

    baseline  the score of the task's baseline on the final rows of this run; absent without one
    majority  the share of the most frequent answer of the final rows; absent from older rows
    """

    task: MeasuredTask
    validation: TaskScore | None
    final: TaskScore | None
    constant_bytes: Count = 0
    baseline: TaskScore | UnsetType = UNSET
    majority: Accuracy | UnsetType = UNSET


Row = LagRow | KeyRow | TaskRow


def with_known(kind: Any, fields: dict[str, Any]) -> Any:
    """Return the row of a run with the given fields that its kind of rows has."""
    return kind(**{name: fields[name] for name in kind.__struct_fields__ if name in fields})


def row_kind(protocol: Protocol) -> RowKind[Row]:
    """Return the kind of rows of a protocol, whose reader refuses rows that it cannot give."""

    def decode(values: dict[str, Any]) -> Row:
        """Return a row of the values of a line; raise ValueError if the protocol cannot give it."""
        msgspec.json.encode(values)  # ValueError for half a pair of surrogates: it is no text
        row = msgspec.convert(values, Row)
        check_row(row, protocol)
        return row

    return RowKind("a row of a card", decode, msgspec.to_builtins)


def run_key(configuration: Configuration, seed: int) -> str:
    """Return the key of the run of a configuration: seed 0, by key, rate 0.01, 3000 updates."""
    return f"seed {seed}, {configuration}"


def check_row(row: Row, protocol: Protocol) -> None:
    """Raise ValueError unless the protocol can give this row."""
    if (row.validation is None) != (row.final is None):
        raise ValueError("final is null on only one data set")
    pilot = row.asks.pilot(protocol, row.updates)
    if row.seed >= PILOT_SEED and row.configuration not in pilot:
        raise ValueError(f"seed is not below {PILOT_SEED}, but the run is not of the pilot")
    if row.updates % protocol.updates_at_once:
        raise ValueError(f"updates is not a multiple of {protocol.updates_at_once}")
    if getattr(row, "reading", None) and not row.asks.has_picture(protocol):
        raise ValueError("reading needs 64 lags of 16 symbols, or 8 pairs of 64 keys and 64 values")
    if isinstance(row, KeyRow):
        check_counts(row, protocol)
    elif isinstance(row, LagRow):
        check_nats(row, protocol)


def check_nats(row: LagRow, protocol: Protocol) -> None:
    """Raise ValueError unless the nats have one number for each lag of the protocol."""
    if any(len(x) != protocol.lags for x in (row.validation, row.final) if x):
        raise ValueError(f"nats does not have {protocol.lags} numbers, one for each lag")


def check_counts(row: KeyRow, protocol: Protocol) -> None:
    """Raise ValueError unless the protocol can give these pairs, questions and right answers."""
    if tuple(row.pairs) != protocol.pairs[: len(row.pairs)]:
        raise ValueError(f"pairs does not begin with {', '.join(map(str, protocol.pairs))}")
    if row.asked != [protocol.recalls * pairs for pairs in row.pairs]:
        raise ValueError(f"asked is not {protocol.recalls} times the pairs")
    for name in ("validation", "final"):
        right = getattr(row, name)
        whole = right is None or len(right) == len(row.asked)
        if not whole or any(map(int.__gt__, right or (), row.asked)):
            raise ValueError(f"{name} has too many or too few numbers, or one above asked")
    checks = row.updates // protocol.updates_at_once
    if row.associated is not None and len(row.associated) != checks:
        raise ValueError(f"associated is not {checks} long, once each {protocol.updates_at_once}")
