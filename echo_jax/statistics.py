"""Intervals over seeds, paired tests, times until something is learned, recalled bits. No jax."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

EXACT_PAIRS = 16
"""Up to so many pairs the sign-flip test looks at every assignment of signs, 65,536 of them."""

ASSIGNMENTS = 100_000
"""Assignments of signs drawn where there are more pairs."""


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


class Summary(NamedTuple):
    """The median of some values, infinity for never, and its interval (None: of one value)."""

    median: float
    interval: Interval | None


def summary_of(values: Sequence[float | None] | np.ndarray) -> Summary:
    """The median and its order-statistic interval; None among the values stands for never.

    300, 400, None          median 400, interval 300 to never
    300, None, None         median never
    """
    if not len(values):
        raise ValueError("Give at least one value: none has no median.")
    measured = np.array([math.inf if value is None else value for value in values], np.float64)
    interval = median_interval(measured) if len(measured) > 1 else None
    return Summary(float(np.median(measured)), interval)


NORMAL_95 = 1.959964
"""The standard normal is within it of 0 with a probability of 95%."""


class Survival(NamedTuple):
    """A step of a survival function: what is so from a time on, until that of the next step.

    time      at which something arrived
    at_risk   how many had neither arrived nor been lost from sight before it
    arrived   how many arrived at it
    share     the estimated probability of arriving later than it
    low       lower bound of that probability, of 95% for this time alone
    high      upper bound
    """

    time: float
    at_risk: int
    arrived: int
    share: float
    low: float
    high: float


def kaplan_meier(times: npt.ArrayLike, reached: npt.ArrayLike) -> list[Survival]:
    """The survival function of times of which some are known only to be longer.

    Kaplan and Meier (1958), at every time t at which d of the n still at risk arrive:

        S = product of (1 - d / n)      V = sum of d / (n (n - d))

    What was lost from sight at a time is still at risk at it. V is Greenwood's, and the bounds are
    those of log(-log S), S^exp(+-z sqrt(V) / log S). When all who are left arrive, S is 0 and V is
    not defined: the bounds are then 0, and the upper one before times 1 - 0.025^(1/n), the exact
    upper bound of a share of which there was nothing in n.

        6 arrives, 6 is lost, 7 arrives       n 3, S 2/3       then n 1, S 0

    Args:
      times: float `[N]`: when each arrived or, if it did not, until when it was watched.
      reached: bool `[N]`, whether it arrived.

    Returns:
      A step for each time at which something arrived, in their order.

    Raises:
      ValueError: the lengths differ, there is nothing, or a time is infinite or no number.
    """
    watched, arrived = _finite(times, at_least=1), np.asarray(reached, bool)
    if watched.shape != arrived.shape:
        raise ValueError(f"Give a time and whether it arrived of each, not {arrived.shape}.")
    steps: list[Survival] = []
    share, variance, high = 1.0, 0.0, 1.0
    for time in np.unique(watched[arrived]):
        n, d = int(np.sum(watched >= time)), int(np.sum(arrived & (watched == time)))
        share *= 1 - d / n
        if d == n:
            low, high = 0.0, high * (1 - 0.025 ** (1 / n))
        else:
            variance += d / (n * (n - d))
            spread = NORMAL_95 * math.sqrt(variance) / math.log(share)
            low, high = share ** math.exp(-spread), share ** math.exp(spread)
        steps.append(Survival(float(time), n, d, share, low, high))
    return steps


class SurvivalMedian(NamedTuple):
    """When half have arrived, and its interval of 95%; infinity where that is not known."""

    median: float
    low: float
    high: float


def survival_median(times: npt.ArrayLike, reached: npt.ArrayLike) -> SurvivalMedian:
    """The first time at which at most half are still to arrive, and its interval of 95%.

    The interval is of all times at which the bounds of the survival function allow one half
    (Brookmeyer and Crowley 1982, with the bounds of log(-log S)).

    Args:
      times: as of `kaplan_meier`.
      reached: the same.
    """
    steps = kaplan_meier(times, reached)
    return SurvivalMedian(
        *(
            next((step.time for step in steps if getattr(step, name) <= 0.5 + 1e-9), math.inf)
            for name in ("share", "low", "high")
        )
    )


def sign_flip_test(differences: npt.ArrayLike) -> float:
    """The two-sided p-value of paired differences whose signs are as good as random.

    Fisher's randomisation test (Fisher 1935, section 21): under the hypothesis that each
    difference is distributed symmetrically about 0, all 2^S assignments of signs to the S
    magnitudes are equally likely. p is the share of them whose |mean| is at least the observed one,
    so never less than 2 / 2^S, unless all differences are 0. Of more than 16 differences
    100,000 assignments are drawn, always the same, and p is (count + 1) / (100,000 + 1)
    (Phipson and Smyth 2010).

        +1 +1 +1      assignments with a mean of -1 or +1: 2 of 8, p 0.25
        +3 +1 -1      as far from 0 as +3: +-(3 + 1 + 1), +-(3 + 1 - 1) twice: 6 of 8, p 0.75

    Args:
      differences: float `[S]`, one a pair.

    Raises:
      ValueError: there is no difference, or one is infinite or no number.
    """
    magnitudes = _finite(differences, at_least=1)
    observed, rounding = abs(magnitudes.sum()), 1e-12 * np.abs(magnitudes).sum()
    if len(magnitudes) <= EXACT_PAIRS:
        return float(np.mean(np.abs(_every_signed_sum(magnitudes)) >= observed - rounding))
    count = np.sum(np.abs(_drawn_signed_sums(magnitudes)) >= observed - rounding)
    return float((count + 1) / (ASSIGNMENTS + 1))


def _every_signed_sum(magnitudes: np.ndarray) -> np.ndarray:
    """The sums of the S magnitudes under every assignment of signs, `[2^S]`."""
    sums = np.zeros(1)
    for magnitude in magnitudes:
        sums = np.concatenate([sums - magnitude, sums + magnitude])
    return sums


def _drawn_signed_sums(magnitudes: np.ndarray) -> np.ndarray:
    """The sums of the magnitudes under drawn assignments of signs, `[ASSIGNMENTS]`."""
    rng = np.random.default_rng(0)
    sums = np.zeros(ASSIGNMENTS)
    for magnitude in magnitudes:
        sums += rng.choice([-magnitude, magnitude], ASSIGNMENTS)
    return sums


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given.

    The i-th smallest of m, i from 1, times m - i + 1; never less than a smaller one's, never more
    than 1. Those at most alpha may be called significant together: the chance of any false one
    is at most alpha, however the tests depend on each other.
    """
    order = np.argsort(p_values, kind="stable")
    tests = len(order)
    stepped = np.asarray(p_values, np.float64)[order] * (tests - np.arange(tests))
    adjusted = np.empty(tests)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted.tolist()


class Comparison(NamedTuple):
    """What pairs say about the second of two things compared, one pair a seed.

    median       of the differences, second - first
    interval     of that median; None of one pair
    p_value      of the sign-flip test, two-sided; None of one pair
    superiority  share of pairs in which the second is larger, ties by half: the probability of
                 superiority, for pairs (Grissom and Kim 2012)
    pairs        how many there are
    """

    median: float
    interval: Interval | None
    p_value: float | None
    superiority: float
    pairs: int


def paired_comparison(first: npt.ArrayLike, second: npt.ArrayLike) -> Comparison:
    """Compare two results of the same seeds, pair by pair.

    Args:
      first: float `[S]`, one a seed.
      second: float `[S]`, of the same seeds in the same order.

    Raises:
      ValueError: there is no pair, the lengths differ, or a value is infinite or no number: the
        difference of two that never learned is not a number.
    """
    before, after = _finite(first, at_least=1), _finite(second, at_least=1)
    if len(before) != len(after):
        raise ValueError(f"Pairs need two values each, not {len(before)} and {len(after)}.")
    differences = after - before
    many = len(differences) > 1
    return Comparison(
        median=float(np.median(differences)),
        interval=median_interval(differences) if many else None,
        p_value=sign_flip_test(differences) if many else None,
        superiority=float(np.mean((np.sign(differences) + 1) / 2)),
        pairs=len(differences),
    )


class Equivalence(NamedTuple):
    """Whether a mean is as good as a target.

    mean        of the values
    interval    of that mean, by Student's t, of coverage 90%
    margin      how far from the target is as good as there
    equivalent  whether the whole interval is within the margin of the target
    """

    mean: float
    interval: Interval
    margin: float
    equivalent: bool


def mean_equivalent(values: npt.ArrayLike, target: float, margin: float) -> Equivalence:
    """Two one-sided t-tests at 5%: is the mean within a margin of the target (Schuirmann 1987)?

    Both tests reject where the 90% interval of the mean lies in target +- margin. A mean that is
    not equivalent need not differ: there may be too few values to tell.

    Args:
      values: float `[S]`, one a seed, about normal.
      target: what the mean is compared with.
      margin: above 0, in the unit of the values, chosen before they are seen.

    Raises:
      ValueError: there are fewer than two values, one is not finite, or no margin.
    """
    if not margin > 0:
        raise ValueError(f"A margin is above 0, not {margin}.")
    measured = _finite(values, at_least=2)
    mean, runs = float(measured.mean()), len(measured)
    half = t_quantile(0.95, runs - 1) * float(measured.std(ddof=1)) / math.sqrt(runs)
    interval = Interval(mean - half, mean + half, 0.9)
    within = target - margin <= interval.low and interval.high <= target + margin
    return Equivalence(mean, interval, margin, within)


def predicted_difference(
    values: npt.ArrayLike,
    others: npt.ArrayLike,
    level: float = 0.95,
    rounding: tuple[float, float] = (0.0, 0.0),
) -> tuple[float, Interval]:
    """The difference of two means, and where that of two repeats with new seeds will be.

    The difference d of the means of S and S' values has variance v = s^2 / S + s'^2 / S'; that of a
    repeat has the same around the same truth, so the two differ with variance 2 v:

        d - t sqrt(2 v)  to  d + t sqrt(2 v)

    with t of the degrees of freedom of Welch (1947), rounded down. Without the factor 2 it is his
    interval for the true difference.

    Args:
      values: float `[S]`, one a seed, about normal.
      others: float `[S']`.
      level: the probability that a repeat falls into it.
      rounding: how coarse the values of each are; a value that is anywhere within w of where it is
        known to be has w^2 / 12 of variance that the values do not show.

    Raises:
      ValueError: there are fewer than two values of one, or one is not finite.
    """
    a, b = _finite(values, at_least=2), _finite(others, at_least=2)
    difference = float(a.mean() - b.mean())
    parts = [
        (float(x.var(ddof=1)) + width**2 / 12) / len(x)
        for x, width in zip((a, b), rounding, strict=True)
    ]
    variance = sum(parts)
    if variance == 0:
        return difference, Interval(difference, difference, level)
    degrees = variance**2 / sum(v**2 / (len(x) - 1) for v, x in zip(parts, (a, b), strict=True))
    half = t_quantile((1 + level) / 2, max(1, int(degrees + 1e-9))) * math.sqrt(2 * variance)
    return difference, Interval(difference - half, difference + half, level)


def t_quantile(probability: float, degrees: int) -> float:
    """The value that Student's t of so many degrees of freedom is below with a probability.

    Bisection over theta = atan(t / sqrt(degrees)), in which the distribution is a finite sum.

    Args:
      probability: at least 1/2 and below 1.
      degrees: a whole number from 1.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        theta = (low + high) / 2
        if _t_central_probability(theta, degrees) < 2 * probability - 1:
            low = theta
        else:
            high = theta
    return math.sqrt(degrees) * math.tan(low)


def _t_central_probability(theta: float, degrees: int) -> float:
    """P(|T| < sqrt(degrees) tan theta): Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.

    odd    2/pi (theta + sin cos (1 + 2/3 cos^2 + (2 4)/(3 5) cos^4 + ...)), to cos^(degrees-2)
    even   sin (1 + 1/2 cos^2 + (1 3)/(2 4) cos^4 + ...), to cos^(degrees-2)
    """
    if degrees == 1:
        return 2 * theta / math.pi
    sine, cosine = math.sin(theta), math.cos(theta)
    k = np.arange(2 + degrees % 2, degrees - 1, 2)
    series = 1 + float(np.sum(np.cumprod((k - 1) / k * cosine**2)))
    if degrees % 2:
        return 2 / math.pi * (theta + sine * cosine * series)
    return sine * series


def _finite(values: npt.ArrayLike, at_least: int) -> np.ndarray:
    """The values as float64 `[S]`, or a ValueError: too few, infinite, no number."""
    measured = np.asarray(values, np.float64)
    if measured.ndim != 1 or len(measured) < at_least or not np.isfinite(measured).all():
        raise ValueError(f"Give a list of finite numbers, at least {at_least} of them.")
    return measured
