"""Prepare the streams of a probe, and refuse copies, overlaps and shifted tokens.

A network that reads x(t) has not yet been fed x(t+1), and its state nearly always tells something
about x(t). So `told_around` reads three tokens y from the state by least squares: x(t+1), x(t) and
x(t-1). Without the state, y is answered from the token before it. The state removes a share of the
squared error of this answer. The share is what the state tells about y, beyond what the token
before y tells.

    tokens late by one      the state tells about x(t+1), which was in truth the token fed
    tokens early by one     the state tells nothing about x(t), a target, but something about
                            x(t-1), which was in truth the token fed

Either sign proves a shift if tokens tell nothing about one another. If they do, a network may
predict the next token and forget the last one. Then the shares are compared, and a shift is only a
warning. An untrained network does neither on purpose, so its states are checked if they are given.

Streams that repeat or overlap are refused, because heads would be fitted to scored tokens.
"""

import math
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from echo_jax.exceptions import ConfigError
from echo_jax.learner.token_frequencies import frequencies, interpolated
from echo_jax.probing.heads import whitening

NATURAL = 0.01
"""The bits that a token must tell about an earlier token for tokens to predict one another."""

FITTED = 0.7
"""The share of the streams to which heads are fitted, unless a probe is given `scored`."""

LEAST_SCORED = 6
"""The least number of streams in each of the two parts that are not fitted."""

LEAST_STREAMS = int((LEAST_SCORED - 0.5) / ((1 - FITTED) / 2)) + 1  # as the share is rounded

PER_TOKEN = 50
"""The least number of examples per different token, even if heads have few weights."""


class Parts(NamedTuple):
    """The three parts of the streams, as slices.

    fitted  the streams that heads are fitted to
    chosen  the streams that choose the penalty of the heads and recalibrate them
    scored  the streams that are scored
    """

    fitted: slice
    chosen: slice
    scored: slice


@dataclass(frozen=True)
class ProbedStreams:
    """S streams of tokens, with the A steps after which their states are read.

    The targets of a step are the tokens 1 .. `lags` steps before the step. The E examples are
    ordered by stream, then by step.
    """

    tokens: np.ndarray  # int32 `[S, T]`, 0 .. V-1
    classes: int  # V
    steps: np.ndarray  # int `[A]`
    lags: int  # N

    def targets(self, streams: slice) -> np.ndarray:
        """Return the token at each lag for the examples in `streams`, int32 `[E, N]`."""
        times = self.steps[:, None] - 1 - np.arange(self.lags)
        return self.tokens[streams][:, times].reshape(-1, self.lags)

    def contexts(self, given: int, streams: slice) -> np.ndarray:
        """Return the last `given` tokens of each example in `streams` as a number, int64 `[E]`.

        The number is x(t) + V x(t-1) + ...
        """
        times = self.steps[:, None] - np.arange(given)
        powers = self.classes ** np.arange(given, dtype=np.int64)
        return (self.tokens[streams][:, times] @ powers).ravel()

    def log_shares(self, given: int, streams: slice) -> np.ndarray:
        """Return the logarithms of an n-gram's shares for each context, lag and answer.

        The n-gram is counted in `streams`. n is `given`, so there are G = V^n contexts, and the
        result is float32 `[G, N, V]`. The shares after n tokens are interpolated with the shares
        after fewer tokens.
        """
        targets = self.targets(streams)
        every = [frequencies(x, self.classes) for x in targets.T]
        shares = np.stack(every)[None]
        for n in range(1, given + 1):
            shape = self.classes**n, self.lags, self.classes
            place = self.contexts(n, streams)[:, None] * self.lags + np.arange(self.lags)
            answers = (place * self.classes + targets).ravel()
            counts = np.bincount(answers, minlength=math.prod(shape)).reshape(shape)
            # A context's number modulo V^(n-1) is that of the context without its oldest token.
            shares = interpolated(counts, shares[np.arange(shape[0]) % len(shares)])
        return np.log(shares).astype(np.float32)

    def bits(self, given: int, logs: np.ndarray, streams: slice) -> np.ndarray:
        """Return the cross-entropy of an n-gram on `streams` by stream and lag, `[S, N]`, in bits.

        `logs` are its `log_shares` after `given` tokens.
        """
        rows = logs[self.contexts(given, streams)]
        nats = -np.take_along_axis(rows, self.targets(streams)[..., None], axis=-1)[..., 0]
        return self.by_stream(nats)

    def by_stream(self, nats: np.ndarray) -> np.ndarray:
        """Return the mean of `nats` `[E, N]` over the steps of each stream, `[S, N]`, in bits."""
        by_step = nats.reshape(-1, len(self.steps), self.lags)
        return by_step.mean(axis=1, dtype=np.float64) / math.log(2)


def shares_after(known: np.ndarray, answers: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """Return the share of each of `answers` after each token of `known`, `[V, V]`.

    Both arrays have one shape, and an answer belongs to the token at its place. The shares are
    interpolated with `alone`, the shares of answers after any token, `[V]`.
    """
    classes = len(alone)
    pairs = known.astype(np.int64) * classes + answers
    counts = np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
    return interpolated(counts, alone)


def predict_one_another(tokens: np.ndarray, classes: int, lags: int, parts: Parts) -> bool:
    """Return True if a token tells more than noise about a token 1 .. `lags` steps earlier.

    Pairs of `tokens` `[S, T]`, which are below `classes`, are counted in the first of `parts`. What
    the pairs tell is measured in the second part.
    """
    alone = frequencies(tokens[parts.fitted], classes)
    for lag in range(1, lags + 1):
        later, earlier = tokens[:, lag:], tokens[:, :-lag]
        shares = shares_after(later[parts.fitted], earlier[parts.fitted], alone)
        # On other streams than were counted, in which each table would tell something.
        told = np.log2(shares / alone)[later[parts.chosen], earlier[parts.chosen]].mean(axis=1)
        error = told.std(ddof=1) / math.sqrt(len(told))
        if told.mean() >= max(NATURAL, 3 * error):
            return True
    return False


def least_examples(numbers: int, classes: int) -> int:
    """Return how many examples heads need.

    The heads read `numbers` numbers of a state, and tell `classes` tokens apart.
    """
    return max(numbers, PER_TOKEN) * classes


FEWEST, PER_NUMBER = 4000, 10  # examples, and for each number of a state
MOST_ANSWERS = 2**24  # examples times tokens, which are held at once
TOLD = 0.01  # least share that counts


def check_shifts(states: np.ndarray, probed: ProbedStreams, parts: Parts, dependent: bool) -> None:
    """Raise ConfigError if the `states` `[S, T, D]` show shifted tokens; warn if they may.

    If the tokens of `probed` are `dependent`, that is, predict one another, a shift is not certain.
    `parts` divides the streams.
    """
    following, last, before = told = told_around(states, probed, parts)
    late = _clear(following - last if dependent else following)
    # Where tokens are independent, early needs a clear sign of the token before (5 errors) and not
    # even a weak one of the last token (3 errors).
    early = _clear(before - 2 * last) if dependent else _clear(before) and not _clear(last, 0, 3)
    if not (late or early):
        return
    shares = "tell {:.0%} of the next token, {:.0%} of the last and {:.0%} of the last but one"
    where = "one step late" if late else "one step early, like targets"
    fix = f"pass the tokens that were fed and the whole state; these tokens seem to be {where}"
    error = ConfigError(None, "the states", shares.format(*told.mean(axis=1).clip(0)), fix)
    if not dependent:
        raise error
    # 3 is the line that calls `probe`.
    warnings.warn(str(error), stacklevel=3)


def _clear(told: np.ndarray, least: float = TOLD, errors: int = 5) -> bool:
    """Return True if the mean of `told` is above `least` and `errors` standard errors above 0."""
    return bool(told.mean() > max(least, errors * told.std(ddof=1) / math.sqrt(len(told))))


def told_around(states: np.ndarray, probed: ProbedStreams, parts: Parts) -> np.ndarray:
    """Return the share that `states` tell about x(t+1), x(t), x(t-1), by scored stream, `[3, S]`.

    Least squares are fitted on the first of `parts`, at the steps of `probed` with all these
    neighbours. Without such a step, the shares are zeros `[3, 2]`.
    """
    # x(t+1) has to be there, and x(t-2), as x(t-1) is told beyond its neighbour.
    steps = probed.steps[(probed.steps > 1) & (probed.steps < probed.tokens.shape[1] - 1)]
    if not len(steps):
        return np.zeros((3, 2))
    classes = probed.classes
    known = probed.tokens[parts.fitted]
    shares = shares_after(known[:, :-1], known[:, 1:], frequencies(known, classes))
    examples = min(max(FEWEST, PER_NUMBER * states.shape[-1]), MOST_ANSWERS // classes)
    around = steps + np.array([[1], [0], [-1]])

    def read(streams: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return states `[E, D]` of `streams`, and one-hot tokens less shares, `[3, S, A, V]`."""
        every = np.arange(streams.start, streams.stop)
        some = every[:: max(1, len(every) * len(steps) // examples)]
        before, y = (probed.tokens[some][:, around - n].swapaxes(0, 1) for n in (1, 0))
        left = np.eye(classes, dtype=np.float32)[y] - shares[before].astype(np.float32)
        seen = states[some][:, steps].reshape(len(some) * len(steps), states.shape[-1])
        return seen, left

    seen, left = read(parts.fitted)
    centre, matrix = whitening(seen)
    weights = ((seen - centre) @ matrix).T @ left.reshape(3, -1, classes) / len(seen)
    seen, left = read(parts.scored)
    answers = ((seen - centre) @ matrix @ weights).reshape(left.shape)
    products = np.sum(left * answers, axis=(2, 3))
    return products / np.sum(left**2, axis=(2, 3)).mean(axis=1, keepdims=True)


BY_CHANCE = 1e-6  # probability from which streams may be equal by chance
OVERLAPPING = 0.5  # share of streams that overlap another at one place


def check_streams(tokens: np.ndarray, classes: int) -> None:
    """Raise ConfigError unless the streams differ and do not overlap, except by chance.

    `tokens` `[S, T]` are the streams, and `classes` is V, the number of different tokens.

    The probability p of a piece of a stream follows from its pairs of neighbours. A stream occurs c
    times or more with a probability below S binom(S-1, c-1) p^(c-1). If all streams are copies of a
    few, p is too large, because the pairs are counted in these copies. Even with this p, so many
    copies cannot be chance.
    """
    pairs = shares_after(tokens[:, :-1], tokens[:, 1:], frequencies(tokens, classes))
    logs = np.log(pairs)[tokens[:, :-1], tokens[:, 1:]]
    _check_copies(tokens, logs.sum(axis=1))
    _check_overlaps(tokens, logs)


def _check_copies(tokens: np.ndarray, logs: np.ndarray) -> None:
    streams, length = tokens.shape
    _, first, copy_of, copies = np.unique(
        tokens, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    # In logarithms, as the binomial of a few thousand streams is beyond a float.
    binomial = gammaln(streams) - gammaln(copies) - gammaln(streams - copies + 1)
    chance = np.log(streams) + binomial + (copies - 1) * logs[first]
    if chance.min() < np.log(BY_CHANCE):
        worst = chance.argmin()
        one, other = np.flatnonzero(copy_of.ravel() == worst)[:2]
        rule = f"have the same {length} tokens, which cannot be chance"
        raise ConfigError(None, f"streams {one} and {other}", rule, "give each stream once")


def _check_overlaps(tokens: np.ndarray, logs: np.ndarray) -> None:
    """Raise ConfigError if many streams, from one step k on, equal the beginning of another stream.

    `logs` `[S, T - 1]` are the log-probabilities of the `tokens` `[S, T]` after their neighbours.
    Tokens that follow a rule agree by chance from step k - 1 on too, so only the increase of the
    share counts. They agree more often than pairs of neighbours predict, so the chance is computed
    with the square root of p, see `check_streams`.
    """
    streams, length = tokens.shape
    # B is odd, so that no power of it is 0 modulo 2^64.
    powers = np.full(length, 0x9E3779B97F4A7C15, np.uint64).cumprod()
    scattered = np.random.default_rng(0).integers(2**63, size=tokens.max() + 1, dtype=np.uint64)
    # The hash of the first t tokens is the sum of their numbers times B^t, modulo 2^64. So the hash
    # of a later piece is the difference of two such sums.
    begun = np.cumsum(scattered[tokens] * powers, axis=1)
    shares = [1 - len(np.unique(begun[:, -1])) / streams]
    for k in range(1, length):
        beginnings = begun[:, length - k - 1] * powers[k - 1]
        shares.append(np.isin(begun[:, -1] - begun[:, k - 1], beginnings).mean())
        chance = np.minimum(1, streams * np.exp(logs[:, k:].sum(axis=1) / 2)).mean()
        if shares[k] > shares[k - 1] + chance + OVERLAPPING:
            rule = f"begin with the last {length - k} tokens of others, which cannot be chance"
            who = f"{shares[k]:.0%} of the streams"
            raise ConfigError(None, who, rule, "cut streams that do not overlap")
