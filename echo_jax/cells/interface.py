"""A recurrent cell as the rest of the package uses it: pure functions of parameters and state.

`ProjectedCell` is the base of cells whose products with the input and the output do not wait for
the state. `scan_over_time` loops over the steps of any cell. The last functions check rules that
the options of several cells share.
"""

import dataclasses
import functools
import numbers
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

import chex
import jax
import jax.numpy as jnp

from echo_jax.exceptions import ConfigError, shown

Carry = Any
"""The state of a cell: any tree of arrays, batch axis first."""


Mask: TypeAlias = chex.Array | None
"""Bool `[W, B]`, False where a step is absent; None if no step is absent."""

# Windows of up to 8 keep the form, and so the bits, that they had before longer ones became loops
# of single steps.
UNROLLED = 8
"""The longest window whose steps are compiled one after the other, without a loop."""

CellParams = Any
"""The parameters of a cell: any tree of arrays that `tensor_files` can store."""

Terms = Any
"""The terms that one input adds to a step: any tree of arrays, each `[..., n]`."""


class CellError(Exception):
    """An error about a rule that a user's cell breaks.

    Its message is a sentence without the subject, the cell, and ends with the fix.
    """


class Cell:
    """A recurrent cell. Subclasses are frozen dataclasses, whose fields are the options of a cell.

    Most cells have the option `features`, which is H: the number of units and of outputs.

        params = cell.init(key, input_size)
        state = cell.initial_state(params, batch_size, input_size)
        params = cell.prepare(params)
        state, y = cell.step(params, state, x)
        state, ys = cell.scan(params, state, xs, mask)

    `step` is the definition. A cell with a faster form over time sets `has_scan` and overrides
    `scan`. This method must give the numbers of `step` up to rounding, and must accept integer
    tokens in place of one-hot vectors. The gradient goes through `prepare`. In all methods,
    `input_size` is F, the number of features of an input, and `batch_size` is B, the number of rows
    of a batch.
    """

    features: int
    has_scan: ClassVar[bool] = False
    prepared_once: ClassVar[bool] = False
    """True if `prepare` is costly: a card then prepares once per update, not for each part of its
    streams. This changes last bits, so the parameters of other cells are prepared for each part."""
    starts_from_params: ClassVar[bool] = True
    """False if `initial_state` does not use `params`, which may then be None."""
    sized_by: ClassVar[tuple[str, ...]] = ()
    """Options that size the state: `state_search.sized` searches the first one that is not given.
    () stands for the number of units."""
    sized_with: ClassVar[tuple[str, ...]] = ()
    """Options that `state_search.sized` sets to the value of the searched option, unless given."""
    framework: ClassVar[str | None] = None
    """The package that computes the steps, such as torch; JAX sees only shapes. None for JAX."""
    names: ClassVar[Mapping[str, str]] = {}
    """The names that the cell's author gave to the functions of `Cell`, where they differ."""

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        """Return initial parameters, drawn with `key`, for inputs of `input_size` features."""
        return {}

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        """Return the state before the first step, a tree of arrays `[batch_size, ...]`.

        `params` is the result of `init`, or None if the state does not depend on the parameters.
        """
        return jnp.zeros((batch_size, self.features))

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        """Return the next state and the output `[B, features]` of a step from x, float32 `[B, F]`.

        `params` is the result of `prepare`; `state` is the state before the step.
        """
        raise NotImplementedError

    def scan(
        self, params: CellParams, state: Carry, xs: chex.Array, mask: Mask = None
    ) -> tuple[Carry, chex.Array]:
        """Return the last state and the outputs `[T, B, features]` of T steps from `state`.

        `params` is the result of `prepare`. `xs` is float32 `[T, B, F]`; if the cell `has_scan`, it
        may be int32 tokens `[T, B]` instead of one-hot vectors. Where `mask`, bool `[T, B]`, is
        False, the state is held and the output is meaningless.
        """
        return scan_over_time(functools.partial(self.step, params), state, xs, mask)

    def prepare(self, params: CellParams) -> CellParams:
        """Return the form of `params` that `step` takes, computed once for many steps."""
        return params

    def output_size(self, params: CellParams, input_size: int) -> int:
        """Return the number of features of the output, from the shapes of a step.

        `params` is the result of `init`.
        """

        def output() -> chex.Array:
            state = self.initial_state(params, 2, input_size)
            return self.step(self.prepare(params), state, jnp.zeros((2, input_size)))[1]

        return jax.eval_shape(output).shape[-1]

    @property
    def key_value_sizes(self) -> tuple[int, int] | None:
        """The sizes of a key and of a value in a matrix state; None for a state of vectors."""
        return None

    def bytes_apart(self, input_size: int) -> int:
        """Return how many bytes of a row's state do not count as memory of the cell.

        An example is the last inputs of a convolution.
        """
        return 0

    @property
    def source(self) -> Any:
        """The class, the function or the module of functions that the author of the cell wrote."""
        return type(self)

    @property
    def options(self) -> Any:
        """The object whose fields are the options of the cell."""
        return self


class ProjectedCell(Cell):
    """A cell whose step consists of three functions; only the second function needs the state.

        terms       = project(params, x)                x `[..., F]`
        state, read = recur(params, state, terms)
        y           = read_out(params, read, terms)

    `scan` projects all inputs at once, runs the recurrence, and reads all outputs at once. A cell
    whose recurrence has a form parallel over time overrides `parallel`, which must equal the
    sequential form up to rounding; `scan` calls it if `in_parallel` is True. In all these methods,
    `params` is the result of `prepare`, whose first array must be a kernel `[F, n]` of the inputs.
    """

    has_scan: ClassVar[bool] = True

    @property
    def in_parallel(self) -> bool:
        """True if `scan` uses the parallel form on the devices of this process."""
        # On other devices the parallel form is taken unmeasured: all times in docs/ are of CPUs.
        return jax.default_backend() != "cpu"

    def project(self, params: CellParams, x: chex.Array) -> Terms:
        """Return the terms of the inputs x, `[..., F]`: a tree of arrays `[..., n]`."""
        raise NotImplementedError

    def recur(self, params: CellParams, state: Carry, terms: Terms) -> tuple[Carry, Any]:
        """Return the next state, and what `read_out` reads, after a step from `state`.

        `terms` are the result of `project` for the input of the step.
        """
        raise NotImplementedError

    def read_out(self, params: CellParams, read: Any, terms: Terms) -> chex.Array:
        """Return the outputs `[..., B, features]`; unless overridden, `read` is the output.

        `read` is the second result of `recur`, and `terms` are the result of `project`, for one
        step or for all steps.
        """
        return read

    def parallel(
        self, params: CellParams, state: Carry, terms: Terms, mask: Mask
    ) -> tuple[Carry, Any]:
        """Return the last state, and for all T steps what `read_out` reads, computed at once.

        `state` is the state before the first step, and `terms` are arrays `[T, B, n]`. Where
        `mask`, bool `[T, B]`, is False, the state is held. Unless this method is overridden, steps
        are made one by one.
        """
        return self.sequential(params, state, terms, mask)

    def sequential(
        self, params: CellParams, state: Carry, terms: Terms, mask: Mask
    ) -> tuple[Carry, Any]:
        """Return the last state, and for all T steps what `read_out` reads, made step by step.

        The arguments are the same as in `parallel`. This method defines the recurrence.
        """
        # Not unrolled in short windows either: the products are done, a step is mostly elementwise.
        return scan_over_time(functools.partial(self.recur, params), state, terms, mask, unroll=1)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        terms = self.project(params, x)
        state, read = self.recur(params, state, terms)
        return state, self.read_out(params, read, terms)

    def scan(
        self, params: CellParams, state: Carry, xs: chex.Array, mask: Mask = None
    ) -> tuple[Carry, chex.Array]:
        """Return the last state and the outputs, as `Cell.scan` does."""
        terms = self.projection(params, xs)(xs)
        run = self.parallel if self.in_parallel else self.sequential
        state, read = run(params, state, terms, mask)
        return state, self.read_out(params, read, terms)

    def projection(self, params: CellParams, xs: chex.Array) -> Callable[[chex.Array], Terms]:
        """Return a function that maps `xs`, or a part of them, to terms.

        If `xs` are tokens, their terms are rows of a table with the terms of all V tokens.
        """
        if not is_tokens(xs):
            return functools.partial(self.project, params)
        values = len(jax.tree.leaves(params)[0])  # the rows of the kernel of the inputs
        # V projections serve all T B tokens. On a CPU a one-hot product is a row, bit for bit.
        table = self.project(params, jnp.eye(values))
        return lambda tokens: jax.tree.map(lambda rows: rows[tokens], table)


def scan_over_time(
    step: Callable[[Carry, chex.Array], tuple[Carry, Any]],
    carry: Carry,
    inputs: chex.Array,
    mask: Mask,
    unroll: int = UNROLLED,
) -> tuple[Carry, Any]:
    """Run `step` over W steps by `lax.scan`, and hold the carry of a row where `mask` is False.

    Where the carry is held, it keeps every bit, and the output is meaningless.

    Args:
      step: maps a carry and an input `[B, ...]` to the next carry and an output.
      carry: the carry before the first step.
      inputs: the inputs of all steps, `[W, B, ...]`.
      mask: bool `[W, B]`, False where a step is absent; None if no step is absent.
      unroll: the longest window that is compiled without a loop. A longer window is a loop of
        single steps: with several steps per iteration, XLA would compute the earlier steps again
        for each later step.

    Returns:
      The last carry, and the stacked outputs of `step`, `[W, B, ...]`.
    """

    def masked_step(carry: Carry, step_input: tuple) -> tuple[Carry, Any]:
        """Return the carry and the output after a step; an absent row keeps its carry."""
        x, present = step_input
        new_carry, output = step(carry, x)
        return (new_carry if mask is None else hold(present, carry, new_carry)), output

    steps = len(inputs) if len(inputs) <= unroll else 1
    return jax.lax.scan(masked_step, carry, (inputs, mask), unroll=steps)


def hold(present: chex.Array, carry: Carry, new_carry: Carry) -> Carry:
    """Return `new_carry` in rows where `present`, bool `[B]`, is True, and `carry` elsewhere."""

    def choose(old: chex.Array, new: chex.Array) -> chex.Array:
        # States have any rank: `[B]` as it is would broadcast along their last axis, not the first.
        return jnp.where(present.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    return jax.tree.map(choose, carry, new_carry)


def is_tokens(inputs: chex.Array) -> bool:
    """Return True if `inputs` are integers, which stand for one-hot vectors; False for vectors."""
    return jnp.issubdtype(inputs.dtype, jnp.integer)


def at_least(least: int, cell: Any, *names: str) -> None:
    """Raise ConfigError if one of the options `names` of `cell` is below `least`, or no number.

    The value None is allowed.
    """
    for name in names:
        value = getattr(cell, name)
        if value is None:
            continue
        check_number(cell, name, least)
        if not value >= least:
            raise ConfigError(None, f"{name} {value}", f"is below {least}", f"use {least} or more")


def above_zero(cell: Any, *names: str) -> None:
    """Raise ConfigError unless all the options `names` of `cell` are numbers above 0."""
    for name in names:
        check_number(cell, name)
        if not getattr(cell, name) > 0:
            given = f"{name} {getattr(cell, name):g}"
            raise ConfigError(None, given, "is not above 0", "use a number above 0")


def check_number(cell: Any, name: str, example: int = 1) -> None:
    """Raise ConfigError unless the option `name` of `cell` is a number, such as `example`.

    Only a field of the type float may have a fraction.
    """
    value = getattr(cell, name)
    types = {field.name: field.type for field in dataclasses.fields(cell)}
    may_have_fraction = types[name] is float
    kind = numbers.Real if may_have_fraction else numbers.Integral
    if isinstance(value, bool) or not isinstance(value, kind):
        what = "number" if may_have_fraction else "whole number"
        fix = f"use a {what} such as {example}"
        raise ConfigError(None, f"{name} {shown(value)}", f"is not a {what}", fix)


def divides(cell: Any, name: str, whole: int, parts: str) -> None:
    """Raise ConfigError unless the option `name` of `cell` is 1 or more and divides `whole`.

    `parts` is what `whole` counts, such as "features", for the message.
    """
    check_number(cell, name)
    count = getattr(cell, name)
    if count < 1 or whole % count:
        rule = f"does not divide the {whole} {parts}"
        raise ConfigError(None, f"{name} {count}", rule, "use a divisor, such as 1")
