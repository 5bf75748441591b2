"""Functions that cells share: initial weights of linear layers, keys, norms, parts of gradients."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax.core.scope import LazyRng

from echo_jax.cells.interface import Carry

SHUT = -1e30
"""The logarithm of a gate that lets nothing in; finite, so that differences are numbers."""


def linear_uniform(key: chex.PRNGKey, shape: tuple[int, ...], inputs: int) -> chex.Array:
    """Return random weights or biases of a linear layer, uniform within 1 / sqrt(inputs) of 0.

    `key` draws the numbers, `shape` is the shape of the result, and `inputs` is the number of
    inputs of the layer. PyTorch initialises `torch.nn.Linear` in this way.
    """
    return jax.random.uniform(key, shape, minval=-(inputs**-0.5), maxval=inputs**-0.5)


def linen_key(key: chex.PRNGKey, n: int) -> chex.PRNGKey:
    """Return the key that Flax Linen gives to parameter `n` of a module, counted from 1.

    `key` is the key of the module. minGRU, LRU and the identity RNN once were Linen modules. They
    still draw their weights with these keys, because their published rows must not change.
    """
    return LazyRng.create(key, n).as_jax_rng()


def unit(x: chex.Array, epsilon: float) -> chex.Array:
    """Return the vectors x of the last axis, scaled to length 1 unless they are nearly zero.

    `epsilon` is added to the squared length before the root.
    """
    # Epsilon is inside the root: at x = 0 the slope is 1 / sqrt(epsilon), and not NaN.
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + epsilon)


def rms_norm(x: chex.Array, epsilon: float) -> chex.Array:
    """Return the vectors x of the last axis, scaled to mean square 1 unless they are nearly zero.

    `epsilon` is added to the mean square. This is RMSNorm without gains (Zhang & Sennrich 2019).
    """
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon)


def scan_in_place(
    step: Callable[[Carry, chex.Array, Any], tuple[Carry, chex.Array, Any]],
    carry: Carry,
    rows: chex.Array,
    inputs: Any,
    reverse: bool = False,
) -> tuple[Carry, chex.Array, Any]:
    """Run `lax.scan` of a step that replaces a row of `rows` by a new row of equal shape.

    A second array of rows would slow down a long loop, whose speed memory bounds.

    Args:
      step: takes the carry, the row of the step and the inputs of the step; returns the next carry,
        the new row and an output.
      carry: the carry before the first step.
      rows: one row for each of the W steps, `[W, ...]`.
      inputs: a tree of arrays `[W, ...]`, with the inputs of each step.
      reverse: True to make the last step first.

    Returns:
      The last carry, the new rows `[W, ...]`, and the stacked outputs.
    """

    def step_at(state: tuple, inputs: tuple) -> tuple[tuple, Any]:
        """Return the carry and the rows, with row t replaced, and the output of step t."""
        carry, rows = state
        t, step_inputs = inputs
        carry, row, output = step(carry, rows[t], step_inputs)
        # The row is read before it is replaced, so that XLA can update the carried array in place.
        return (carry, rows.at[t].set(row)), output

    times = jnp.arange(len(rows))
    (carry, rows), outputs = jax.lax.scan(step_at, (carry, rows), (times, inputs), reverse=reverse)
    return carry, rows, outputs


def gradient_by_state(recurrent_kernel: chex.Array, dz: chex.Array) -> chex.Array:
    """Return dz U^T, `[B, H]`: the gradient with respect to h of a step with sums z that add h U.

    `recurrent_kernel` is U, `[H, G]`, and `dz` is the gradient with respect to z, `[B, G]`. The
    product is computed as (U dz^T)^T, which takes a quarter to a half less time on a CPU. The
    barrier keeps XLA from turning this form back.
    """
    return jax.lax.optimization_barrier(recurrent_kernel @ dz.T).T


def gradient_by_kernel(first: chex.Array, hs: chex.Array, dz: chex.Array) -> chex.Array:
    """Return the gradient of the loss with respect to the recurrent kernel U, `[H, G]`.

    Each of the W steps computes z = h U + ..., where h is the state before the step. The gradient
    is the sum of h^T dz over all steps and rows.

    Args:
      first: the state before the first step, `[B, H]`.
      hs: the states after each of the W steps, `[W, B, H]`.
      dz: the gradients with respect to z of all steps, `[W, B, G]`.
    """
    before = jnp.concatenate([first[None], hs[:-1]])
    # Flattened: an einsum over two axes copies both factors, transposed.
    return before.reshape(-1, before.shape[-1]).T @ dz.reshape(-1, dz.shape[-1])
