"""The bases of cells whose state maps keys to values, and a sequence as chunks of steps for them.

`OuterProductCell` is the base of those whose state decays and gains an outer product:

    S' = diag(a) S + k v^T
    o  = S'^T q

This is linear attention with a gate: o is the sum over the past of (q . k) v, where the decays
since then weigh each product q_n k_n.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import chex
import jax.numpy as jnp

from echo_jax.cells.interface import CellParams, Mask, ProjectedCell, at_least
from echo_jax.cells.vector_state.linear_recurrence import diagonal_parallel

WIDE = 500
"""Numbers of a matrix state from which on chunks are faster than steps on a CPU too: chunks keep
the matrix once a chunk, steps keep each for the gradient."""


@dataclasses.dataclass(frozen=True)
class KeyValueCell(ProjectedCell):
    """A cell of H outputs, whose state is a matrix for keys of K and values of V numbers."""

    features: int
    key_size: int | None = None
    value_size: int | None = None
    sized_with: ClassVar[tuple[str, ...]] = ("key_size", "value_size")

    def __post_init__(self) -> None:
        at_least(1, self, "key_size", "value_size")

    @property
    def keys(self) -> int:
        """K; H unless it is set."""
        return self.features if self.key_size is None else self.key_size

    @property
    def values(self) -> int:
        """V; H unless it is set."""
        return self.features if self.value_size is None else self.value_size

    @property
    def parallel_on_cpu(self) -> bool:
        """True for a state of at least `WIDE` numbers."""
        return self.keys * self.values >= WIDE

    @property
    def key_value_sizes(self) -> tuple[int, int]:
        return self.keys, self.values


def in_chunks(x: chex.Array, size: int, filler: float = 0) -> chex.Array:
    """`[T, B, n]` as `[N, B, C, n]`, N chunks of C steps, with `filler` after the last step.

    C is `size`, or T if that is smaller.
    """
    # A short sequence is one short chunk: filled up it would cost as much as C steps.
    size = min(size, len(x))
    x = jnp.pad(x, ((0, -len(x) % size), (0, 0), (0, 0)), constant_values=filler)
    # Rows before steps: the products within a chunk are batched over N and B.
    return jnp.moveaxis(x.reshape(-1, size, *x.shape[1:]), 1, 2)


def out_of_chunks(x: chex.Array, steps: int) -> chex.Array:
    """`[N, B, C, n]` as `[T, B, n]`, the first T `steps`."""
    x = jnp.moveaxis(x, 2, 1)
    return x.reshape(-1, *x.shape[2:])[:steps]


class OuterProductTerms(NamedTuple):
    """The terms of an input: key k and query q `[..., K]`, value v `[..., V]`, and ln a.

    The logarithm of the decay is `[..., K]`, or `[..., 1]` where all rows of S decay alike.
    """

    log_a: chex.Array
    k: chex.Array
    v: chex.Array
    q: chex.Array


def _decay_since(log_a: chex.Array) -> chex.Array:
    """a(t, i) `[..., t, i, n]` from ln a `[..., size, n]`, and 0 where i is after t."""
    steps = log_a.shape[-2]
    # Strictly before t: the value of a step is added after the decay of this step.
    after = jnp.tri(steps, k=-1, dtype=bool)[..., None]
    until = jnp.tri(steps, dtype=bool)[..., None]
    # A sum for each i: a difference of two in float32 gives -0.029999 for -0.03 behind a -500.
    log_since = jnp.cumsum(jnp.where(after, log_a[..., :, None, :], 0), axis=-3)
    return jnp.exp(jnp.where(until, log_since, -jnp.inf))


def _weights(since: chex.Array, k: chex.Array, q: chex.Array) -> chex.Array:
    """Return the weight `[..., t, i]` of value i in output t."""
    if since.shape[-1] == 1:
        return since[..., 0] * (q @ jnp.swapaxes(k, -1, -2))
    return jnp.einsum("...tn,...in,...tin->...ti", q, k, since)


class OuterProductCell(KeyValueCell):
    """A cell whose state is S, float32 `[B, K, V]`, and whose `read_out` has S'^T q `[..., V]`.

    Its `project` gives `OuterProductTerms` as `outer`, beside others that the output needs.
    """

    chunk: ClassVar[int]
    """Steps that the parallel form computes at once."""

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> chex.Array:
        return jnp.zeros((batch_size, *self.key_value_sizes))

    def recur(
        self, params: CellParams, state: chex.Array, terms: Any
    ) -> tuple[chex.Array, chex.Array]:
        log_a, k, v, q = terms.outer
        state = jnp.exp(log_a)[..., None] * state + k[..., None] * v[..., None, :]
        return state, jnp.einsum("bkv,bk->bv", state, q)

    def parallel(
        self, params: CellParams, state: chex.Array, terms: Any, mask: Mask
    ) -> tuple[chex.Array, chex.Array]:
        """Return the last S `[B, K, V]` and all o `[T, B, V]`, from the first S and the terms.

        In a chunk that starts from S, with a(t, i) the product of the decays after step i up to
        step t, and i = 0 before the first:

            o_t = S^T (a(t, 0) q_t) + sum over i from 1 to t of (a(t, i) q_t . k_i) v_i

        All chunks are computed at once, and the S between them by `diagonal_parallel`. ln a(t, i)
        is a sum of its own and not a difference of two, so that nothing overflows, and no digit is
        lost where a step forgets all. The weights of the v are a matrix product where all rows of S
        decay alike, and else a sum over chunk K numbers a step (Yang et al. 2024a, "Gated linear
        attention", section 4; Dao & Gu 2024, section 6). A masked step has a = 1 and k = 0.
        """
        terms = terms.outer
        if mask is not None:
            seen = mask[..., None]
            terms = terms._replace(
                log_a=jnp.where(seen, terms.log_a, 0), k=jnp.where(seen, terms.k, 0)
            )
        # Zeros fill up the last chunk: like a masked step, ln a = 0 and k = 0 leave S as it is.
        log_a, k, v, q = (in_chunks(x, self.chunk) for x in terms)
        since_start = jnp.exp(jnp.cumsum(log_a, axis=-2))
        since = _decay_since(log_a)
        kept = jnp.swapaxes(since_start[..., -1:, :], -1, -2)
        added = jnp.swapaxes(since[..., -1, :, :] * k, -1, -2) @ v
        # Over chunks S is a diagonal recurrence: `kept` is `[N, B, K, 1]`, one decay for a row.
        ends = diagonal_parallel(state, kept, added, None)
        starts = jnp.concatenate([state[None], ends[:-1]])
        # One product of both terms: a sum of two is wrong where S is a constant zero (jax 0.10.2,
        # CPU). The test of chunks from such a state shows when two may come back.
        weights = jnp.concatenate([since_start * q, _weights(since, k, q)], axis=-1)
        o = weights @ jnp.concatenate([starts, v], axis=-2)
        return ends[-1], out_of_chunks(o, len(terms.k))
