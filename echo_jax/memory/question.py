"""Define what every question of a card has: rows, bits, and words. Imports no jax.

A row of any question has these methods:

    validation_bits(protocol)   the bits by which a pilot chooses; 0 without a score
    curve(protocol)             the curve on final data, of which a card states the mean over seeds
    tidy(score)                 the score of one data set as dictionaries: one for each lag or each
                                number of pairs, or a single one for a task
    check(protocol)             raises ValueError for scores that the protocol cannot give
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar
from typing import Protocol as Interface

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from echo_jax.memory.protocol import (
    CEILING,
    Configuration,
    Protocol,
    QuestionName,
    Rate,
    Whole,
)
from echo_jax.report.number_formats import plain, three_digits
from echo_jax.storage.row_file import Count

DECIMALS = ".4f"  # of the numbers of a card


AT_LEAST = "\u2265"  # before a number that is a bound


UNKNOWN = "-"  # in a table


Number = Annotated[float, Meta(ge=-1e9, le=1e9)]


Curve = tuple[Sequence[float], Sequence[float]]


class Seeded(msgspec.Struct, forbid_unknown_fields=True):
    """The bits by one question, measured with several seeds.

    mean       the mean bits over the seeds
    low        the bits of the lowest seed; null for a single seed
    high       the bits of the highest seed; null for a single seed. For 8 seeds, low to high is a
               99% interval for the median
    seeds      the seeds, in order
    by_seed    the bits of each seed
    at_least   whether the mean is within 5% of the most that can be measured, or by key a seed is
               best at Kmax
    curve      by lag, the mean bits of each lag; by key, the mean accuracy at each K; empty for a
               task
    """

    mean: Number
    low: Number | None
    high: Number | None
    seeds: list[Count]
    by_seed: list[Number]
    at_least: bool
    curve: list[Number]

    @property
    def mean_text(self) -> str:
        """The mean bits as text, with a mark if the mean is a bound: \u2265157."""
        return f"{AT_LEAST if self.at_least else ''}{three_digits(self.mean)}"

    @property
    def in_words(self) -> str:
        """The mean bits in words, for the line of progress of a run: 157 bits."""
        return f"{three_digits(self.mean)} bits"

    def text(self, seeds: int, words: str = "") -> str:
        """Return the mean, `words`, and the lowest and the highest seed: 157 bits (150 to 164).

        If fewer than `seeds` seeds were measured, their number is stated: \u2265157 (3 of 4).
        """
        more = []
        if self.low is not None and self.high is not None:
            more.append(f"{three_digits(self.low)} to {three_digits(self.high)}")
        if len(self.seeds) < seeds:
            more.append(f"{len(self.seeds)} of {seeds}")
        brackets = f"({'; '.join(more)})" if more else ""
        return " ".join(filter(None, [self.mean_text, words, brackets]))


def over_seeds(
    rows: Sequence[Any], values: np.ndarray, most: float, curve: np.ndarray
) -> dict[str, Any]:
    """Return the fields of `Seeded` as plain numbers and lists, rounded to four decimals.

    Args:
      rows: one row for each seed, in the order of seeds.
      values: the bits of each row.
      most: the most bits that can be measured; infinite if there is no such limit.
      curve: the mean over the seeds of their curves.
    """
    several = len(values) > 1
    fields = {
        "mean": values.mean(),
        "low": values.min() if several else None,
        "high": values.max() if several else None,
        "seeds": [row.seed for row in rows],
        "by_seed": values,
        "at_least": values.mean() >= CEILING * most,
        "curve": curve,
    }
    return plain(fields, DECIMALS)


NATS = ".3f"  # of a row: the sum over 64 lags moves by 0.01 bits at most that was seen


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


class MeasuredRow(_OfRun, kw_only=True):
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


def with_known(kind: Any, fields: dict[str, Any]) -> Any:
    """Return a row of class `kind` with the entries of `fields` that this class has."""
    return kind(**{name: fields[name] for name in kind.__struct_fields__ if name in fields})


class Question(Interface):
    """A question that a card answers in bits, such as `BY_LAG`.

    Its network, data and loss, which need jax, are in a `measurement.Measurement`.

    name         the name in configurations and rows; in the flag `--only` with a hyphen
    field        the field of a card that holds the bits
    absent       the value of that field if nothing was measured
    has_budgets  whether a full card also has runs with other numbers of updates
    long_pilot   whether only a full card has a pilot, because the pilot takes longer than the other
                 runs of a default card
    words        the words for the bits on pages
    suffix       the end of the table headings for the question's rates and numbers of updates

    A question with curves also sets:

    digits            the format of the values of a curve on the page on which cards are explored
    short             the name in the address of that page
    title             the title of the curves on that page
    curves            the name of the curves, and of the files of their figures
    x_label, y_label  the labels of the axes
    reading           how to read the figures; {most} in the text becomes the most bits of a token
    """

    name: ClassVar[QuestionName]
    field: ClassVar[str]
    absent: ClassVar[UnsetType | None] = None
    has_budgets: ClassVar[bool] = False
    long_pilot: ClassVar[bool] = False
    words: ClassVar[str]
    suffix: ClassVar[str]
    digits: ClassVar[str] = ""
    short: ClassVar[str] = ""
    title: ClassVar[str] = ""
    curves: ClassVar[str] = ""
    x_label: ClassVar[str] = ""
    y_label: ClassVar[str] = ""
    reading: ClassVar[str] = ""

    def pilot(self, protocol: Protocol, updates: int | None = None, /) -> list[Configuration]:
        """Return the configurations among which the pilot chooses, by the rates of `protocol`.

        On a task, their number of updates is `updates`, or the usual one; other questions ignore
        `updates`.
        """

    def least_bytes(self, protocol: Protocol) -> int:
        """Return a lower bound of the bytes that data sets and logits take under `protocol`."""

    def measure(self, rows: Sequence[Any], protocol: Protocol, /) -> Any:
        """Return the bits of `rows` of one configuration: one row for each seed, in order.

        The bits of a row depend on the numbers of `protocol`.
        """

    def tokens(self, _: Protocol, /) -> int:
        """Return how many different tokens a cell is fed; 0 on a task, which has its own number."""
        return 0

    def has_picture(self, _: Protocol, _seed: int = 0, /) -> bool:
        """Return True if a picture is drawn from the answers of a run, by its protocol and seed."""
        return False
