"""Compute a sequence in chunks of steps, and what a chunk does with a matrix state.

Arrays of a chunk are `[B, C, n]`: B rows of C steps. `scan_over_chunks` is the loop over chunks.
"""

import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

CHUNK = 16
"""C, the number of steps of a chunk.

With chunks of 32 steps an update takes 0.9 to 1.6 times as long (CPU, T 512, 32 x 32 numbers).
"""

WIDE = 500
"""The size of a matrix state, in numbers, from which a CPU computes in chunks too.

For a gradient, chunks store the matrix once per chunk, and steps store it at every step.
docs/performance.md shows from which size chunks are faster. The published cards have states of at
most 400 numbers, and keep their bits because such states are computed in steps.
"""

LEAF = 8
"""The largest size of a triangle that is inverted row by row.

Products of smaller blocks take longer.
"""

MOST = 80.0
"""The largest decay of a chunk, as -ln a summed over its steps, at which `weights` computes one
product. Factors of the product are then at most exp(40), and the sums in the exponents are known to
5e-6."""


def runs_in_chunks(numbers: int) -> bool:
    """Return True if a matrix state of so many `numbers` is computed in chunks, not in steps."""
    # On other devices chunks are taken unmeasured: all times in docs/ are of CPUs.
    return numbers >= WIDE or jax.default_backend() != "cpu"


def scan_over_chunks(
    advance: Callable[[Any, chex.Array, chex.Array], tuple[Any, chex.Array]],
    state: Any,
    inputs: chex.Array,
    mask: chex.Array | None,
) -> tuple[Any, chex.Array]:
    """Return the last state and the outputs of all steps, `[T, B, H]`.

    Args:
      advance: maps a state, inputs `[B, C, ...]` and `present`, bool `[B, C, 1]`, to the state
        after a chunk and its outputs, `[B, C, H]`. It must hold the state at a step where
        `present` is False.
      state: the state before the first step.
      inputs: the inputs of all steps, `[T, B, ...]`.
      mask: bool `[T, B]`, False where a step is absent; None if no step is absent.
    """
    steps = len(inputs)
    # A short sequence is one short chunk: filled up it would cost as much as C steps.
    size = min(CHUNK, steps)

    def in_chunks(x: chex.Array) -> chex.Array:
        x = jnp.pad(x, ((0, -steps % size), *[(0, 0)] * (x.ndim - 1)))
        # Rows before steps: the products within a chunk are batched over B.
        return jnp.moveaxis(x.reshape(-1, size, *x.shape[1:]), 1, 2)

    # The gradient computes a chunk again, so only the state is stored, once per chunk. In a scan
    # XLA cannot merge the two computations anyway, hence prevent_cse=False.
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def body(state: Any, chunk: tuple) -> tuple[Any, chex.Array]:
        return advance(state, *chunk)

    present = jnp.ones((steps, inputs.shape[1], 1), bool) if mask is None else mask[..., None]
    state, outputs = jax.lax.scan(body, state, (in_chunks(inputs), in_chunks(present)))
    outputs = jnp.moveaxis(outputs, 2, 1)
    return state, outputs.reshape(-1, *outputs.shape[2:])[:steps]


def after(log_a: chex.Array) -> chex.Array:
    """Return ln of the decay after each step, up to the end of the chunk, `[..., C, n]`.

    `log_a` is ln of the decay of each step, `[..., C, n]`; -1, -2, -3 gives -5, -3, 0.
    """
    # A sum of its own: the difference of two is -0.029999 for -0.03 behind a -500 in float32.
    later = jnp.pad(log_a[..., 1:, :], [(0, 0)] * (log_a.ndim - 2) + [(0, 1), (0, 0)])
    return jax.lax.cumsum(later, axis=log_a.ndim - 2, reverse=True)


def decay_between(log_a: chex.Array) -> chex.Array:
    """Return the decay after step i up to step t, `[..., C, C, n]`, at the indices t and i.

    The decay is 1 for i = t, and 0 if i is after t. `log_a` is ln of the decay of each step,
    `[..., C, n]`.
    """
    steps = log_a.shape[-2]
    # Strictly before t: the value of a step is added after the decay of this step.
    later = jnp.tri(steps, k=-1, dtype=bool)[..., None]
    reached = jnp.tri(steps, dtype=log_a.dtype)
    decays = jnp.where(later, log_a[..., :, None, :], 0)
    # A product with ones: jnp.cumsum took a fifth of an update of gated DeltaNet (CPU, T 512).
    log_between = jnp.einsum("ts,...sin->...tin", reached, decays, precision="highest")
    # Masked before exp: what is above 88 is inf after it, and masking that gives NaN gradients.
    return jnp.exp(jnp.where(reached[..., None] > 0, log_between, -jnp.inf))


def weights(log_a: chex.Array, k: chex.Array, q: chex.Array) -> chex.Array:
    """Return the weight of value i in output t, `[..., C, C]`, at the indices t and i.

    The weight is the sum over n of q_t k_i, each product times the decay after i up to t; it is 0
    if i is after t. `log_a` is ln of the decay of each step, `[..., C, n]` or `[..., C, 1]`; the
    keys `k` and the queries `q` are `[..., C, n]`.
    """
    if log_a.shape[-1] == 1:
        return decay_between(log_a)[..., 0] * (q @ jnp.swapaxes(k, -1, -2))
    return _vector_weights(log_a, k, q)


@jax.custom_vjp
def _vector_weights(*terms: chex.Array) -> chex.Array:
    return _either(_at_once, _one_by_one, terms)


def _either(at_once: Callable, one_by_one: Callable, terms: tuple) -> Any:
    """Return `at_once(*terms)` if the chunk decays by at most `MOST`, else `one_by_one(*terms)`.

    `terms[0]` is ln of the decay of each step.
    """
    fits = jnp.min(jnp.sum(terms[0], axis=-2)) > -MOST
    return jax.lax.cond(fits, at_once, one_by_one, *terms)


def _at_once(log_a: chex.Array, k: chex.Array, q: chex.Array) -> chex.Array:
    """Return what `weights` returns, as one product, with decays from the middle of each chunk."""
    log_c = jnp.cumsum(log_a, axis=-2)
    since_middle = log_c - log_c[..., -1:, :] / 2
    return jnp.tril((q * jnp.exp(since_middle)) @ jnp.swapaxes(k * jnp.exp(-since_middle), -1, -2))


def _one_by_one(log_a: chex.Array, k: chex.Array, q: chex.Array) -> chex.Array:
    return jnp.einsum("...tn,...in,...tin->...ti", q, k, decay_between(log_a))


def _weights_backward(terms: tuple, slope: chex.Array) -> tuple[chex.Array, ...]:
    # Written by hand: the gradient of a `cond` stores what both branches need, and takes twice the
    # time.
    def gradient(form: Callable) -> Callable:
        return lambda *terms: jax.vjp(form, *terms[:-1])[1](terms[-1])

    return _either(gradient(_at_once), gradient(_one_by_one), (*terms, slope))


_vector_weights.defvjp(lambda *terms: (_vector_weights(*terms), terms), _weights_backward)


@jax.custom_vjp
def unit_inverse(lower: chex.Array) -> chex.Array:
    """Return the inverse of I + `lower`, for a strictly lower triangle `lower`, `[..., N, N]`.

    The halves of the triangle are inverted first, with X and Z as their inverses:

        [[I + A, 0], [C, I + B]]^-1 = [[X, 0], [-Z C X, Z]]

    A library's solver is not used: on a CPU, the solver of jax 0.10 can wait for ever for a thread
    of its pool while several devices run. The series of powers of `lower`, by repeated squaring, is
    not used either: its terms cancel and lose precision where keys repeat.
    """
    size = lower.shape[-1]
    if size <= LEAF or size % 2:
        inverse = jnp.broadcast_to(jnp.eye(size, dtype=lower.dtype), lower.shape)
        for i in range(size - 1):  # row i is final: take it from those below
            inverse -= lower[..., :, i : i + 1] * inverse[..., i : i + 1, :]
        return inverse
    half = size // 2
    first, second = unit_inverse(jnp.stack([lower[..., :half, :half], lower[..., half:, half:]]))
    corner = -(second @ lower[..., half:, :half] @ first)
    return jnp.block([[first, jnp.zeros_like(corner)], [corner, second]])


def _inverse_forward(lower: chex.Array) -> tuple[chex.Array, chex.Array]:
    inverse = unit_inverse(lower)
    return inverse, inverse


def _inverse_backward(inverse: chex.Array, slope: chex.Array) -> tuple[chex.Array]:
    transposed = jnp.swapaxes(inverse, -1, -2)
    return (-jnp.tril(transposed @ slope @ transposed, -1),)


unit_inverse.defvjp(_inverse_forward, _inverse_backward)
