"""Define the bases of cells whose state maps keys to values.

`OuterProductCell` is the base of the cells whose state decays and gains an outer product:

    S' = diag(a) S + k v^T
    o  = S'^T q

This is linear attention with a gate: o is the sum over past steps of (q . k) v, where each product
q_n k_n is multiplied by the decays since that step.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import chex
import jax.numpy as jnp

from echo_jax.cells.interface import CellParams, Mask, ProjectedCell, at_least
from echo_jax.cells.matrix_state import chunks

WIDE = 500
"""The size of a matrix state, in numbers, from which a CPU computes in chunks too. For a gradient,
chunks store the matrix once per chunk, and steps store it at every step. Chunks take 1.0 to 1.8
times as long as steps with 100 numbers, and 0.5 to 1.0 times as long with 400 numbers and 16 rows
(docs/performance.md). States of 400 numbers are computed in steps, so that the published cards,
which have at most 400, keep their bits."""


@dataclasses.dataclass(frozen=True)
class KeyValueCell(ProjectedCell):
    """A cell whose state is a matrix that maps keys to values.

    Attributes:
      features: H, the number of outputs.
      key_size: K, the numbers of a key; None for the default of the cell.
      value_size: V, the numbers of a value; None for the default of the cell.
    """

    features: int
    key_size: int | None = None
    value_size: int | None = None
    sized_with: ClassVar[tuple[str, ...]] = ("key_size", "value_size")

    def __post_init__(self) -> None:
        at_least(1, self, "key_size", "value_size")

    @property
    def keys(self) -> int:
        """K, the numbers of a key: `key_size`, or H."""
        return self.features if self.key_size is None else self.key_size

    @property
    def values(self) -> int:
        """V, how many numbers a value has: `value_size`, or H if that is None."""
        return self.features if self.value_size is None else self.value_size

    @property
    def parallel_on_cpu(self) -> bool:
        """True if the state has at least `WIDE` numbers."""
        return self.keys * self.values >= WIDE

    @property
    def key_value_sizes(self) -> tuple[int, int]:
        return self.keys, self.values


class OuterProductTerms(NamedTuple):
    """The terms of an input, which the recurrence needs.

    log_a  ln of the decay, at most 0, `[..., K]`, or `[..., 1]` if all rows of S decay alike
    k, q   the key and the query, `[..., K]`
    v      the value, `[..., V]`
    """

    log_a: chex.Array
    k: chex.Array
    v: chex.Array
    q: chex.Array


class OuterProductCell(KeyValueCell):
    """A cell whose state S, float32 `[B, K, V]`, decays and gains an outer product.

    `project` returns terms whose field `outer` is `OuterProductTerms`; other fields are for the
    output. `read_out` gets S'^T q, `[..., V]`.
    """

    chunk: ClassVar[int]
    """The number of steps that the parallel form computes at once."""

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

        In a chunk that starts from S, let a(t, i) be the product of the decays after step i up to
        step t, where i = 0 stands for the start of the chunk:

            o_t = S^T (a(t, 0) q_t) + sum over i from 1 to t of (a(t, i) q_t . k_i) v_i

        All products within chunks are computed at once, and S at the start of each chunk in a loop
        (Yang et al. 2024a, "Gated linear attention", section 4; Dao & Gu 2024, section 6). A masked
        step has a = 1 and k = 0.
        """
        terms = terms.outer
        if mask is not None:
            seen = mask[..., None]
            terms = terms._replace(
                log_a=jnp.where(seen, terms.log_a, 0), k=jnp.where(seen, terms.k, 0)
            )
        # Zeros fill up the last chunk: like a masked step, ln a = 0 and k = 0 leave S as it is.
        log_a, k, v, q = (chunks.in_chunks(x, self.chunk) for x in terms)
        since_start = jnp.exp(jnp.cumsum(log_a, axis=-2))
        kept = jnp.swapaxes(since_start[..., -1:, :], -1, -2)
        keys = jnp.exp(chunks.after(log_a)) * k
        weights = chunks.weights(log_a, k, q)
        last, o = chunks.over_chunks(state, kept, keys, v, since_start * q, weights)
        return last, chunks.out_of_chunks(o, len(terms.k))
