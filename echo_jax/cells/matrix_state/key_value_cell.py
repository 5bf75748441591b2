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

from echo_jax.cells.interface import Carry, CellParams, Mask, ProjectedCell, at_least
from echo_jax.cells.matrix_state import chunks


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
    def key_value_sizes(self) -> tuple[int, int]:
        return self.keys, self.values

    def recur_chunk(
        self, params: CellParams, state: Carry, terms: Any, present: chex.Array
    ) -> tuple[Carry, chex.Array]:
        """Return the state after a chunk of C steps, and what `read_out` reads, `[B, C, n]`.

        `state` is the state before the chunk, and `terms` are `[B, C, n]`. Where `present`, bool
        `[B, C, 1]`, is False, the state is held. The results are those of `recur`, up to rounding.
        """
        raise NotImplementedError

    def scan(
        self, params: CellParams, state: Carry, xs: chex.Array, mask: Mask = None
    ) -> tuple[Carry, chex.Array]:
        """Return the last state and the outputs, as `Cell.scan` does."""
        if not chunks.runs_in_chunks(self.keys * self.values):
            return super().scan(params, state, xs, mask)
        project = self.projection(params, xs)

        def advance(state: Carry, xs: chex.Array, present: chex.Array) -> tuple[Carry, chex.Array]:
            terms = project(xs)
            state, read = self.recur_chunk(params, state, terms, present)
            return state, self.read_out(params, read, terms)

        return chunks.scan_over_chunks(advance, state, xs, mask)


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

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> chex.Array:
        return jnp.zeros((batch_size, *self.key_value_sizes))

    def recur(
        self, params: CellParams, state: chex.Array, terms: Any
    ) -> tuple[chex.Array, chex.Array]:
        log_a, k, v, q = terms.outer
        state = jnp.exp(log_a)[..., None] * state + k[..., None] * v[..., None, :]
        return state, jnp.einsum("bkv,bk->bv", state, q)

    def recur_chunk(
        self, params: CellParams, state: chex.Array, terms: Any, present: chex.Array
    ) -> tuple[chex.Array, chex.Array]:
        """Return S after a chunk, `[B, K, V]`, and its o, `[B, C, V]`, from S before the chunk.

        Let a(t, i) be the product of the decays after step i up to step t, where i = 0 stands for
        the start of the chunk:

            o_t = S^T (a(t, 0) q_t) + sum over i from 1 to t of (a(t, i) q_t . k_i) v_i

        This is the chunkwise form of Yang et al. 2024a, "Gated linear attention", section 4, and
        Dao & Gu 2024, section 6. An absent step has a = 1 and k = 0.
        """
        log_a, k, v, q = terms.outer
        log_a = jnp.where(present, log_a, 0)
        k = jnp.where(present, k, 0)
        since_start = jnp.exp(jnp.cumsum(log_a, axis=-2))
        read = (since_start * q) @ state + chunks.weights(log_a, k, q) @ v
        added = jnp.swapaxes(jnp.exp(chunks.after(log_a)) * k, -1, -2) @ v
        return jnp.swapaxes(since_start[:, -1:], 1, 2) * state + added, read
