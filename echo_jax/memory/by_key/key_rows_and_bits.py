"""Define the question by key: its rows, its bits, and its words on pages. Imports no jax."""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from echo_jax.memory.face_answers import PAIRS, PIXELS, VALUES, KeyReading
from echo_jax.memory.protocol import (
    ASSOCIATES,
    Configuration,
    Protocol,
)
from echo_jax.memory.question import (
    DECIMALS,
    UNKNOWN,
    Counts,
    Curve,
    MeasuredRow,
    Number,
    Question,
    Seeded,
    over_seeds,
)
from echo_jax.report.number_formats import number, plain
from echo_jax.storage.row_file import Count


class BitsByKey(Seeded):
    """The bits about the values of K pairs, for each seed at the K that is best on validation data.

    pairs       the numbers of pairs K of the curves
    curves      the accuracy of each seed at each K on the final data
    associated  the median over the seeds of the updates until a network associates, see
                `updates_until_associated`; null if unknown, or if half of the seeds never associate
    never       how many seeds never associate; 0 if unknown
    """

    pairs: list[Count]
    curves: list[list[Number]]
    associated: Number | None
    never: Count

    def columns(self, protocol: Protocol) -> dict[str, str]:
        """Return the text of the updates until a network associates, by the heading of its column.

        The text is the median, such as 600 or 600 (1 never); without a median it is never (2 of 4),
        never for all seeds, or "-" if unknown. `protocol` states the number of pairs for the
        heading.
        """
        never, seeds = self.never, len(self.seeds)
        few = f" ({never} of {seeds})" if never < seeds else ""
        text = f"never{few}" if never else UNKNOWN
        if self.associated is not None:
            text = number(self.associated) + (f" ({never} never)" if never else "")
        return {f"half of {protocol.associated} pairs after": text}

    @property
    def line(self) -> Curve:
        """The curve: the numbers of pairs, and the mean accuracy at each number."""
        return self.pairs, self.curve


def accuracy_bits(pairs: np.ndarray, accuracy: np.ndarray | float, values: int) -> np.ndarray:
    """Return how many bits answers tell at least about the values of K pairs (Fano's inequality).

        K (log2 M - h(e) - e log2(M - 1))       e = 1 - accuracy, at most 1 - 1/M

    `pairs` are the numbers K, and `accuracy` is the share of right answers at each K, or one
    number for all. Each value is one of M = `values`. h is the binary entropy in bits (Cover &
    Thomas 2006, section 2.10).
    """
    # Bits from the cross-entropy would reward a memory that knows the values but not their keys: it
    # would have 35.6 bits at K = 16.
    wrong = np.clip(1 - np.asarray(accuracy, np.float64), 0.0, 1 - 1 / values)
    # 0 log 0 counts as 0.
    entropy = -sum(x * np.log2(np.where(x > 0, x, 1.0)) for x in (wrong, 1 - wrong))
    each = math.log2(values) - entropy - wrong * math.log2(values - 1)
    return np.asarray(pairs) * np.maximum(each, 0.0)


@functools.cache
def accuracy_of_list(pairs: int, values: int) -> float:
    """Return the accuracy of a list of the values, a memory that knows the values but not the keys.

    The list answers each query with the most frequent value, so its accuracy is E[max count] / K
    for K = `pairs` independent values of M = `values`. P(max <= m) = K! / M^K times the coefficient
    of x^K in (sum_(j <= m) x^j / j!)^M.
    """
    at_most = []
    for most in range(pairs):
        term = np.array([1 / math.factorial(j) for j in range(most + 1)])
        power = np.ones(1)
        for _ in range(values):
            # No higher power of x than K is needed.
            power = np.convolve(power, term)[: pairs + 1]
        share = power[pairs] if len(power) > pairs else 0.0
        at_most.append(share * math.factorial(pairs) / float(values) ** pairs)
    return (pairs - sum(at_most)) / pairs  # E[max] = sum over m of P(max > m), m = 0 .. K - 1


class KeyRow(MeasuredRow, tag_field="question", tag="by key", forbid_unknown_fields=True):
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


class _ByKey(Question):
    name, field = "by key", "bits_by_key"
    long_pilot = True
    words, suffix, digits, short = "bits by key", " by key", ".3f", "key"
    title = "Values recalled by their keys, by the number of pairs"
    curves, x_label, y_label = "recall", "pairs of a key and a value", "values recalled"
    reading = (
        "How many values of so many pairs are recalled by their keys? The number is the bits at "
        "the number of pairs that is best on validation data. Dashed: a list of the values, which "
        "knows the values that occurred but not their keys."
    )

    def pilot(self, protocol: Protocol, _: int | None = None, /) -> list[Configuration]:
        return [Configuration(self.name, protocol.updates, x) for x in protocol.rates_by_key]

    def least_bytes(self, protocol: Protocol) -> int:
        """Return the bytes of all rows' tokens and of one batch's logits, at `pairs_of_small`."""
        most = protocol.pairs_of_small
        sets = 2 * len(protocol.pairs_up_to(most)) * protocol.recalls
        return 12 * most * (sets + protocol.rows * (1 + protocol.values))

    def measure(self, rows: Sequence[KeyRow], protocol: Protocol, /) -> BitsByKey:
        """Return the accuracy bits of each seed at the K that is best on its validation data."""
        pairs = np.array(rows[0].pairs)
        validation = np.array([row.accuracy(row.validation) for row in rows])
        final = np.array([row.curve(protocol) for row in rows])
        # K is chosen on other rows than are scored: the best of up to 14 scores is too high by
        # chance.
        best = np.argmax(accuracy_bits(pairs, validation, protocol.values), axis=1)
        by_seed = accuracy_bits(pairs, final, protocol.values)[np.arange(len(rows)), best]
        most = pairs[-1] * math.log2(protocol.values)
        measured = over_seeds(rows, by_seed, most, final.mean(axis=0))
        measured["at_least"] |= bool((best == len(pairs) - 1).any())
        known = [row for row in rows if row.associated and row.final is not None]
        failed = [row for row in rows if row.final is None]
        # A run that failed counts as never, but older rows do not know, and then nothing is said.
        until = [row.updates_until_associated(protocol) for row in [*known, *failed] if known]
        median = float(np.median(until)) if until else math.inf
        return BitsByKey(
            **measured,
            pairs=pairs.tolist(),
            curves=plain(final, DECIMALS),
            associated=plain(median, DECIMALS),
            never=until.count(math.inf),
        )

    def tokens(self, protocol: Protocol, /) -> int:
        return protocol.tokens

    def has_picture(self, protocol: Protocol, _: int = 0, /) -> bool:
        """Return True for every seed if the numbers of `protocol` fit the picture.

        Every seed is read, as some seeds associate and some do not.
        """
        fewest = protocol.pairs_up_to(min(protocol.pairs_of_small, protocol.pairs_of_large))
        return (protocol.keys, protocol.values) == (PIXELS, VALUES) and PAIRS in fewest


BY_KEY = _ByKey()
