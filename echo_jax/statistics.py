"""Recalled bits, when learning was done, and intervals over seeds. No jax."""

import math
from typing import NamedTuple

import numpy as np


def recalled_bits(loss: float, floor: float) -> float:
    """Bits of the target that the network knows beyond its floor: (floor - loss) / ln 2, in nats.

    For random integers the floor is ln V, and this is log2 V - loss / ln 2.
    """
    return (floor - loss) / math.log(2)


def sequences_until(accuracy: np.ndarray, threshold: float = 0.99, width: int = 20) -> int | None:
    """How many sequences it took until a running mean of `width` accuracies reached a threshold.

    Args:
      accuracy: of every training sequence, float `[N]`, in `[0, 1]`.
      threshold: what the mean has to reach.
      width: sequences in the mean.

    Returns:
      The number of sequences seen when it first did, or None if it never did.
    """
    if len(accuracy) < width:
        return None
    means = np.convolve(np.asarray(accuracy, np.float64), np.full(width, 1 / width), mode="valid")
    reached = np.flatnonzero(means >= threshold - 1e-6)
    return int(reached[0]) + width if len(reached) else None


class Interval(NamedTuple):
    """Bounds, and the probability that such an interval covers what it is an interval for."""

    low: float
    high: float
    coverage: float


def median_interval(values: np.ndarray) -> Interval:
    """The exact order-statistic interval for the median of what the values are drawn from.

    The k-th smallest and the k-th largest of S values lie on either side of the median unless
    fewer than k values do: coverage 1 - 2 P(Binomial(S, 1/2) < k), whatever the distribution
    (at least, where values tie). k is the one whose coverage is nearest to 95%.

        S 8:  k 2, the 2nd to the 7th, 93.0%        S 16:  k 5, the 5th to the 12th, 92.3%

    Args:
      values: float `[S]`, one a seed; infinity stands for never.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    runs = len(ordered)
    below = np.cumsum([math.comb(runs, k) / 2**runs for k in range((runs + 1) // 2)])
    coverage = 1 - 2 * below
    k = int(np.argmin(np.abs(coverage - 0.95)))
    return Interval(float(ordered[k]), float(ordered[runs - 1 - k]), float(coverage[k]))


def wilson_interval(successes: int, trials: int, z: float = 1.96) -> Interval:
    """Wilson's interval for a share (Wilson 1927), at z 1.96 of nominal coverage 95%."""
    share, widening = successes / trials, z**2 / trials
    centre = (share + widening / 2) / (1 + widening)
    half = z / (1 + widening) * math.sqrt(share * (1 - share) / trials + widening / trials / 4)
    coverage = math.erf(z / math.sqrt(2))
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0), coverage)
