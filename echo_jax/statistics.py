"""Compute intervals and tests over seeds, sequences until learned, and recalled bits.

No jax is needed. SciPy is imported inside the functions that need it: `scipy.stats` takes 0.6 s to
import, and nothing that `train` calls needs it.
"""

import bisect
import functools
import itertools
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


def recalled_bits(loss: float, baseline: float) -> float:
    """Return how many bits the network knows beyond a baseline: (baseline - loss) / ln 2.

    `loss` and `baseline` are cross-entropies in nats. For V uniform random integers the baseline is
    ln V, so the bits are log2 V - loss / ln 2.
    """
    return (baseline - loss) / math.log(2)


def sequences_until(accuracy: np.ndarray, threshold: float = 0.99, width: int = 20) -> int | None:
    """Return how many sequences were trained on when the mean accuracy first reached `threshold`.

    `accuracy` is float `[N]`, the accuracy of each training sequence. The mean is taken over
    `width` sequences in a row, which the count includes. The result is None if the mean never
    reaches the threshold.
    """
    if len(accuracy) < width:
        return None
    means = np.convolve(np.asarray(accuracy, np.float64), np.full(width, 1 / width), mode="valid")
    # Accuracies are float32: 18 of 1 and 2 of 0.9 have the mean 0.9899999976, which is 99%.
    reached = np.flatnonzero(means >= threshold - 1e-6)
    return int(reached[0]) + width if len(reached) else None


class Interval(NamedTuple):
    """An interval for a number that is estimated.

    low       the lower bound; infinite if the values give no finite bound
    high      the upper bound; infinite if the values give no finite bound
    coverage  the probability that such an interval contains the number, between 0 and 1
    """

    low: float
    high: float
    coverage: float


def median_interval(values: np.ndarray) -> Interval:
    """Return the exact order-statistic interval for the population median of `values`.

    The bounds are the k-th smallest and the k-th largest of the S values. The coverage is 1 - 2
    P(Binomial(S, 1/2) < k) for any continuous distribution, and no less if values are equal. The k
    is chosen whose coverage is nearest to 95%.

        S 8:  k 2, the 2nd to the 7th, 93.0%        S 16:  k 5, the 5th to the 12th, 92.3%

    `values` is float `[S]`, one per seed; infinity stands for never.
    """
    # Ranks need no mean and no deviation, which seeds that never learned, infinity, do not have.
    ordered = np.sort(np.asarray(values, np.float64))
    runs = len(ordered)
    # k ends at the middle, where the bounds would change places.
    below = np.cumsum([math.comb(runs, k) / 2**runs for k in range((runs + 1) // 2)])
    coverage = 1 - 2 * below
    k = int(np.argmin(np.abs(coverage - 0.95)))
    return Interval(float(ordered[k]), float(ordered[runs - 1 - k]), float(coverage[k]))


def wilson_interval(successes: int, trials: int) -> Interval:
    """Return the 95% score interval (Wilson 1927) for the proportion `successes` / `trials`."""
    z = NormalDist().inv_cdf(0.975)
    # Wald's interval would have no width where all seeds, or none, reached the goal.
    share = successes / trials
    widening = z**2 / trials
    centre = (share + widening / 2) / (1 + widening)
    half = z / (1 + widening) * math.sqrt(share * (1 - share) / trials + widening / trials / 4)
    # At 0 of n and at n of n rounding can move a bound past 0 or 1 by an ulp.
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0), 0.95)


class Summary(NamedTuple):
    """The median of some values, and its interval.

    median     the median; infinity if at least half of the values are infinite
    interval   the result of `median_interval`; None if there is only one value
    cut_short  True if training ended at its limit before every seed had learned
    """

    median: float
    interval: Interval | None
    cut_short: bool = False


def summary_of(values: Sequence[float | None] | np.ndarray) -> Summary:
    """Return the median of `values` and its interval; a value of None stands for never.

    300, 400, None          median 400, interval 300 to never
    300, None, None         median never
    """
    measured = np.array([math.inf if value is None else value for value in values], np.float64)
    interval = median_interval(measured) if len(measured) > 1 else None
    return Summary(float(np.median(measured)), interval)


def sign_flip_test(differences: npt.ArrayLike) -> float:
    """Return the two-sided p-value of paired `differences`, float `[S]`, under random signs.

    This is Fisher's randomisation test (Fisher 1935, section 21). If each difference is distributed
    symmetrically about 0, all 2^S assignments of signs to the S magnitudes are equally likely. p is
    the share of assignments whose |sum| is at least the observed |sum|, so p is at least 2 / 2^S.
    With more than 16 differences, 100,000 assignments are drawn with a fixed seed. For each side, c
    of them have a sum at least as extreme as the observed one, and p is twice the smaller (c + 1) /
    (100,000 + 1), but at most 1 (Phipson and Smyth 2010).

        +1 +1 +1      assignments with a sum of -3 or +3: 2 of 8, p 0.25
        +3 +1 -1      as far from 0 as +3: +-(3 + 1 + 1), +-(3 + 1 - 1) twice: 6 of 8, p 0.75

    There must be two or more differences, all finite.
    """
    return _sign_flip_test(tuple(np.asarray(differences, np.float64).tolist()))


@functools.cache  # a quarter of a second for 16 differences, which tables and answers ask for
def _sign_flip_test(differences: tuple[float, ...]) -> float:
    from scipy.stats import permutation_test

    # Of one array SciPy's "samples" exchanges the signs.
    flips = {"permutation_type": "samples", "n_resamples": 100_000, "rng": 0}
    return float(permutation_test((np.array(differences),), np.sum, **flips).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return `p_values` adjusted by Holm's step-down method (Holm 1979), in the given order.

    The i-th smallest of m values, i from 1, is multiplied by m - i + 1. No result is more than 1,
    or less than the result for a smaller p-value. Results of at most alpha may be called
    significant together: the chance that any of them is false is at most alpha, however the tests
    depend on each other. SciPy has no such function.
    """
    order = np.argsort(p_values, kind="stable")
    tests = len(order)
    stepped = np.asarray(p_values, np.float64)[order] * (tests - np.arange(tests))
    adjusted = np.empty(tests)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted.tolist()


class Comparison(NamedTuple):
    """A second result compared with a first result, pair by pair, with one pair per seed.

    median       the median of the differences, second - first
    interval     the interval of that median, from `median_interval`
    p_value      the two-sided p-value of `sign_flip_test`
    superiority  the share of pairs in which the second result is larger, ties counted half: the
                 probability of superiority, for pairs (Grissom and Kim 2012)
    """

    median: float
    interval: Interval
    p_value: float
    superiority: float


def paired_comparison(first: npt.ArrayLike, second: npt.ArrayLike) -> Comparison:
    """Return the `Comparison` of the results `first` and `second`, pair by pair.

    Both are float `[S]`, of equal seeds in equal order, with two or more seeds. All values must be
    finite, because a seed that never learned has no difference.
    """
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    return Comparison(
        median=float(np.median(differences)),
        interval=median_interval(differences),
        p_value=sign_flip_test(differences),
        superiority=float(np.mean((np.sign(differences) + 1) / 2)),
    )


# Two groups of 9 have 48,620.
MOST_SPLITS = 50_000  # of two groups, that are all counted
SHIFTS = 4096  # steps of the search of `shift_interval`
DRAWN_SPLITS = 20_000  # where there are more


def permutation_test(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return the two-sided p-value of the difference of two means under exchanged labels.

    The groups are `first`, float `[M]`, and `second`, float `[N]`. Their values are divided in all
    ways into groups of M and N. p is the share of ways in which the means differ by at least as
    much as the given means (Fisher 1935, section 21). With 8 and 8 values there are 12,870 ways, so
    p is at least 1.6e-4. If there are more than 50,000 ways, 20,000 are drawn with a fixed seed,
    and the given way is added. `scipy.stats.permutation_test` is not used, because it takes 0.8 s
    for 8 and 8 values.

        1 2 and 3 4     the six sums of two values are 3 4 5 5 6 7, and the given sum is 3;
                        3 and 7 are as far from the mean 5: 2 of 6, p 1/3
    """
    groups = np.asarray(first, np.float64), np.asarray(second, np.float64)
    values = np.concatenate(groups)
    # The values are centred and both sizes stay, so the sum of the first group alone orders the
    # ways by the difference of the means.
    distance = np.abs(splits(*map(len, groups)) @ (values - values.mean()))
    # Equal sums are rounded apart by their order; an exact comparison would lose such ties.
    return float(np.mean(distance >= distance[0] * (1 - 1e-9) - 1e-12))


def shift_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Return a 95% interval for the shift between two distributions of equal shape.

    The shift is what must be added to `second`, float `[N]`, to be distributed like `first`, float
    `[M]`. The interval holds the shifts at which `permutation_test` has a p above 5% (Efron &
    Tibshirani 1993, section 15.4). It is infinite if there are too few values for a p of 5%.
    """
    groups = np.asarray(first, np.float64), np.asarray(second, np.float64)
    middle = float(groups[0].mean() - groups[1].mean())
    widest = 4 * float(sum(np.ptp(group) for group in groups)) + 1e-9

    def end(sign: int) -> float:
        """Return the upper bound if `sign` is 1, or the lower bound if `sign` is -1.

        The bound is the first shift in this direction that the test rejects.
        """

        def told(step: int) -> bool:
            moved = groups[1] + middle + sign * widest * step / SHIFTS
            return permutation_test(groups[0], moved) <= 0.05

        # p falls as the groups move apart, and each step has the same splits, so bisection finds
        # the first step that tells them apart.
        step = bisect.bisect_left(range(SHIFTS), True, key=told)
        return sign * math.inf if step == SHIFTS else middle + sign * widest * step / SHIFTS

    return Interval(end(-1), end(1), 0.95)


@functools.cache
def splits(first: int, second: int) -> np.ndarray:
    """Return P ways to divide values into groups of the sizes `first` and `second`.

    The result is float64 `[P, first + second]`. Each row is a way, with 1 for a value of the first
    group and 0 for a value of the second. Row 0 divides the values as they are given. The other
    rows are all other ways or, if there are more than 50,000 ways, 20,000 ways that are drawn with
    a fixed seed.
    """
    whole = first + second
    if math.comb(whole, first) <= MOST_SPLITS:
        chosen = np.array(list(itertools.combinations(range(whole), first)))
    else:
        drawn = np.random.default_rng(0).random((DRAWN_SPLITS, whole)).argsort(axis=1)
        # The observed groups are one of the ways, so p is never 0 (Phipson and Smyth 2010).
        chosen = np.concatenate([np.arange(first)[None], drawn[:, :first]])
    marked = np.zeros((len(chosen), whole))
    np.put_along_axis(marked, chosen, 1.0, axis=1)
    return marked


def false_discovery(p_values: Sequence[float]) -> list[float]:
    """Return `p_values` adjusted by Benjamini and Hochberg (1995), in the given order.

    If all results of at most alpha are called significant, a share of at most alpha of them is
    expected to be false.
    """
    from scipy.stats import false_discovery_control

    return false_discovery_control(p_values).tolist() if len(p_values) else []
