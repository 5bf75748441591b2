"""Baselines: the best score possible with some limited knowledge of the sequence. Pure."""

import math
from typing import NamedTuple

import numpy as np

from echo_jax.config import TaskConfig

EXACT_STEPS = 32
"""Longest window whose order-blind baseline is computed exactly; it is simulated beyond."""

WINDOWS_SEEN = 5000
"""Windows of a user's own tokens that their order-blind baseline averages over, about."""


class Baseline(NamedTuple):
    """An accuracy in [0, 1], and a loss in nats; in framing `values` a squared error."""

    accuracy: float
    loss: float


def chance_baseline(task: TaskConfig) -> Baseline:
    """The score of a guess: accuracy 1/V and loss ln V nats; in framing `values` their variance."""
    size = task.vocab_size
    variance = (size + 1) / (12 * (size - 1))  # of x / (V-1) for x uniform on 0 .. V-1
    return Baseline(1 / size, variance if task.framing == "values" else math.log(size))


def chance_distance(vocab_size: int) -> float:
    """E|x - m| for x uniform on 0 .. V-1 and m its median, the guess with the least distance."""
    return (vocab_size // 2) * (-(-vocab_size // 2)) / vocab_size


def majority_baseline(tokens: np.ndarray) -> Baseline:
    """The best score possible from the frequencies of tokens int32 `[M]`, ignoring their order.

    The most common token is right in its share of cases; the best loss is the entropy, in nats.
    """
    shares = np.unique(tokens, return_counts=True)[1] / len(tokens)
    return Baseline(float(shares.max()), float(-np.sum(shares * np.log(shares))))


def order_blind_baseline(task: TaskConfig) -> Baseline:
    """The best score possible from the values in the window, without their order.

    Each value in a window of m steps is the target with its share of the window. So the best guess
    is right with probability E[largest count] / m, and its loss is the entropy of the shares (in
    framing `values` their variance, 1 - 1/m of that of one value). A target outside the window
    leaves chance. At the start of prefixes and streams the window is as long as the sequence so
    far. The baseline is the mean over all targets.
    """
    times = task.target_times if task.layout == "streams" else task.row_times
    sizes, targets = np.unique(np.minimum(np.asarray(times) + 1, task.window), return_counts=True)
    known = (task.lag >= 0) & (task.lag < sizes)
    largest = _expected_largest_counts(int(sizes.max()), task.vocab_size)[sizes] / sizes
    chance = chance_baseline(task)
    if task.framing == "values":
        best = chance.loss * (1 - 1 / sizes)
    else:
        best = np.array([_expected_entropy(int(m), task.vocab_size) for m in sizes])
    accuracy = np.average(np.where(known, largest, chance.accuracy), weights=targets)
    loss = np.average(np.where(known, best, chance.loss), weights=targets)
    return Baseline(float(accuracy), float(loss))


def order_blind_baseline_of(tokens: np.ndarray, task: TaskConfig) -> Baseline:
    """`order_blind_baseline` for a user's own tokens, int32 `[M]`: the mean over windows of them.

    A target outside the window leaves the `majority_baseline`.
    """
    times = task.target_times if task.layout == "streams" else task.row_times
    sizes, targets = np.unique(np.minimum(np.asarray(times) + 1, task.window), return_counts=True)
    baselines = []
    for size in sizes:
        if not 0 <= task.lag < size:
            baselines.append(majority_baseline(tokens))
            continue
        starts = np.linspace(0, len(tokens) - size, max(20, WINDOWS_SEEN // len(sizes)), dtype=int)
        each = [majority_baseline(tokens[start : start + size]) for start in np.unique(starts)]
        baselines.append(Baseline(*np.mean(each, axis=0)))
    accuracy, loss = np.average(baselines, axis=0, weights=targets)
    return Baseline(float(accuracy), float(loss))


def _expected_entropy(size: int, vocab_size: int) -> float:
    """E[entropy of the shares] of `size` uniform draws, nats: a sum over the count k of a value."""
    k, p, log_factorial = np.arange(size + 1), 1 / vocab_size, _log_factorial(size)
    log_choose = log_factorial[size] - log_factorial - log_factorial[::-1]
    binomial = np.exp(log_choose + k * math.log(p) + (size - k) * math.log1p(-p))
    share = k[1:] / size
    return float(-np.sum(vocab_size * binomial[1:] * share * np.log(share)))


def _expected_largest_counts(size: int, vocab_size: int) -> np.ndarray:
    """E[largest count of a value] in m uniform draws, for m = 0 .. size: `[size + 1]`.

    Exact up to EXACT_STEPS; beyond, the mean of simulated windows, whose share of the window is
    accurate to about 0.001.
    """
    exact = [_expected_largest_count(m, vocab_size) for m in range(min(size, EXACT_STEPS) + 1)]
    if size <= EXACT_STEPS:
        return np.array(exact)
    longer = _simulated_largest_counts(size, vocab_size)[EXACT_STEPS + 1 :]
    return np.concatenate([exact, longer])


def _simulated_largest_counts(size: int, vocab_size: int) -> np.ndarray:
    """The mean largest count after m = 0 .. size draws, over some hundred sequences of draws."""
    rng = np.random.default_rng(0)
    sequences = int(np.clip(2 * 10**7 // vocab_size, 200, 2000))
    counts = np.zeros((sequences, vocab_size), np.int32)
    rows, largest, means = np.arange(sequences), np.zeros(sequences, np.int32), [0.0]
    for draw in rng.integers(0, vocab_size, (size, sequences)):
        counts[rows, draw] += 1
        largest = np.maximum(largest, counts[rows, draw])
        means.append(largest.mean())
    return np.array(means)


def _expected_largest_count(size: int, vocab_size: int) -> float:
    """E[max_v m_v] for counts m of `size` draws from `vocab_size` equally likely values.

    E[max] = sum over k of P(max > k). Counts of a fixed number of draws are independent Poisson
    counts given their sum, so P(max <= k) is the V-fold convolution of the Poisson distribution
    cut off at k, taken at `size`, over P(sum = size).
    """
    if size == 0:
        return 0.0
    poisson = _poisson(size, size / vocab_size)
    normaliser = _poisson(size, float(size))[size]
    expected = 0.0
    for k in range(size):
        capped = np.where(np.arange(size + 1) <= k, poisson, 0.0)
        at_most_k = _convolution_power(capped, vocab_size)[size] / normaliser
        if at_most_k > 1 - 1e-13:
            break
        expected += 1 - at_most_k
    return expected


def _convolution_power(distribution: np.ndarray, power: int) -> np.ndarray:
    """The `power`-fold convolution of a distribution over 0 .. m, cut to the same support."""
    size = len(distribution)
    result = np.eye(1, size)[0]
    while power:
        if power & 1:
            result = np.convolve(result, distribution)[:size]
        distribution = np.convolve(distribution, distribution)[:size]
        power >>= 1
    return result


def _poisson(largest: int, mean: float) -> np.ndarray:
    k = np.arange(largest + 1)
    return np.exp(k * math.log(mean) - mean - _log_factorial(largest))


def _log_factorial(largest: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, largest + 1)))])
