"""Rank correlations, also partial ones, and their permutation tests."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata


def residuals(values: np.ndarray, given: Sequence[np.ndarray]) -> np.ndarray:
    """The ranks of values `[..., cells]` less what the ranks of others tell of them linearly."""
    # Mean ranks that are equal differ in their last bits, and would be ties no longer.
    ranks = rankdata(np.round(values, 9), axis=-1)
    known = np.stack([np.ones(ranks.shape[-1]), *map(rankdata, np.round(given, 9))], axis=1)
    left = ranks - ranks @ known @ np.linalg.pinv(known)
    return np.where(np.abs(left) < 1e-9, 0, left)  # no correlation of what rounding left


def correlation(x: np.ndarray, y: np.ndarray, *given: np.ndarray) -> Any:
    """Spearman's rank correlation of x with each y `[..., cells]`; partial where more is given."""
    left, right = residuals(x, given), residuals(y, given)
    return right @ left / np.linalg.norm(left) / np.linalg.norm(right, axis=-1)


def p_value(known: np.ndarray, family: Any = 0) -> float:
    """Two-sided: the share of the orders of y, within families, with as large a correlation.

    All orders of up to 8 cells, else 100,000 drawn with a fixed seed and the one observed. Of a
    partial correlation what is given is taken off anew after each: without that, p is too small.
    """
    x, y, *given = known
    if len(y) <= 8:
        orders = np.array([*itertools.permutations(range(len(y)))])
    else:
        # Cells stand by families, and whole numbers keep these apart in the order of the keys.
        drawn = (np.random.default_rng(0).random((100_000, len(y))) + family).argsort(axis=1)
        orders = np.concatenate([np.arange(len(y))[None], drawn])
    found = np.abs(correlation(x, y[orders], *given))
    return float(np.mean(found >= found[0] - 1e-9))
