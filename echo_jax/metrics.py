"""Cross-entropy in nats, accuracy, recalled bits, and when learning was done."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np


def cross_entropy(logits: chex.Array, targets: chex.Array) -> chex.Array:
    """Minus the log-probability of each target, in nats: `[..., V]` and `[...]` to `[...]`."""
    chex.assert_equal_shape_prefix([logits, targets], targets.ndim)
    log_probabilities = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_probabilities, targets[..., None], axis=-1)[..., 0]


def correct(logits: chex.Array, targets: chex.Array) -> chex.Array:
    """Whether the largest logit is the target's: `[..., V]` and `[...]` to bool `[...]`."""
    return jnp.argmax(logits, axis=-1) == targets


def mean_where(values: chex.Array, scored: chex.Array | None) -> chex.Array:
    """The mean of the values that are scored (None: all of them); 0 where none is."""
    values = values.astype(jnp.float32)
    if scored is None:
        return jnp.mean(values)
    weights = scored.astype(jnp.float32)
    return jnp.sum(values * weights) / jnp.maximum(jnp.sum(weights), 1.0)


def recalled_bits(loss: float, vocab_size: int) -> float:
    """Bits of the target that the network knows, log2 V - loss / ln 2, for a loss in nats."""
    return math.log2(vocab_size) - loss / math.log(2)


def sequences_until(accuracy: np.ndarray, threshold: float = 0.99, width: int = 20) -> int | None:
    """How many sequences it took until a running mean of `width` accuracies reached a threshold.

    Args:
      accuracy: of every training sequence, float `[N]`, in `[0, 1]`.
      threshold: what the mean has to reach.
      width: sequences in the mean.

    Returns:
      The number of sequences seen when it first did, or None if it never did.
    """
    if len(accuracy) < width:
        return None
    means = np.convolve(np.asarray(accuracy, np.float64), np.full(width, 1 / width), mode="valid")
    reached = np.flatnonzero(means >= threshold - 1e-6)
    return int(reached[0]) + width if len(reached) else None
