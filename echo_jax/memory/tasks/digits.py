"""Handwritten digits, 8 x 8 pixels one by one; the digit is the target at the last.

The data are scikit-learn's, 1,797 of Alpaydin & Kaynak 1998, in pixels of 0 to 16; sequential
images are of Le, Jaitly & Hinton 2015. In random order 1,400 are for training, 197 for validation,
200 final.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.exceptions import ConfigError
from echo_jax.memory.tasks import TaskRows

try:
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
except ImportError as error:
    fix = "run pip install 'echo_jax[tasks]', or use another task"
    raise ConfigError(None, "scikit-learn", "is needed for the digits", fix) from error

tokens, answers = 17, 10

PIXELS, DIGITS = load_digits(return_X_y=True)
ORDER = np.random.default_rng(0).permutation(len(DIGITS))
PARTS = dict(zip(("training", "validation", "final"), np.split(ORDER, [1400, 1597]), strict=True))


def draw(key: jax.Array, rows: int, part: str) -> TaskRows:
    """Draw rows `[B, T]`."""
    chosen = jax.random.choice(key, jnp.asarray(PARTS[part]), (rows,))
    inputs = jnp.asarray(PIXELS, jnp.int32)[chosen]
    targets = jnp.broadcast_to(jnp.asarray(DIGITS, jnp.int32)[chosen, None], inputs.shape)
    return TaskRows(inputs, targets, jnp.broadcast_to(jnp.arange(64) == 63, inputs.shape))


@functools.cache
def linear_model() -> LogisticRegression:
    """Return a softmax regression on all pixels, fitted to the part training."""
    known = PARTS["training"]
    return LogisticRegression(max_iter=1000).fit(PIXELS[known] / 16, DIGITS[known])


def baseline(inputs: np.ndarray) -> np.ndarray:
    """Return the shares of the linear model, `[B, T, answers]`, equal at all steps."""
    shares = linear_model().predict_proba(inputs / 16)
    return np.broadcast_to(shares[:, None], (*inputs.shape, answers))
