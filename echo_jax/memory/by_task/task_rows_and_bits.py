"""Define the question of a task: its rows, its bits, and its words on pages. Imports no jax."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from echo_jax.memory.protocol import TASK_RATES, Configuration, Protocol
from echo_jax.memory.question import (
    DECIMALS,
    UNKNOWN,
    Accuracy,
    Curve,
    Digest,
    MeasuredRow,
    Nat,
    Number,
    Question,
    Seeded,
    over_seeds,
)
from echo_jax.report.number_formats import plain, three_digits
from echo_jax.storage.row_file import Count


class BitsAnAnswer(Seeded):
    """The bits per answer of a task: the answers' entropy less the recalibrated cross-entropy.

    Negative bits of a seed count as 0. A task has no curve, and `at_least` is never true. The other
    fields are means over the seeds, on the final data:

    accuracy  the accuracy
    entropy   the entropy of the right answers, in bits
    baseline  the bits per answer and the accuracy of the task's baseline; null without a baseline
    majority  the share of the most frequent answer; null if no row states it
    """

    accuracy: Number
    entropy: Number
    baseline: tuple[Number, Number] | None = None
    majority: Number | None = None

    def columns(self, _: Protocol) -> dict[str, str]:
        """Return the texts of the columns beside the bits in a table, by their headings.

        The baseline is stated as its bits and its accuracy: 3.02 (97.7%).
        """
        bits, accuracy = self.baseline or (0.0, 0.0)
        baseline = f"{three_digits(bits)} ({accuracy:.1%})"
        return {
            "accuracy": f"{self.accuracy:.1%}",
            "majority": UNKNOWN if self.majority is None else f"{self.majority:.1%}",
            "entropy, bits": three_digits(self.entropy),
            "baseline": baseline if self.baseline else UNKNOWN,
        }

    @property
    def in_words(self) -> str:
        """The mean bits, of the entropy that can be reached at most: 0.98 of 1 bits an answer."""
        return f"{three_digits(self.mean)} of {three_digits(self.entropy)} {BY_TASK.words}"

    @property
    def line(self) -> Curve:
        """The curve, which has no points."""
        return (), ()


TaskName = Annotated[str, Meta(pattern=r"^[\w-]{1,90}$")]


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


class TaskRow(MeasuredRow, tag_field="question", tag="task", forbid_unknown_fields=True):
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


class _ByTask(Question):
    name, field = "task", "bits_an_answer"
    absent = UNSET
    words, suffix = "bits an answer", ""

    def pilot(self, protocol: Protocol, updates: int | None = None, /) -> list[Configuration]:
        rates = protocol.rates[:TASK_RATES]
        return [Configuration(self.name, updates or protocol.updates, x) for x in rates]

    def least_bytes(self, protocol: Protocol) -> int:
        # The steps of a task are not known here, and count as one.
        return 4 * (protocol.rows + 3 * protocol.streams)

    def measure(self, rows: Sequence[TaskRow], protocol: Protocol, /) -> BitsAnAnswer:
        """Return the bits per answer of each seed, at least 0; 0 for a row without a score."""
        finals = [row.final or TaskScore(0, 0, 0) for row in rows]
        by_seed = np.array([max(final.bits, 0.0) for final in finals])
        entropies = [final.entropy for final in finals if final.entropy]
        shares = [row.majority for row in rows if row.majority is not UNSET]
        baselines = [(row.baseline.bits, row.baseline.accuracy) for row in rows if row.baseline]
        return BitsAnAnswer(
            **over_seeds(rows, by_seed, math.inf, rows[0].curve(protocol)),
            accuracy=plain(np.mean([final.accuracy for final in finals]), DECIMALS),
            entropy=plain(np.mean(entropies or [0.0]) / math.log(2), DECIMALS),
            baseline=plain(np.mean(baselines, axis=0), DECIMALS) if baselines else None,
            majority=plain(np.mean(shares), DECIMALS) if shares else None,
        )


BY_TASK = _ByTask()
