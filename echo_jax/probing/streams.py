"""Streams that repeat or overlap are refused: their scored tokens were fitted too. No jax."""

import numpy as np
from scipy.special import gammaln

from echo_jax.exceptions import ConfigError
from echo_jax.probing.asked import frequencies, shares_after

BY_CHANCE = 1e-6  # probability from which streams may be equal by chance
OVERLAPPING = 0.5  # share of streams that overlap another at one place


def check_streams(tokens: np.ndarray, classes: int) -> None:
    """Raise ConfigError for streams of `[S, T]` that are equal or overlap, and not by chance.

    The probability p of a piece is that of its pairs of neighbours. A stream is drawn c times or
    more with less than S binom(S-1, c-1) p^(c-1). Where streams are copies of few, p is too large,
    as it is counted in these copies; so many copies are no chance all the same.
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
        rule = f"have the same {length} tokens, which is no chance"
        raise ConfigError(None, f"streams {one} and {other}", rule, "give each stream once")


def _check_overlaps(tokens: np.ndarray, logs: np.ndarray) -> None:
    """Refuse it where streams from step k on are how others begin, for many streams and one k.

    Tokens that follow a rule agree by chance: about as often from step k - 1 on, and more often
    than pairs tell, so the chance has the square root of p.
    """
    streams, length = tokens.shape
    # B is odd, so that no power of it is 0 modulo 2^64.
    powers = np.full(length, 0x9E3779B97F4A7C15, np.uint64).cumprod()
    scattered = np.random.default_rng(0).integers(2**63, size=tokens.max() + 1, dtype=np.uint64)
    # a hash is the sum of token(t) B^t modulo 2^64: of a piece the difference of two beginnings
    begun = np.cumsum(scattered[tokens] * powers, axis=1)
    shares = [1 - len(np.unique(begun[:, -1])) / streams]
    for k in range(1, length):
        beginnings = begun[:, length - k - 1] * powers[k - 1]
        shares.append(np.isin(begun[:, -1] - begun[:, k - 1], beginnings).mean())
        chance = np.minimum(1, streams * np.exp(logs[:, k:].sum(axis=1) / 2)).mean()
        if shares[k] > shares[k - 1] + chance + OVERLAPPING:
            rule = f"begin with the last {length - k} tokens of others, which is no chance"
            who = f"{shares[k]:.0%} of the streams"
            raise ConfigError(None, who, rule, "cut streams that share no token")
