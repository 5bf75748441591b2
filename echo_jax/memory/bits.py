"""Compute the bits of a run's answers, and the bits of several seeds. Imports no jax."""

import functools
import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from echo_jax.memory.protocol import CEILING, Protocol
from echo_jax.report.number_formats import number, plain, three_digits
from echo_jax.storage.row_file import Count

DECIMALS = ".4f"  # of the numbers of a card

UNCONVOLVED = 4
"""The first lag that the convolution of a block does not see."""

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


class BitsByLag(Seeded):
    """The bits of the state about the tokens 1 .. N steps back; N is 64 in the standard protocol.

    from_lag_4  the sum of the bits of lags 4 .. N, as the mean over the seeds; the convolution of a
                block sees only lags 1 to 3
    """

    from_lag_4: Number

    def columns(self, _: Protocol) -> dict[str, str]:
        """Return the texts of the columns beside the bits in a table, by their headings."""
        return {"lags 4 on": three_digits(self.from_lag_4)}

    @property
    def line(self) -> Curve:
        """The curve: the lags, and the mean bits of each lag."""
        return range(1, len(self.curve) + 1), self.curve


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
    def line(self) -> Curve:
        """The curve, which has no points."""
        return (), ()


Bits = BitsByLag | BitsByKey | BitsAnAnswer


def lag_bits(nats: Sequence[float] | None, protocol: Protocol) -> np.ndarray:
    """Return the bits of each lag, at least 0, `[N]`; zeros if there are no `nats`.

    `nats` is the cross-entropy of each lag, or None; `protocol` states how many symbols there are.
    """
    if nats is None:
        return np.zeros(protocol.lags)
    bits = math.log2(protocol.symbols) - np.asarray(nats, np.float64) / math.log(2)
    # Tokens are uniform, so a factor of 0 makes each head a guess of log2 V bits: a value below 0
    # is noise of the recalibration.
    return np.maximum(bits, 0.0)


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
