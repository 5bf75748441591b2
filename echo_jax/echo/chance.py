"""Compute baselines: the scores of guesses with limited knowledge of the sequence. Pure."""

import math
from typing import Any, NamedTuple

import numpy as np

from echo_jax.config import RunConfig, TaskConfig
from echo_jax.learner.token_frequencies import frequencies, interpolated

EXACT_STEPS = 32
"""The most values fed for which the order-blind accuracy is exact; with more it is simulated."""

WINDOWS_SEEN = 5000
"""How many windows or targets of a user's own tokens a baseline averages over.

An order-blind baseline averages over about this many windows, the scores of persistence and of a
k-gram over at most this many targets."""

MOST_GRAM = 5
"""The largest k of a k-gram, which is the number of values in its context."""


class Baseline(NamedTuple):
    """The scores of a guess: an accuracy in [0, 1], and a loss in nats.

    In framing `values` the loss is a mean squared error.
    """

    accuracy: float
    loss: float


def chance_baseline(task: TaskConfig) -> Baseline:
    """Return the scores of a guess among the V values of `task`: accuracy 1/V, loss ln V nats.

    In framing `values` the loss is the variance of the values, which are scaled to [0, 1].
    """
    size = task.vocab_size
    variance = (size + 1) / (12 * (size - 1))  # of x / (V-1) for x uniform on 0 .. V-1
    return Baseline(1 / size, variance if task.framing == "values" else math.log(size))


def chance_distance(vocab_size: int) -> float:
    """Return E|x - m| for x uniform on 0 .. V-1, V = `vocab_size`, and the median m of x.

    The median is the guess with the least expected distance.
    """
    return (vocab_size // 2) * (-(-vocab_size // 2)) / vocab_size


def majority_baseline(tokens: np.ndarray, untrained: np.ndarray | None = None) -> Baseline:
    """Return the best scores possible from the frequencies of `tokens`, int32 `[M]`, alone.

    The accuracy is the share of the most common token among all tokens. A network never answers
    with a token in `untrained`, so the most common of the other tokens counts; without other
    tokens, the accuracy is 0. The loss is the entropy of all tokens in nats.
    """
    values, counts = np.unique(tokens, return_counts=True)
    shares = counts / len(tokens)
    possible = shares if untrained is None else shares[~np.isin(values, untrained)]
    # Nothing is possible where all tokens are untrained: accuracy 0.
    return Baseline(float(possible.max(initial=0.0)), float(-np.sum(shares * np.log(shares))))


def order_blind_baseline(config: RunConfig) -> Baseline:
    """Return the best scores possible from the values that a window feeds, without their order.

    A value that occurs c times among the m values fed is the target with probability c / m. So the
    best guess is right with probability E[largest c] / m, and its loss is the expected entropy of
    the shares c / m. In framing `values` the loss is the expected variance of the m values: 1 - 1/m
    times the variance of one value. For a target outside the window, the chance baseline counts.
    The result is the mean over the targets of `config`.
    """
    task = config.task
    sizes, targets = _values_fed(config)
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


def order_blind_baseline_of(
    tokens: np.ndarray, config: RunConfig, untrained: np.ndarray | None = None
) -> Baseline:
    """Return the order-blind baseline of `config` on a user's own `tokens`, int32 `[M]`.

    The result is the mean over evenly spaced windows, each scored by the `majority_baseline` of its
    tokens. For a target outside the window, the majority baseline of all tokens counts. A network
    never answers with a token in `untrained`.
    """
    sizes, targets = _values_fed(config)
    baselines = []
    for size in sizes:
        if not 0 <= config.task.lag < size:
            baselines.append(majority_baseline(tokens, untrained))
            continue
        # Evenly spaced and not drawn: a baseline is the same number each time.
        starts = np.linspace(0, len(tokens) - size, max(20, WINDOWS_SEEN // len(sizes)), dtype=int)
        windows = (tokens[start : start + size] for start in np.unique(starts))
        each = [majority_baseline(window, untrained) for window in windows]
        baselines.append(Baseline(*np.mean(each, axis=0)))
    accuracy, loss = np.average(baselines, axis=0, weights=targets)
    return Baseline(float(accuracy), float(loss))


def _values_fed(config: RunConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of values that windows feed, and how many targets have each number.

    The first array has the different numbers in ascending order, and the second has the targets of
    `config` in a sequence, counted for each number. At the start of prefixes and streams, the
    window feeds all values so far. In streams without a carried state, the window feeds the values
    of the chunk so far. The cell mlp sees at most the values in its delay line.
    """
    task = config.task
    times = np.asarray(task.scored_times)
    if task.layout == "streams" and not config.network.stateful:
        times = times % task.window
    most = min(task.window, config.values_in_line or task.window)
    return np.unique(np.minimum(times + 1, most), return_counts=True)


def ordered_baselines(
    training: np.ndarray, held_out: np.ndarray, task: TaskConfig
) -> dict[str, float]:
    """Return k and the scores of persistence and of a k-gram, for a target outside the window.

    The names in the result are fields of `result.Scores`. The k-gram is fitted to `training`,
    int32 `[M]`, and both predictors are scored on `held_out`, int32 `[M']`. Persistence repeats the
    value in the window that is nearest to the target. A target counts as often as evaluations of
    `task` ask for it on average.
    """
    times, weights = asked_times(len(held_out), task)
    nearest = times - (task.window - 1 if task.lag > 0 else 0)
    persistent = held_out[nearest] == held_out[times - task.lag]
    k, gram = k_gram_baseline(training, held_out, task)
    return {
        "persistence_accuracy": float(np.average(persistent, weights=weights)),
        "k_gram": k,
        **{f"k_gram_{name}": score for name, score in gram._asdict().items()},
    }


def steps_to_target(task: TaskConfig) -> int:
    """Return the number of steps between a target outside the window and the nearest value in it.

    lag -1:  x(t+1) from x(t), 1      W 5, lag 7:  x(t-7) from x(t-4), 3
    """
    return -task.lag if task.lag < 0 else task.lag - task.window + 1


def asked_times(length: int, task: TaskConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the times at which a network is asked, and how many sequences ask at each time.

    The times are in a held-out part of `length` values, from which sequences of `task` are cut at
    every place. Times that are too early for the longest context of a k-gram are left out. At most
    WINDOWS_SEEN evenly spaced times are kept.
    """
    # Every k is scored at the same times, which the longest context must reach.
    early = min(task.window, MOST_GRAM, length - steps_to_target(task)) - 1
    counts = np.zeros(length, int)
    for time in task.scored_times:
        counts[time : length - task.length + time + 1] += 1
    times = np.flatnonzero(counts[early:]) + early
    if len(times) > WINDOWS_SEEN:
        times = times[np.linspace(0, len(times) - 1, WINDOWS_SEEN, dtype=int)]
    return times, counts[times]


def k_gram_baseline(
    training: np.ndarray, held_out: np.ndarray, task: TaskConfig
) -> tuple[int, Baseline]:
    """Return k and the scores of the k-gram that has the least loss on `held_out`, int32 `[M']`.

    A k-gram predicts a target outside the window of `task` from the k values in the window that are
    nearest to the target. k is at most 5 and at most the window. The k-grams are fitted to
    `training`, int32 `[M]`: the shares after a context of k values are `interpolated` with the
    shares after a shorter context.
    """
    scores = []
    for target, *counted in _targets_and_counts(training, held_out, task):
        shares = frequencies(training, task.vocab_size)
        by_k = []
        for values, counts in counted:
            found = np.zeros_like(shares)
            found[values] = counts
            shares = interpolated(found, shares)
            by_k.append((shares.argmax() == target, -math.log(shares[target])))
        scores.append(by_k)
    means = np.average(scores, axis=0, weights=asked_times(len(held_out), task)[1])
    best = int(means[:, 1].argmin())
    return best + 1, Baseline(*means[best].tolist())


def _targets_and_counts(training: np.ndarray, held_out: np.ndarray, task: TaskConfig) -> Any:
    """Return an iterator over the held-out targets at `asked_times`, each with counts.

    An item is a tuple (target, counts_1, counts_2, ...). counts_k belongs to the context of the k
    values nearest to the target. It is a pair of arrays: the different targets that this context
    has in `training`, and how often it has each of them. Memory grows in proportion to the tokens.
    """
    steps = steps_to_target(task)
    size = task.vocab_size
    most = min(task.window, MOST_GRAM, len(training) - steps, len(held_out) - steps)
    onwards = -1 if task.lag > 0 else 1  # a past target is foretold backwards
    tokens = np.concatenate([training[::onwards], held_out[::onwards]]).astype(np.int64)
    fitted = np.arange(most - 1, len(training) - steps)  # the ends of contexts
    times = asked_times(len(held_out), task)[0]
    asked = len(training) + (times if task.lag < 0 else len(held_out) + task.window - 2 - times)
    contexts = np.zeros_like(tokens)
    counted = []
    for k in range(most):
        # Renumbered for each k: 5 values of V above 6,208 would overflow int64 as one number.
        # `roll` wraps round into the first k places, where no context of `fitted` ends.
        contexts = np.unique(contexts * size + np.roll(tokens, k), return_inverse=True)[1]
        after = contexts[fitted] * size + tokens[fitted + steps]
        pairs, counts = np.unique(after, return_counts=True)
        # `pairs` is sorted, so all targets of a context lie side by side.
        borders = np.searchsorted(pairs, [contexts[asked] * size, (contexts[asked] + 1) * size])
        values = pairs % size
        counted.append([(values[a:b], counts[a:b]) for a, b in borders.T])
    return zip(tokens[asked + steps], *counted, strict=True)


def _expected_entropy(size: int, vocab_size: int) -> float:
    """Return the expected entropy, in nats, of the shares of the values in `size` uniform draws.

    There are `vocab_size` values. The expectation is a sum over k, the count of one value.
    """
    k = np.arange(size + 1)
    p = 1 / vocab_size
    log_factorial = _log_factorial(size)
    # In logarithms: 171! overflows float64, and windows may be longer.
    log_choose = log_factorial[size] - log_factorial - log_factorial[::-1]
    binomial = np.exp(log_choose + k * math.log(p) + (size - k) * math.log1p(-p))
    share = k[1:] / size
    return float(-np.sum(vocab_size * binomial[1:] * share * np.log(share)))


def _expected_largest_counts(size: int, vocab_size: int) -> np.ndarray:
    """Return E[largest count of a value] in m uniform draws, for m = 0 .. size: `[size + 1]`.

    There are `vocab_size` values. The result is exact for m up to EXACT_STEPS. For larger m it is
    a mean over simulated windows; as a share of m, it is accurate to about 0.001.
    """
    exact = [_expected_largest_count(m, vocab_size) for m in range(min(size, EXACT_STEPS) + 1)]
    if size <= EXACT_STEPS:
        return np.array(exact)
    longer = _simulated_largest_counts(size, vocab_size)[EXACT_STEPS + 1 :]
    return np.concatenate([exact, longer])


def _simulated_largest_counts(size: int, vocab_size: int) -> np.ndarray:
    """Return the mean largest count of a value after m = 0 .. `size` draws, `[size + 1]`.

    The mean is over 200 to 2,000 simulated sequences, fewer for a large `vocab_size`.
    """
    # A fixed seed: a baseline is the same number each time.
    rng = np.random.default_rng(0)
    # The counts are `[sequences, V]` int32: 80 MB at V from 10,000 to 100,000, and more beyond.
    sequences = int(np.clip(2 * 10**7 // vocab_size, 200, 2000))
    counts = np.zeros((sequences, vocab_size), np.int32)
    rows = np.arange(sequences)
    largest = np.zeros(sequences, np.int32)
    means = [0.0]
    for draw in rng.integers(0, vocab_size, (size, sequences)):
        counts[rows, draw] += 1
        largest = np.maximum(largest, counts[rows, draw])
        means.append(largest.mean())
    return np.array(means)


def _expected_largest_count(size: int, vocab_size: int) -> float:
    """Return E[max_v m_v] for counts m of `size` draws from `vocab_size` equally likely values.

    E[max] = sum over k of P(max > k). Counts of a fixed number of draws are distributed as
    independent Poisson counts, given the sum of these counts. So P(max <= k) is a ratio. Its
    numerator is the V-fold convolution of the Poisson distribution cut off at k, taken at `size`,
    for V = `vocab_size`. Its denominator is P(sum = size).
    """
    if size == 0:
        return 0.0
    poisson = _poisson(size, size / vocab_size)
    normaliser = _poisson(size, float(size))[size]
    expected = 0.0
    for k in range(size):
        capped = np.where(np.arange(size + 1) <= k, poisson, 0.0)
        at_most_k = _convolution_power(capped, vocab_size)[size] / normaliser
        # P(max > k) falls with k: what is left is below the rounding of the convolutions.
        if at_most_k > 1 - 1e-13:
            break
        expected += 1 - at_most_k
    return expected


def _convolution_power(distribution: np.ndarray, power: int) -> np.ndarray:
    """Return the `power`-fold convolution of the `distribution` over 0 .. m, cut to 0 .. m."""
    size = len(distribution)
    result = np.eye(1, size)[0]
    # By squaring: log2 V convolutions, 16 for V = 50,000.
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
