"""Answers as bits, from nats by lag and accuracies by key. No jax."""

import functools
import math
from collections.abc import Sequence

import numpy as np


def bits_of_lags(nats: Sequence[float] | np.ndarray, symbols: int) -> np.ndarray:
    """log2 V less the nats of each lag in bits; about 0 on either side where nothing is known."""
    return math.log2(symbols) - np.asarray(nats, np.float64) / math.log(2)


def accuracy_bits(pairs: np.ndarray, accuracy: np.ndarray, values: int) -> np.ndarray:
    """The bits about the values of K pairs, each one of M, by answers of this accuracy, by Fano.

        K (log2 M - h(e) - e log2(M - 1))       e = 1 - accuracy, at most 1 - 1/M

    h is the binary entropy in bits (Cover & Thomas 2006, section 2.10).
    """
    wrong = np.clip(1 - np.asarray(accuracy, np.float64), 0.0, 1 - 1 / values)
    entropy = -sum(x * np.log2(np.where(x > 0, x, 1.0)) for x in (wrong, 1 - wrong))
    each = math.log2(values) - entropy - wrong * math.log2(values - 1)
    return np.asarray(pairs) * np.maximum(each, 0.0)


@functools.cache
def accuracy_of_list(pairs: int, values: int) -> float:
    """The accuracy of one that knows which values occurred, and not with which keys.

    It answers each question with the most frequent value, so it is E[max count] / K for K
    independent values of M. P(max <= m) = K! / M^K times the coefficient of x^K in
    (sum_(j <= m) x^j / j!)^M.
    """
    at_most = []
    for most in range(pairs):
        term = np.array([1 / math.factorial(j) for j in range(most + 1)])
        power = np.ones(1)
        for _ in range(values):
            power = np.convolve(power, term)[: pairs + 1]
        share = power[pairs] if len(power) > pairs else 0.0
        at_most.append(share * math.factorial(pairs) / float(values) ** pairs)
    return (pairs - sum(at_most)) / pairs  # E[max] = sum over m of P(max > m), m = 0 .. K - 1
