"""A recurrent cell as the rest of the package uses it: pure functions of parameters and state.

`ProjectedCell` is the base of cells whose products with the input and the output do not wait for
the state. `scan_over_time` loops over the steps of any cell. At the end are the rules that options
of several cells share.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

import chex
import jax
import jax.numpy as jnp

from echo_jax.exceptions import ConfigError

Carry = Any
"""The state of a cell: any tree of arrays, batch axis first."""


Mask: TypeAlias = chex.Array | None
"""Bool `[W, B]`, False where a step is absent; None where none is."""

# Windows of up to 8 keep the form, and so the bits, that they had before longer ones became loops
# of single steps.
UNROLLED = 8
"""The longest window whose steps are compiled one after the other, without a loop."""

CellParams = Any
"""The parameters of a cell: any tree of arrays that `tensor_files` can store."""

Terms = Any
"""The terms that one input adds to a step: any tree of arrays, each `[..., n]`."""


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
        """Return the initial parameters, for inputs of F features; here none."""
        return {}

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        """Return the state before the first step: arrays `[B, ...]` in a tree; here zeros."""
        return jnp.zeros((batch_size, self.features))

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        """Make one step from `x`, float32 `[B, F]`: the next state, and the output `[B, features]`.

        `params` has been through `prepare`.
        """
        raise NotImplementedError

    def scan(
        self, params: CellParams, state: Carry, xs: chex.Array, mask: Mask = None
    ) -> tuple[Carry, chex.Array]:
        """Return all steps: the last state, and the outputs `[T, B, features]`.

        `xs` is float32 `[T, B, F]`, or int32 `[T, B]` for one-hot vectors if the cell `has_scan`;
        where `mask`, bool `[T, B]`, is False the state is held, and the output is meaningless.
        """
        return scan_over_time(functools.partial(self.step, params), state, xs, mask)

    def prepare(self, params: CellParams) -> CellParams:
        """Return the parameters that `step` takes, computed once a sequence."""
        return params

    def output_size(self, params: CellParams, input_size: int) -> int:
        """Return the features of the output, by the shapes of a step."""

        def output() -> chex.Array:
            state = self.initial_state(params, 2, input_size)
            return self.step(self.prepare(params), state, jnp.zeros((2, input_size)))[1]

        return jax.eval_shape(output).shape[-1]

    @property
    def key_value_sizes(self) -> tuple[int, int] | None:
        """The sizes of a key and of a value in a matrix state; None for a state of vectors."""
        return None

    def bytes_apart(self, input_size: int) -> int:
        """Return the bytes of a state of one row that do not count as the cell's own."""
        return 0

    @property
    def source(self) -> Any:
        """The class, or the module of functions, that its author wrote."""
        return type(self)

    @property
    def options(self) -> Any:
        """The object whose fields are the options of the cell."""
        return self


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
        """Return the terms of inputs `[..., F]`: a tree of arrays `[..., n]`."""
        raise NotImplementedError

    def recur(self, params: CellParams, state: Carry, terms: Terms) -> tuple[Carry, Any]:
        """Make one step of the recurrence: the next state, and what `read_out` needs of it."""
        raise NotImplementedError

    def read_out(self, params: CellParams, read: Any, terms: Terms) -> chex.Array:
        """Return the outputs `[..., B, features]`; `read` itself unless overridden."""
        return read

    def parallel(
        self, params: CellParams, state: Carry, terms: Terms, mask: Mask
    ) -> tuple[Carry, Any]:
        """Run all steps of the recurrence at once; one by one unless overridden."""
        return self.sequential(params, state, terms, mask)

    def sequential(
        self, params: CellParams, state: Carry, terms: Terms, mask: Mask
    ) -> tuple[Carry, Any]:
        """Return all steps of the recurrence one by one, from terms `[T, B, n]`: its definition."""
        # Not unrolled in short windows either: the products are done, a step is mostly elementwise.
        return scan_over_time(functools.partial(self.recur, params), state, terms, mask, unroll=1)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        terms = self.project(params, x)
        state, read = self.recur(params, state, terms)
        return state, self.read_out(params, read, terms)

    def scan(
        self, params: CellParams, state: Carry, xs: chex.Array, mask: Mask = None
    ) -> tuple[Carry, chex.Array]:
        """Return all steps; for tokens the terms are rows of a table of V."""
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


def scan_over_time(
    step: Callable[[Carry, chex.Array], tuple[Carry, Any]],
    carry: Carry,
    inputs: chex.Array,
    mask: Mask,
    unroll: int = UNROLLED,
) -> tuple[Carry, Any]:
    """Run `lax.scan` of a step over the inputs `[W, B, ...]`, with masked steps.

    At absent steps the carry is held bit for bit, and the output is meaningless. A window of at
    most `unroll` steps has no loop left. A longer one is a loop of single steps: with several steps
    an iteration XLA computes the earlier ones again for each later one.

    Returns:
      The last carry, and the stacked outputs of the step, `[W, B, ...]`.
    """

    def masked_step(carry: Carry, step_input: tuple) -> tuple[Carry, Any]:
        """Run a step on inputs `[B, ...]` and presence `[B]`; an absent row keeps its carry."""
        x, present = step_input
        new_carry, output = step(carry, x)
        return (new_carry if mask is None else hold(present, carry, new_carry)), output

    steps = len(inputs) if len(inputs) <= unroll else 1
    return jax.lax.scan(masked_step, carry, (inputs, mask), unroll=steps)


def hold(present: chex.Array, carry: Carry, new_carry: Carry) -> Carry:
    """Return the new carry for rows with `present` (bool `[B]`) True, and the old one elsewhere."""

    def choose(old: chex.Array, new: chex.Array) -> chex.Array:
        # States have any rank: `[B]` as it is would broadcast along their last axis, not the first.
        return jnp.where(present.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    return jax.tree.map(choose, carry, new_carry)


def is_tokens(inputs: chex.Array) -> bool:
    """Return True for integers that stand for their one-hot vectors, False for vectors."""
    return jnp.issubdtype(inputs.dtype, jnp.integer)


def at_least(least: int, cell: Any, *names: str) -> None:
    """Raise ConfigError if one of the options `names` is below `least`; None is allowed."""
    for name in names:
        value = getattr(cell, name)
        if value is not None and value < least:
            raise ConfigError(None, f"{name} {value}", f"is below {least}", f"use {least} or more")


def above_zero(cell: Any, *names: str) -> None:
    """Raise ConfigError unless these options are above 0."""
    for name in names:
        if not getattr(cell, name) > 0:
            raise ConfigError(None, f"{name} {getattr(cell, name):g}", "is not above 0", "use more")


def divides(cell: Any, name: str, whole: int, parts: str) -> None:
    """Raise ConfigError unless the option `name` divides the number `whole` of `parts`."""
    count = getattr(cell, name)
    if count < 1 or whole % count:
        rule = f"does not divide the {whole} {parts}"
        raise ConfigError(None, f"{name} {count}", rule, "use a divisor, such as 1")
