"""The base of cells whose products with the input and the output do not wait for the state."""

import functools
from typing import Any, ClassVar

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import Cell, CellParams
from echo_jax.cells.scan import Carry, Mask, is_tokens, scan_over_time

Terms = Any
"""The terms that one input adds to a step: any tree of arrays, each `[..., n]`."""


class ProjectedCell(Cell):
    """A cell whose step is three functions, of which only the second needs the state.

        terms       = project(params, x)                x `[..., F]`
        state, read = recur(params, state, terms)
        y           = read_out(params, read, terms)

    `scan` projects all inputs at once, runs the recurrence, and reads all outputs at once. A cell
    with a form of the recurrence that is parallel over time overrides `parallel`; it is used where
    `in_parallel`, and equals the sequential one up to rounding. The first array of the prepared
    parameters is a kernel `[F, n]` of the inputs.
    """

    has_scan: ClassVar[bool] = True

    @property
    def parallel_on_cpu(self) -> bool:
        """True where the parallel form is the faster one on a CPU too; docs/cells.md has times."""
        return False

    @property
    def in_parallel(self) -> bool:
        """True where `scan` takes the parallel form."""
        # On other devices the parallel form is taken unmeasured: all times in docs/ are of CPUs.
        return self.parallel_on_cpu or jax.default_backend() != "cpu"

    def project(self, params: CellParams, x: chex.Array) -> Terms:
        """The terms of inputs `[..., F]`: a tree of arrays `[..., n]`."""
        raise NotImplementedError

    def recur(self, params: CellParams, state: Carry, terms: Terms) -> tuple[Carry, Any]:
        """One step of the recurrence: the next state, and what `read_out` needs of it."""
        raise NotImplementedError

    def read_out(self, params: CellParams, read: Any, terms: Terms) -> chex.Array:
        """The outputs `[..., B, features]`; `read` itself unless overridden."""
        return read

    def parallel(
        self, params: CellParams, state: Carry, terms: Terms, mask: Mask
    ) -> tuple[Carry, Any]:
        """All steps of the recurrence in one, as far as it can be; one by one unless overridden."""
        return self.sequential(params, state, terms, mask)

    def sequential(
        self, params: CellParams, state: Carry, terms: Terms, mask: Mask
    ) -> tuple[Carry, Any]:
        """All steps of the recurrence one by one, from terms `[T, B, n]`: its definition."""
        # Not unrolled in short windows either: the products are done, a step is mostly elementwise.
        return scan_over_time(functools.partial(self.recur, params), state, terms, mask, unroll=1)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        terms = self.project(params, x)
        state, read = self.recur(params, state, terms)
        return state, self.read_out(params, read, terms)

    def scan(
        self, params: CellParams, state: Carry, xs: chex.Array, mask: Mask = None
    ) -> tuple[Carry, chex.Array]:
        """All steps; for tokens the terms are rows of a table of V."""
        if is_tokens(xs):
            values = len(jax.tree.leaves(params)[0])  # the rows of the kernel of the inputs
            # V projections serve all T B tokens. On a CPU a one-hot product is a row, bit for bit.
            table = self.project(params, jnp.eye(values))
            terms = jax.tree.map(lambda rows: rows[xs], table)
        else:
            terms = self.project(params, xs)
        run = self.parallel if self.in_parallel else self.sequential
        state, read = run(params, state, terms, mask)
        return state, self.read_out(params, read, terms)
