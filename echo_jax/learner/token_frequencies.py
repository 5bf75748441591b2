"""Estimate how frequent tokens are, alone and after n other tokens. Pure."""

import numpy as np


def frequencies(tokens: np.ndarray, classes: int) -> np.ndarray:
    """Return the share of each of V = `classes` tokens in `tokens`, float `[V]`.

    The count of each token is raised by 1, so that no share is 0.
    """
    return (np.bincount(tokens.ravel(), minlength=classes) + 1.0) / (tokens.size + classes)


def interpolated(counts: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Return the shares p_n of targets after a context of n values, `[..., V]`.

        p_n(v) = (c_n(v) + d_n p_{n-1}(v)) / (c_n + d_n)

    `counts`, `[..., V]`, has c_n(v), the number of targets v after the context; c_n is the number
    of all targets after it, and d_n is the number of different targets. `shorter` has the shares
    p_{n-1} after a context that is one value shorter. If the context never occurred, the result
    equals `shorter`. The formula is that of Witten and Bell (1991).
    """
    different = np.maximum(np.count_nonzero(counts, axis=-1, keepdims=True), 1)
    whole = counts.sum(axis=-1, keepdims=True) + different
    return (counts + different * shorter) / whole
