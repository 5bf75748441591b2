"""The rows of a card: what each run answered. No jax."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from echo_jax.grid.row_file import Count, RowKind
from echo_jax.memory.protocol import Configuration, Protocol, Rate, Schedule

MOST_NATS = 1e6  # a larger mean is told as this one
DECIMALS = ".4f"  # of the nats of a row and of the numbers of a card

Nat = Annotated[float, Meta(ge=0, le=MOST_NATS)]
Counts = Annotated[list[Count], Meta(min_length=1, max_length=100)]


class LagScore(msgspec.Struct, forbid_unknown_fields=True):
    """Mean cross-entropy of each lag from 1, in nats: as the heads answer, and recalibrated."""

    nats: list[Nat]
    recalibrated: list[Nat]


class LagRow(msgspec.Struct, tag_field="question", tag="by lag", forbid_unknown_fields=True):
    """A run by lag. The scores are null where a loss was not finite.

    seed, rate   of the run
    updates      that it made
    validation   on streams of the seed
    final        on streams of the seed and the trained weights
    state_bytes  of the state as it was carried in the score; 0 where that is not known
    difference   of the accuracies by scan and by steps, on the validation streams
    device       that made it; null where that is unknown
    """

    seed: Count
    rate: Rate
    updates: Count
    validation: LagScore | None
    final: LagScore | None
    state_bytes: Count = 0
    difference: float = 0.0
    device: str | None = None

    @property
    def configuration(self) -> Configuration:
        """The configuration of the run."""
        return Configuration("by lag", self.rate)

    @property
    def key(self) -> str:
        """The run, see `run_key`."""
        return run_key(self.configuration, self.seed)


class KeyRow(msgspec.Struct, tag_field="question", tag="by key", forbid_unknown_fields=True):
    """A run by key. The right answers are null where a loss was not finite.

    schedule           of the number of pairs in training
    level              the number of pairs at its end
    pairs              K of each entry of the lists
    asked              questions of each K and data set
    validation, final  right answers
    state_bytes        of the state as it was carried in the score
    constant_bytes     of the arrays that stand as numbers in the program of the score
    """

    seed: Count
    rate: Rate
    schedule: Schedule
    updates: Count
    level: Count
    pairs: Counts
    asked: Counts
    validation: Counts | None
    final: Counts | None
    state_bytes: Count = 0
    constant_bytes: Count = 0
    difference: float = 0.0
    device: str | None = None

    @property
    def configuration(self) -> Configuration:
        """The configuration of the run."""
        return Configuration("by key", self.rate, self.schedule)

    @property
    def key(self) -> str:
        """The run, see `run_key`."""
        return run_key(self.configuration, self.seed)


Row = LagRow | KeyRow


def row_kind(protocol: Protocol) -> RowKind[Row]:
    """The rows of cards of a protocol, which are refused if it cannot give them."""

    def decode(values: dict[str, Any]) -> Row:
        """A row of a line; ValueError for one that the protocol cannot give."""
        row = msgspec.convert(values, Row)
        check_row(row, protocol)
        return row

    return RowKind("a row of a card", decode, msgspec.to_builtins)


def run_key(configuration: Configuration, seed: int) -> str:
    """The run of a configuration and a seed: seed 0, by key, ramp, rate 0.01."""
    of = configuration
    words = [f"seed {seed}", of.question, of.schedule, f"rate {of.rate}"]
    return ", ".join(word for word in words if word)


def check_row(row: Row, protocol: Protocol) -> None:
    """Raise ValueError for a row that the protocol cannot give."""
    if (row.validation is None) != (row.final is None):
        raise ValueError("final is null on one data set alone")
    if row.final is not None and row.updates != protocol.updates:
        raise ValueError(f"updates are not {protocol.updates}")
    if isinstance(row, KeyRow):
        check_counts(row, protocol)
        return
    for score in filter(None, (row.validation, row.final)):
        for name in ("nats", "recalibrated"):
            if len(getattr(score, name)) != protocol.lags:
                raise ValueError(f"{name} are not {protocol.lags}, one for each lag")


def check_counts(row: KeyRow, protocol: Protocol) -> None:
    """Raise ValueError for pairs, questions or right answers that the protocol cannot give."""
    if tuple(row.pairs) != protocol.pairs[: len(row.pairs)]:
        raise ValueError(f"pairs do not begin {', '.join(map(str, protocol.pairs))}")
    if row.asked != [protocol.recalls * pairs for pairs in row.pairs]:
        raise ValueError(f"asked are not {protocol.recalls} times the pairs")
    for name in ("validation", "final"):
        right = getattr(row, name)
        whole = right is None or len(right) == len(row.asked)
        if not whole or any(map(int.__gt__, right or (), row.asked)):
            raise ValueError(f"{name} are not as many right answers as pairs, or above asked")
