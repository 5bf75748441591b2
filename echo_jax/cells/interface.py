"""A recurrent cell as the rest of the package uses it: pure functions of parameters and state."""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.scan import Carry, Mask, scan_over_time

CellParams = Any
"""The parameters of a cell: any tree of arrays that `tensor_files` can store."""


class CellError(Exception):
    """A rule that a user's cell breaks: a sentence without its subject, and with the fix."""


class Cell:
    """A recurrent cell. Subclasses are frozen dataclasses, whose fields are its options.

    `features`, which most have, is H: the units, and the numbers of an output.

        params = cell.init(key, input_size)
        state = cell.initial_state(params, batch_size, input_size)
        params = cell.prepare(params)
        state, y = cell.step(params, state, x)
        state, ys = cell.scan(params, state, xs, mask)

    `step` is the definition. A cell with a faster form over time sets `has_scan` and overrides
    `scan`, which must give the same numbers up to rounding, and take integer tokens for one-hot
    vectors. The gradient goes through `prepare`.
    """

    features: int
    has_scan: ClassVar[bool] = False
    prepared_once: ClassVar[bool] = False
    """True where `prepare` is costly: a card prepares once an update, not for each part of its
    streams. That changes last bits, so other cells keep the parts."""
    starts_from_params: ClassVar[bool] = True
    """False if `initial_state` takes any `params`, such as None."""
    sized_by: ClassVar[tuple[str, ...]] = ()
    """Options that size the state: `state_size.sized` searches the first that is not given. () for
    the number of units."""
    sized_with: ClassVar[tuple[str, ...]] = ()
    """Options that such a search sets to the same value, unless they are given."""
    framework: ClassVar[str | None] = None
    """The package that makes the steps of a cell, of which JAX sees shapes alone; None for JAX."""
    names: ClassVar[Mapping[str, str]] = {}
    """The names that the author of the cell gave these functions, where they differ."""

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        """The initial parameters, for inputs of F features; here none."""
        return {}

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        """The state before the first step: any tree of arrays `[B, ...]`; here zeros `[B, H]`."""
        return jnp.zeros((batch_size, self.features))

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        """One step from `x`, float32 `[B, F]`: the next state, and the output `[B, features]`.

        `params` has been through `prepare`.
        """
        raise NotImplementedError

    def scan(
        self, params: CellParams, state: Carry, xs: chex.Array, mask: Mask = None
    ) -> tuple[Carry, chex.Array]:
        """All steps: the last state, and the outputs `[T, B, features]`.

        `xs` is float32 `[T, B, F]`, or int32 `[T, B]` for one-hot vectors if the cell `has_scan`;
        where `mask`, bool `[T, B]`, is False the state is held, and the output is meaningless.
        """
        return scan_over_time(functools.partial(self.step, params), state, xs, mask)

    def prepare(self, params: CellParams) -> CellParams:
        """The parameters that `step` takes, computed once a sequence: a matrix exponential, say."""
        return params

    def output_size(self, params: CellParams, input_size: int) -> int:
        """The features of the output, by the shapes of a step."""

        def output() -> chex.Array:
            state = self.initial_state(params, 2, input_size)
            return self.step(self.prepare(params), state, jnp.zeros((2, input_size)))[1]

        return jax.eval_shape(output).shape[-1]

    @property
    def key_value_sizes(self) -> tuple[int, int] | None:
        """The numbers of a key and of a value of a matrix state; None for a state of vectors."""
        return None

    def bytes_apart(self, input_size: int) -> int:
        """The bytes of a state of one row that do not count as the cell's own."""
        return 0

    @property
    def source(self) -> Any:
        """The class, or the module of functions, that its author wrote."""
        return type(self)

    @property
    def options(self) -> Any:
        """The object whose fields are the options of the cell."""
        return self
