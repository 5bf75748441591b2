"""Are states and tokens in step? What least squares read of the tokens around the last one. No jax.

The state after token x(t) was never fed x(t+1), and nearly always tells something about x(t). So
three tokens y are read from it: x(t+1), x(t) and x(t-1). What is told of y is the share of the
squared error that a fit takes off the answer from the token before y, so it leaves out what
neighbours tell about one another.

    tokens late by one      x(t+1) is told, as it is the token that was fed in truth
    tokens early by one     x(t), the target, is not told, and x(t-1), the token fed, is

Both prove it where tokens tell nothing about one another. Where they do, a network may predict the
next token and forget the last one, so what is told of them is compared, with a warning. Before
training it does neither on purpose: so these states are asked, if they are there.

Streams that repeat or overlap are refused: their scored tokens were fitted too. No jax.
"""

import math
import warnings

import numpy as np
from scipy.special import gammaln

from echo_jax.echo.chance import frequencies
from echo_jax.exceptions import ConfigError
from echo_jax.memory.probe.heads import whitening
from echo_jax.memory.probe.probed_answers import Asked, Parts, shares_after

FEWEST, PER_NUMBER = 4000, 10  # examples, and for each number of a state
MOST_ANSWERS = 2**24  # examples times tokens, which are held at once
TOLD = 0.01  # least share that counts


def check_shifts(states: np.ndarray, asked: Asked, parts: Parts, dependent: bool) -> None:
    """Raise ConfigError for states `[S, T, D]` that show shifted tokens; warn where they may be."""
    following, last, before = told = told_around(states, asked, parts)
    late = _clear(following - last if dependent else following)
    # Where tokens are independent, early needs a clear sign of the token before (5 errors) and not
    # even a weak one of the last token (3 errors).
    early = _clear(before - 2 * last) if dependent else _clear(before) and not _clear(last, 0, 3)
    if not (late or early):
        return
    shares = "tell {:.0%} of the next token, {:.0%} of the last one, {:.0%} of the one before"
    where = "late by one step" if late else "early by one step, as targets are"
    fix = f"pass the tokens that were fed and the whole state; these tokens seem {where}"
    error = ConfigError(None, "the states", shares.format(*told.mean(axis=1).clip(0)), fix)
    if not dependent:
        raise error
    # 3 is the line that calls `probe`.
    warnings.warn(str(error), stacklevel=3)


def _clear(told: np.ndarray, least: float = TOLD, errors: int = 5) -> bool:
    """True for a mean over streams above the least and by so many standard errors above 0."""
    return bool(told.mean() > max(least, errors * told.std(ddof=1) / math.sqrt(len(told))))


def told_around(states: np.ndarray, asked: Asked, parts: Parts) -> np.ndarray:
    """What is told of x(t+1), x(t) and x(t-1), by scored stream, `[3, S]`; 0 without a step."""
    # x(t+1) has to be there, and x(t-2), as x(t-1) is told beyond its neighbour.
    steps = asked.steps[(asked.steps > 1) & (asked.steps < asked.tokens.shape[1] - 1)]
    if not len(steps):
        return np.zeros((3, 2))
    classes = asked.classes
    known = asked.tokens[parts.fitted]
    shares = shares_after(known[:, :-1], known[:, 1:], frequencies(known, classes))
    examples = min(max(FEWEST, PER_NUMBER * states.shape[-1]), MOST_ANSWERS // classes)
    around = steps + np.array([[1], [0], [-1]])

    def read(streams: slice) -> tuple[np.ndarray, np.ndarray]:
        """States `[E, D]` of some streams, and what is left of three answers, `[3, S, A, V]`."""
        every = np.arange(streams.start, streams.stop)
        some = every[:: max(1, len(every) * len(steps) // examples)]
        before, y = (asked.tokens[some][:, around - n].swapaxes(0, 1) for n in (1, 0))
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
