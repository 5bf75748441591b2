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
"""

import math
import warnings

import numpy as np

from echo_jax.exceptions import ConfigError
from echo_jax.probing.asked import Asked, Parts, frequencies, shares_after
from echo_jax.probing.heads import whitening

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
