"""The questions of a probe, and the answers of the last tokens by themselves. No jax."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from echo_jax.echo.chance import frequencies, interpolated

NATURAL = 0.01
"""Bits of a token about an earlier one, from which tokens predict one another."""


class Parts(NamedTuple):
    """Streams that heads are fitted to, that choose their penalty, and that are scored."""

    fitted: slice
    chosen: slice
    scored: slice


@dataclass(frozen=True)
class Asked:
    """The tokens 1 .. `lags` steps before the one at each of A steps, in S streams.

    Its E examples are in the order of streams, then of steps.
    """

    tokens: np.ndarray  # int32 `[S, T]`, 0 .. V-1
    classes: int  # V
    steps: np.ndarray  # int `[A]`
    lags: int  # N

    def targets(self, streams: slice) -> np.ndarray:
        """The tokens asked for, int32 `[E, N]`."""
        times = self.steps[:, None] - 1 - np.arange(self.lags)
        return self.tokens[streams][:, times].reshape(-1, self.lags)

    def contexts(self, given: int, streams: slice) -> np.ndarray:
        """The last tokens of each example as one number, int64 `[E]`: x(t) + V x(t-1) + ..."""
        times = self.steps[:, None] - np.arange(given)
        powers = self.classes ** np.arange(given, dtype=np.int64)
        return (self.tokens[streams][:, times] @ powers).ravel()

    def log_shares(self, given: int, streams: slice) -> np.ndarray:
        """The log-shares of an n-gram for each context, lag and answer, float32 `[G, N, V]`.

        Of n = `given` tokens, so G is V^n. The shares after n tokens are `interpolated` with those
        after fewer.
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
        """The cross-entropy of log-shares by stream and lag, `[S, N]`, in bits."""
        rows = logs[self.contexts(given, streams)]
        nats = -np.take_along_axis(rows, self.targets(streams)[..., None], axis=-1)[..., 0]
        return self.by_stream(nats)

    def by_stream(self, nats: np.ndarray) -> np.ndarray:
        """The mean over steps of nats `[E, N]`, by stream, `[S, N]`, in bits."""
        by_step = nats.reshape(-1, len(self.steps), self.lags)
        return by_step.mean(axis=1, dtype=np.float64) / math.log(2)


def shares_after(known: np.ndarray, answers: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """The shares of answers after each known token, `[V, V]`, interpolated with those `alone`."""
    classes = len(alone)
    pairs = known.astype(np.int64) * classes + answers
    counts = np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
    return interpolated(counts, alone)


def predict_one_another(tokens: np.ndarray, classes: int, lags: int, parts: Parts) -> bool:
    """True where a token tells something about one up to N steps before, by more than noise.

    Pairs of all steps are counted in the first part of streams `[S, T]`, and tell in the second.
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
