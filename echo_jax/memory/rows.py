"""The rows of a card: what each run answered. No jax.

A row of any question has

    validation_bits(protocol)   the bits by which a pilot chooses; 0 without a score
    curve(protocol)             its curve on final data, as in a card
    tidy(score)                 a dictionary for each number of the score of one data set
    check(protocol)             ValueError for scores that the protocol cannot give
"""

import itertools
import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from echo_jax.memory.bits import accuracy_bits, lag_bits
from echo_jax.memory.protocol import ASSOCIATES, Configuration, Protocol, Rate, Whole
from echo_jax.memory.reading import KeyReading, Reading
from echo_jax.storage.row_file import Count

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
    def configuration(self) -> Configuration:
        """The configuration of the run; its question is the tag of the row."""
        question: Any = self.__struct_config__.tag
        return Configuration(question, self.updates, self.rate)

    @property
    def key(self) -> str:
        """The run among those of its card."""
        return self.configuration.run(self.seed)


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

    def validation_bits(self, protocol: Protocol) -> float:
        """Return the sum over all lags."""
        return float(lag_bits(self.validation, protocol).sum())

    def curve(self, protocol: Protocol) -> np.ndarray:
        """Return the bits of each lag, `[N]`."""
        return lag_bits(self.final, protocol)

    def tidy(self, score: list[float]) -> list[dict[str, Any]]:
        """Return the nats of each lag."""
        return [{"lag": lag, "nats": nats} for lag, nats in enumerate(score, 1)]

    def check(self, protocol: Protocol) -> None:
        """Refuse nats of other lags than those of the protocol."""
        if any(len(x) != protocol.lags for x in (self.validation, self.final) if x):
            raise ValueError(f"nats does not have {protocol.lags} numbers, one for each lag")


class KeyRow(_Measured, tag_field="question", tag="by key", forbid_unknown_fields=True):
    """A run by key. The right answers are null if a loss was not finite.

    pairs              K of each entry of the lists
    queries            of each K and data set; `asked` in files
    validation, final  the numbers of right answers
    associated         right answers about `Protocol.associated` pairs in as many rows, after each
                       `updates_at_once`; null if unknown
    constant_bytes     the bytes of the arrays that the program of the score holds as constants
    reading            the reading after the usual updates, see `LagRow`
    """

    pairs: Counts
    queries: Counts = msgspec.field(name="asked")
    validation: Counts | None
    final: Counts | None
    associated: list[Count] | None = None
    constant_bytes: Count = 0
    reading: KeyReading | UnsetType = UNSET

    def validation_bits(self, protocol: Protocol) -> float:
        """Return the bits at the best K."""
        right = self.accuracy(self.validation)
        return float(accuracy_bits(np.array(self.pairs), right, protocol.values).max())

    def accuracy(self, right: Sequence[int] | None) -> np.ndarray:
        """Return the share of right answers at each K; zeros for a run without a score."""
        return np.array(right or [0] * len(self.queries)) / np.array(self.queries)

    def curve(self, _: Protocol) -> np.ndarray:
        """Return the accuracy at each K."""
        return self.accuracy(self.final)

    def tidy(self, score: list[int]) -> list[dict[str, Any]]:
        """Return the right answers at each K, of so many."""
        each = zip(self.pairs, score, self.queries, strict=True)
        return [{"pairs": k, "right": right, "asked": queries} for k, right, queries in each]

    def updates_until_associated(self, protocol: Protocol) -> float:
        """The first update after which half of the answers about 4 pairs are right, twice running.

        Twice running is at the next check too. Infinite where that never is. A list of the values
        has 27% of them.
        """
        half = protocol.recalls * protocol.associated * ASSOCIATES
        checks = [right >= half for right in self.associated or []]
        twice = [a and b for a, b in itertools.pairwise(checks)]
        return (twice.index(True) + 1) * protocol.updates_at_once if True in twice else math.inf

    def check(self, protocol: Protocol) -> None:
        """Refuse pairs, queries or right answers that the protocol cannot give."""
        if tuple(self.pairs) != protocol.pairs[: len(self.pairs)]:
            raise ValueError(f"pairs does not begin with {', '.join(map(str, protocol.pairs))}")
        if self.queries != [protocol.recalls * pairs for pairs in self.pairs]:
            raise ValueError(f"asked is not {protocol.recalls} times the pairs")
        for name in ("validation", "final"):
            right = getattr(self, name)
            whole = right is None or len(right) == len(self.queries)
            if not whole or any(map(int.__gt__, right or (), self.queries)):
                rule = "too many or too few numbers, or a number above the one in asked"
                raise ValueError(f"{name} has {rule}")
        checks = self.updates // protocol.updates_at_once
        if self.associated is not None and len(self.associated) != checks:
            rule = f"one after each {protocol.updates_at_once}"
            raise ValueError(f"associated are not {checks}, {rule}")


class MeasuredTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The task that was measured.

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

    def validation_bits(self, _: Protocol) -> float:
        """Return the bits an answer, which may be below 0."""
        return self.validation.bits if self.validation else 0.0

    def curve(self, _: Protocol) -> np.ndarray:
        """Return no number: a task has no curve."""
        return np.zeros(0)

    def tidy(self, score: TaskScore) -> list[dict[str, Any]]:
        """Return the score alone."""
        return [msgspec.structs.asdict(score)]

    def check(self, _: Protocol) -> None:
        """Refuse nothing: no number of a protocol bounds the scores of a task."""


Row = LagRow | KeyRow | TaskRow


def with_known(kind: Any, fields: dict[str, Any]) -> Any:
    """Return the row of a run with the given fields that its kind of rows has."""
    return kind(**{name: fields[name] for name in kind.__struct_fields__ if name in fields})
