"""Define the rows of a card, which hold what each run answered. Imports no jax.

A row of any question has these methods:

    validation_bits(protocol)   the bits by which a pilot chooses; 0 without a score
    curve(protocol)             the curve on final data, of which a card states the mean over seeds
    tidy(score)                 the score of one data set as dictionaries: one for each lag or each
                                number of pairs, or a single one for a task
    check(protocol)             raises ValueError for scores that the protocol cannot give
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
"""The mean training loss of each `updates_at_once` updates of a run, in nats.

The list ends before the updates in which a loss is not finite.
"""

Version = str | UnsetType
"""The release or commit of echo_jax that made a row."""


class _OfRun(msgspec.Struct):
    """The fields that identify the run of a row, at the beginning of its line.

    seed     the seed; from `PILOT_SEED` on, the run is one of the pilot
    rate     the first learning rate
    updates  the number of updates
    """

    seed: Count
    rate: Rate
    updates: Whole

    @property
    def configuration(self) -> Configuration:
        """The configuration of the run; the tag of the row's class states its question."""
        question: Any = self.__struct_config__.tag
        return Configuration(question, self.updates, self.rate)

    @property
    def key(self) -> str:
        """The key of the run in its card, such as: seed 0, by key, rate 0.01, 3000 updates."""
        return self.configuration.run(self.seed)


class _Measured(_OfRun, kw_only=True):
    """The fields of every row that are not scores, at the end of its line.

    state_bytes  the bytes of the state as it was carried in the score; 0 without a score
    difference   the accuracy by scan less the accuracy by steps, on the validation data; 0 without
                 a score or a scan
    device       the device that made the row; null if unknown
    version      see `Version`; absent from rows of echo_jax 0.2.0.dev0 and older
    losses       see `Losses`; absent from rows of echo_jax 0.2.0.dev0 and older
    """

    state_bytes: Count = 0
    difference: float = 0.0
    device: str | None = None
    version: Version = UNSET
    losses: Losses = UNSET


class LagRow(_Measured, tag_field="question", tag="by lag", forbid_unknown_fields=True):
    """The row of a run by lag. The scores are null if a loss or a score was not finite.

    validation  the mean cross-entropy of each lag from 1, in nats, after recalibration, on streams
                drawn from the seed
    final       the mean cross-entropy on streams drawn from the seed and the trained weights
    reading     the answers of seed 0 about fixed streams after the usual updates; absent from other
                rows, and unless the protocol has 64 lags and 16 symbols
    """

    validation: Nats | None
    final: Nats | None
    reading: Reading | UnsetType = UNSET

    def validation_bits(self, protocol: Protocol) -> float:
        """Return the bits on the validation data, summed over all lags; 0 without a score."""
        return float(lag_bits(self.validation, protocol).sum())

    def curve(self, protocol: Protocol) -> np.ndarray:
        """Return the bits of each lag on the final data, `[N]`; zeros without a score."""
        return lag_bits(self.final, protocol)

    def tidy(self, score: list[float]) -> list[dict[str, Any]]:
        """Return a dictionary for each lag, from `score`, the nats of one data set."""
        return [{"lag": lag, "nats": nats} for lag, nats in enumerate(score, 1)]

    def check(self, protocol: Protocol) -> None:
        """Raise ValueError unless the scores have one number for each lag of `protocol`."""
        if any(len(x) != protocol.lags for x in (self.validation, self.final) if x):
            raise ValueError(f"nats does not have {protocol.lags} numbers, one for each lag")


class KeyRow(_Measured, tag_field="question", tag="by key", forbid_unknown_fields=True):
    """The row of a run by key. The scores are null if a loss was not finite.

    pairs           the numbers of pairs K that are scored
    queries         the number of queries at each K in each data set; `asked` in files
    validation      the number of right answers at each K on the validation data
    final           the number of right answers at each K on the final data
    associated      the number of right answers at each check: after each `updates_at_once`, about
                    `Protocol.associated` pairs in `Protocol.recalls` rows; null if unknown, or if a
                    loss was not finite
    constant_bytes  the bytes of the arrays that the program of the score holds as constants
    reading         the answers about fixed pairs after the usual updates; absent from rows of the
                    pilot and of other numbers of updates, and unless the protocol has 64 keys, 64
                    values and K = 8
    """

    pairs: Counts
    queries: Counts = msgspec.field(name="asked")
    validation: Counts | None
    final: Counts | None
    associated: list[Count] | None = None
    constant_bytes: Count = 0
    reading: KeyReading | UnsetType = UNSET

    def validation_bits(self, protocol: Protocol) -> float:
        """Return the accuracy bits on the validation data at the best K; 0 without a score."""
        right = self.accuracy(self.validation)
        return float(accuracy_bits(np.array(self.pairs), right, protocol.values).max())

    def accuracy(self, right: Sequence[int] | None) -> np.ndarray:
        """Return the share of right answers at each K, from the counts `right`; zeros for None."""
        return np.array(right or [0] * len(self.queries)) / np.array(self.queries)

    def curve(self, _: Protocol) -> np.ndarray:
        """Return the accuracy at each K on the final data; zeros without a score."""
        return self.accuracy(self.final)

    def tidy(self, score: list[int]) -> list[dict[str, Any]]:
        """Return a dictionary for each K, from `score`, the right answers in one data set."""
        each = zip(self.pairs, score, self.queries, strict=True)
        return [{"pairs": k, "right": right, "asked": queries} for k, right, queries in each]

    def updates_until_associated(self, protocol: Protocol) -> float:
        """Return the updates at the first of two consecutive checks with half of the answers right.

        The checks ask about few pairs, 4 in the standard protocol. `protocol` states how many, and
        how many updates lie between checks. The result is infinite if no two consecutive checks
        find at least half right. With 4 pairs, a list of the values answers 27% right.
        """
        half = protocol.recalls * protocol.associated * ASSOCIATES
        checks = [right >= half for right in self.associated or []]
        twice = [a and b for a, b in itertools.pairwise(checks)]
        return (twice.index(True) + 1) * protocol.updates_at_once if True in twice else math.inf

    def check(self, protocol: Protocol) -> None:
        """Raise ValueError unless `protocol` can give the pairs, queries, answers and checks."""
        if tuple(self.pairs) != protocol.pairs[: len(self.pairs)]:
            raise ValueError(f"pairs must be the first of {', '.join(map(str, protocol.pairs))}")
        if self.queries != [protocol.recalls * pairs for pairs in self.pairs]:
            raise ValueError(f"asked must have {protocol.recalls} times each number of pairs")
        for name in ("validation", "final"):
            right = getattr(self, name)
            whole = right is None or len(right) == len(self.queries)
            if not whole or any(map(int.__gt__, right or (), self.queries)):
                rule = "too many or too few numbers, or a number above the one in asked"
                raise ValueError(f"{name} has {rule}")
        checks = self.updates // protocol.updates_at_once
        if self.associated is not None and len(self.associated) != checks:
            rule = f"one after each {protocol.updates_at_once} updates"
            raise ValueError(f"associated does not have {checks} numbers, {rule}")


class MeasuredTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The task that was measured.

    name    the name of the task's file, of its class, or of the object in the file
    source  the SHA-256 of the file that defines the task; null for a task of this package, and for
            code typed at a prompt
    drawn   the SHA-256 of a draw of each part, so that other data count as another task
    """

    name: TaskName
    source: Digest | None
    drawn: Digest


class TaskScore(msgspec.Struct, forbid_unknown_fields=True):
    """The score of a run, or of a baseline, on one data set of a task.

    accuracy  the share of right answers
    nats      the mean cross-entropy of an answer, in nats; for a run, after recalibration
    entropy   the entropy of the right answers of the data set, in nats
    """

    accuracy: Accuracy
    nats: Nat
    entropy: Nat

    @property
    def bits(self) -> float:
        """The bits per answer: the entropy less the cross-entropy, which may be negative."""
        return (self.entropy - self.nats) / math.log(2)


class TaskRow(_Measured, tag_field="question", tag="task", forbid_unknown_fields=True):
    """The row of a run of a task. The scores are null if a loss or a score was not finite.

    task            the task, which is equal in all rows of a card
    validation      the score on the validation rows
    final           the score on the final rows
    constant_bytes  the bytes of the arrays that the program of the score holds as constants
    baseline        the score of the task's baseline on the final rows of this run; absent if the
                    task has no baseline, or if a loss was not finite
    majority        the share of the most frequent answer in the final rows; absent from older rows,
                    or if a loss was not finite
    """

    task: MeasuredTask
    validation: TaskScore | None
    final: TaskScore | None
    constant_bytes: Count = 0
    baseline: TaskScore | UnsetType = UNSET
    majority: Accuracy | UnsetType = UNSET

    def validation_bits(self, _: Protocol) -> float:
        """Return the bits per answer on the validation data, perhaps below 0; 0 without a score."""
        return self.validation.bits if self.validation else 0.0

    def curve(self, _: Protocol) -> np.ndarray:
        """Return an empty array, as a task has no curve."""
        return np.zeros(0)

    def tidy(self, score: TaskScore) -> list[dict[str, Any]]:
        """Return a list of one dictionary, the fields of `score`."""
        return [msgspec.structs.asdict(score)]

    def check(self, _: Protocol) -> None:
        """Accept every row, as no number of a protocol bounds the scores of a task."""


Row = LagRow | KeyRow | TaskRow


def with_known(kind: Any, fields: dict[str, Any]) -> Any:
    """Return a row of class `kind` with the entries of `fields` that this class has."""
    return kind(**{name: fields[name] for name in kind.__struct_fields__ if name in fields})
