"""Cross-entropy, correct answers, and means over the steps that have a target. Pure."""

import chex
import jax
import jax.numpy as jnp

from echo_jax.config import Framing


def cross_entropy(logits: chex.Array, targets: chex.Array) -> chex.Array:
    """Return the loss -ln p of each target in nats, float32 `[...]`.

    `targets` are int `[...]`, each in 0 .. V-1. p is the probability of the target by the softmax
    of the `logits`, float32 `[..., V]`.
    """
    chex.assert_equal_shape_prefix([logits, targets], targets.ndim)
    # Not that of optax for integer labels: a third of its values have other last bits.
    log_probabilities = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_probabilities, targets[..., None], axis=-1)[..., 0]


def token_loss(logits: chex.Array, targets: chex.Array, framing: Framing) -> chex.Array:
    """Return the loss of each of `targets`, int `[...]`, from the `logits`, `[..., V]`.

    In `framing` classes the loss is the cross-entropy in nats. In `framing` values it is the
    squared error: there the logit of a value is minus the squared distance to this value
    (`network.read_out`).
    """
    if framing == "classes":
        return cross_entropy(logits, targets)
    return -jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]


def correct(logits: chex.Array, targets: chex.Array) -> chex.Array:
    """Return True where the target has the largest logit, bool `[...]`.

    `logits` are `[..., V]`, and `targets` are int `[...]`, each in 0 .. V-1. If several logits are
    equally large, the one with the smallest index counts as the largest. `argmax`, which chooses
    the answers, has the same rule. The result is False if any logit is NaN, which `argmax` would
    choose. A comparison with the target's logit is faster than `argmax` on a CPU.
    """
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)
    before = jnp.arange(logits.shape[-1]) < targets[..., None]
    return jnp.all(jnp.where(before, logits < chosen, logits <= chosen), axis=-1)


def mean_where(values: chex.Array, scored: chex.Array | None) -> chex.Array:
    """Return the mean of the `values` at which `scored` is True, or 0 if it is True nowhere.

    `scored` is bool and has the shape of `values`; if it is None, all values count.
    """
    values = values.astype(jnp.float32)
    if scored is None:
        return jnp.mean(values)
    weights = scored.astype(jnp.float32)
    # In streams a chunk may have no target: its loss and gradient are 0 then, and not NaN.
    return jnp.sum(values * weights) / jnp.maximum(jnp.sum(weights), 1.0)
