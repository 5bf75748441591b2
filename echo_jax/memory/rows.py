"""The rows of a card: what each run answered, as typed JSON lines."""

from typing import Annotated

import msgspec
from msgspec import Meta

from echo_jax.memory.protocol import LAGS, Configuration, Rate, Schedule

MOST_NATS = 1e6  # a larger mean is told as this one
DECIMALS = ".4f"  # of the nats of a row and of the numbers of a card

Count = Annotated[int, Meta(ge=0, le=2**53)]
Nat = Annotated[float, Meta(ge=0, le=MOST_NATS)]
Nats = Annotated[list[Nat], Meta(min_length=LAGS, max_length=LAGS)]
Counts = Annotated[list[Count], Meta(min_length=1, max_length=100)]


class LagScore(msgspec.Struct, forbid_unknown_fields=True):
    """Mean cross-entropy of each lag from 1, in nats: as the heads answer, and recalibrated."""

    nats: Nats
    recalibrated: Nats


class LagRow(msgspec.Struct, tag_field="question", tag="by lag", forbid_unknown_fields=True):
    """A run by lag. The scores are null where a loss was not finite.

    seed, rate   of the run
    updates      that it made
    validation   on streams of the seed
    final        on streams of the seed and the trained weights
    state_bytes  of the state as it was carried in the score; 0 where that is not known
    difference   of the accuracies by scan and by steps, on the validation streams
    """

    seed: Count
    rate: Rate
    updates: Count
    validation: LagScore | None
    final: LagScore | None
    state_bytes: Count = 0
    difference: float = 0.0


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


Row = LagRow | KeyRow


def configuration_of(row: Row) -> Configuration:
    """The configuration of a row."""
    if isinstance(row, KeyRow):
        return Configuration("by key", row.rate, row.schedule)
    return Configuration("by lag", row.rate)
