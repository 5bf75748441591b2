"""Divide a sequence into chunks of steps, and compute what a chunk does with a matrix state.

Arrays of all chunks are `[N, B, C, n]`: N chunks of C steps. The products within chunks are batched
over N and B, so only a loop over the chunks is left.
"""

import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

LEAF = 8
"""The largest size of a triangle that is inverted row by row.

Products of smaller blocks take longer.
"""

MOST = 80.0
"""The largest decay of a chunk, as -ln a summed over its steps, at which `weights` computes one
product. Factors of the product are then at most exp(40), and the sums in the exponents are known to
5e-6."""


def in_chunks(x: chex.Array, size: int, filler: float = 0) -> chex.Array:
    """Return x, `[T, B, n]`, in N chunks of C steps, `[N, B, C, n]`.

    C is `size`, or T if T is smaller. `filler` is the value of the steps that complete the last
    chunk.
    """
    # A short sequence is one short chunk: filled up it would cost as much as C steps.
    size = min(size, len(x))
    x = jnp.pad(x, ((0, -len(x) % size), (0, 0), (0, 0)), constant_values=filler)
    # Rows before steps: the products within a chunk are batched over N and B.
    return jnp.moveaxis(x.reshape(-1, size, *x.shape[1:]), 1, 2)


def out_of_chunks(x: chex.Array, steps: int) -> chex.Array:
    """Return x, in chunks `[N, B, C, n]`, as `[T, B, n]`, where T is `steps`.

    The steps that completed the last chunk are cut off.
    """
    x = jnp.moveaxis(x, 2, 1)
    return x.reshape(-1, *x.shape[2:])[:steps]


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
    """Return `at_once(*terms)` if no chunk decays by more than `MOST`.

    Otherwise, return the stacked results of `one_by_one`, which is called for one chunk at a time.
    `terms[0]` is ln of the decay of each step.
    """
    fits = jnp.min(jnp.sum(terms[0], axis=-2)) > -MOST
    # By chunks, as the programs of both branches are given their memory, whichever runs.
    by_chunks = functools.partial(jax.lax.map, lambda chunk: one_by_one(*chunk))
    return jax.lax.cond(fits, lambda terms: at_once(*terms), by_chunks, terms)


def _at_once(log_a: chex.Array, k: chex.Array, q: chex.Array) -> chex.Array:
    """Return what `weights` returns, as one product, with decays from the middle of each chunk."""
    log_c = jnp.cumsum(log_a, axis=-2)
    since_middle = log_c - log_c[..., -1:, :] / 2
    return jnp.tril((q * jnp.exp(since_middle)) @ jnp.swapaxes(k * jnp.exp(-since_middle), -1, -2))


def _one_by_one(log_a: chex.Array, k: chex.Array, q: chex.Array) -> chex.Array:
    return jnp.einsum("...tn,...in,...tin->...ti", q, k, decay_between(log_a))


def _weights_backward(terms: tuple, slope: chex.Array) -> tuple[chex.Array, ...]:
    # By hand, as the gradient of a cond keeps what either branch needs: twice the time.
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


def over_chunks(
    state: chex.Array,
    kept: chex.Array,
    keys: chex.Array,
    values: chex.Array,
    read: chex.Array,
    weights: chex.Array,
) -> tuple[chex.Array, chex.Array]:
    """Return the last state S `[B, K, V]` and all outputs o `[N, B, C, V]`, from the first state.

        o  = read S + weights values            the outputs of a chunk that starts from S
        S' = kept S + keys^T values             the state after the chunk

    Args:
      state: the first S, `[B, K, V]`.
      kept: a matrix for each chunk, `[N, B, K, K]`, or the factors of a diagonal matrix,
        `[N, B, K, 1]` or `[N, B, 1, 1]`.
      keys: `[N, B, C, K]`.
      values: `[N, B, C, V]`.
      read: the factors of S in the outputs, `[N, B, C, K]`.
      weights: the factors of the values in the outputs, `[N, B, C, C]`.
    """

    def advance(start: chex.Array, chunk: tuple) -> tuple[chex.Array, chex.Array]:
        """Return S after a chunk, and S before it."""
        kept, added = chunk
        return (kept * start if kept.shape[-1] == 1 else kept @ start) + added, start

    last, starts = jax.lax.scan(advance, state, (kept, jnp.swapaxes(keys, -1, -2) @ values))
    # One product of both terms: a sum of two is wrong where S is a constant zero (jax 0.10.2,
    # CPU). The test of chunks from such a state shows when two may come back.
    both = jnp.concatenate([starts, values], axis=-2)
    return last, jnp.concatenate([read, weights], axis=-1) @ both
