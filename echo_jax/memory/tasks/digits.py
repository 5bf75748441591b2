"""Name a handwritten digit, shown pixel by pixel; the target of the last pixel is the digit.

The data are scikit-learn's 1,797 digits of Alpaydin & Kaynak 1998: 8 x 8 pixels from 0 to 16.
Reading images as sequences is from Le, Jaitly & Hinton 2015. In random order, 1,400 digits are for
training, 197 for validation and 200 for the final score.
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
    """Return `rows` rows `[B, 64]` of digits of `part`, drawn from `key`."""
    chosen = jax.random.choice(key, jnp.asarray(PARTS[part]), (rows,))
    inputs = jnp.asarray(PIXELS, jnp.int32)[chosen]
    targets = jnp.broadcast_to(jnp.asarray(DIGITS, jnp.int32)[chosen, None], inputs.shape)
    return TaskRows(inputs, targets, jnp.broadcast_to(jnp.arange(64) == 63, inputs.shape))


@functools.cache
def linear_model() -> LogisticRegression:
    """Return a softmax regression on all pixels, fitted to the digits for training."""
    known = PARTS["training"]
    return LogisticRegression(max_iter=1000).fit(PIXELS[known] / 16, DIGITS[known])


def baseline(inputs: np.ndarray) -> np.ndarray:
    """Return the linear model's probability of each digit for `inputs` `[B, 64]`: `[B, 64, 10]`.

    The probabilities are equal at all steps, as the model sees all pixels.
    """
    shares = linear_model().predict_proba(inputs / 16)
    return np.broadcast_to(shares[:, None], (*inputs.shape, answers))
