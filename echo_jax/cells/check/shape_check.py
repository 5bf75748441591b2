"""The check of a cell's shapes and types by tracing its functions: nothing is compiled or run.

    broken.py:12: cell 'broken:Drifts' turns its carry float32[2, 4] into float16[2, 4]: return ...

Each broken rule is one sentence, after the line of the user's own file.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeVar

import chex
import jax
import jax.numpy as jnp
from flax import errors

from echo_jax.cells import registry, user_cell
from echo_jax.cells.interface import Cell, CellError
from echo_jax.cells.scan import Carry, scan_over_time
from echo_jax.config import GENERATOR
from echo_jax.exceptions import CellRefusedError, ConfigError, reason

Result = TypeVar("Result")

LARGEST = 100_000_000
"""Maximum number of parameters, and of numbers in a state: eight networks train side by side."""

NO_CHANCE = "make it deterministic, a function of its carry and input alone"

STEP_ERRORS: dict[type[Exception] | tuple[type[Exception], ...], str] = {
    jax.errors.UnexpectedTracerError: (
        "keeps an array of an earlier step outside its carry: return it in its carry"
    ),
    (jax.errors.JAXTypeError, jax.errors.JAXIndexError): (
        "cannot be compiled, as it asks for the value of an array (by if, float, int, a function "
        "of numpy ...): use jnp.where, jax.lax.cond and functions of jax.numpy"
    ),
    errors.InvalidRngError: f"draws random numbers in a step (make_rng, dropout): {NO_CHANCE}",
    errors.SetAttributeFrozenModuleError: (
        "sets an attribute of itself in a step: return what it remembers in the carry"
    ),
}
"""Sentences, without their subject, for errors of jax and Flax in a step; the first type counts."""


class Candidate(NamedTuple):
    """A cell under check, its name in messages, and F, the number of input features."""

    cell: Cell
    name: str
    input_size: int

    def refuse(
        self, sentence: str, function: str = "step", error: BaseException | None = None
    ) -> NoReturn:
        """Raise ConfigError: a sentence about the cell, after the line of the user's own file."""
        where = registry.line_of(self.name, self.cell.source, self.called(function), error)
        raise CellRefusedError(f"{where}cell {self.name!r} {sentence}") from error

    def attempt(
        self, compute: Callable[[], Result], function: str = "step", sentence: str = ""
    ) -> Result:
        """The result of user code; of an error, ConfigError: `{}` in the sentence is its reason."""
        try:
            return compute()
        except ConfigError:
            raise
        except BaseException as error:  # user code may raise anything
            said = sentence.format(reason(error)) if sentence else step_error(error)
            self.refuse(said, function, error)

    def called(self, function: str) -> str:
        """The name that the author of the cell gave to a function of `Cell`."""
        return self.cell.names.get(function, function)

    def init(self, key: chex.PRNGKey) -> Any:
        """The initial parameters."""
        return self.cell.init(key, self.input_size)

    def start(self, params: Any, batch: int) -> Carry:
        """The carry before the first step."""
        return self.cell.initial_state(params, batch, self.input_size)

    def scan(self, params: Any, carry: Carry, xs: chex.Array, mask: Any) -> Any:
        """The cell's own form over time, with parameters as `init` gives them."""
        return self.cell.scan(self.cell.prepare(params), carry, xs, mask)

    def steps(self, params: Any, carry: Carry, xs: chex.Array, mask: Any) -> Any:
        """The same by `step` alone, from vectors."""
        step = functools.partial(self.cell.step, self.cell.prepare(params))
        return scan_over_time(step, carry, xs, mask, unroll=1)

    def inputs(self, steps: int) -> list[tuple[Any, Any]]:
        """The shapes of inputs and mask that `scan` must take: vectors, and masked tokens."""
        of, shape = jax.ShapeDtypeStruct, (steps, 2)
        vectors = of((*shape, self.input_size), jnp.float32)
        tokens = of(shape, jnp.int32) if self.input_size > 1 else vectors
        return [(vectors, None), (tokens, of(shape, bool))]


def check_shapes(cell: Cell, name: str, input_size: int) -> None:
    """Raise ConfigError unless a step of the cell can be scanned, and a user's own `scan` fits.

    A scanned cell keeps its weights in its parameters and its memory in the carry, whose shapes and
    types never change; its output is `[B, features]`.
    """
    candidate = Candidate(cell, name, input_size)
    with user_cell.keeping_settings(name):
        shapes = traced(candidate, 2)
        if cell.has_scan:
            _check_scan(candidate, shapes)


def check_batch_sizes(candidate: Candidate) -> None:
    """Raise ConfigError for a cell too large for a card, or for shapes other than B that vary."""
    check_shapes(*candidate)
    of_two = traced(candidate, 2)
    for what, tree in (("parameters", "parameters"), ("carry", "numbers in a state")):
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(of_two[what]))
        if count > LARGEST:
            candidate.refuse(f"has {count:,} {tree}, and {LARGEST:,} are the most: make it smaller")
    for batch in (1, 3):
        for what, found in traced(candidate, batch).items():
            first = 0 if what == "parameters" else 1  # B may differ
            cut = [
                [(x.shape[first:], x.dtype) for x in jax.tree.leaves(y)]
                for y in (found, of_two[what])
            ]
            if cut[0] != cut[1]:
                candidate.refuse(
                    f"has the {what} {listed(of_two[what])} for a batch of 2 and {listed(found)} "
                    f"for one of {batch}: let no size but the batch axis depend on the batch",
                    "initial_state" if what == "carry" else "step",
                )


def traced(candidate: Candidate, batch: int) -> dict[str, Any]:
    """The shapes of parameters, carry and output for a batch size; ConfigError for a bad step."""
    x = jax.ShapeDtypeStruct((batch, candidate.input_size), jnp.float32)
    if not candidate.cell.starts_from_params:
        _traced_start(candidate, None, batch)  # before anything that fails because of it
    key = jax.eval_shape(lambda: jax.random.key(0, impl=GENERATOR))
    params = candidate.attempt(lambda: jax.eval_shape(candidate.init, key))
    _check_params(candidate, params)
    carry = _traced_start(candidate, params, batch)
    one_step = lambda params, *of: candidate.cell.step(candidate.cell.prepare(params), *of)  # noqa: E731
    step = candidate.attempt(lambda: jax.eval_shape(one_step, params, carry, x))
    if not (isinstance(step, tuple) and len(step) == 2):
        candidate.refuse(
            f"returns {listed(step)} from a step: return two, the carry and the output"
        )
    if listed(step[0]) != listed(carry):
        candidate.refuse(
            f"turns its carry {listed(carry)} into {listed(step[0])}: return a carry of the same "
            f"tree, shapes and types as {candidate.called('initial_state')}"
        )
    _check_output(candidate, step[1], batch)
    return {"parameters": params, "carry": carry, "output": step[1]}


def _check_params(candidate: Candidate, params: Any) -> None:
    """Raise ConfigError for parameters that Adam cannot change: integers, flags, 16-bit numbers."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not (jnp.issubdtype(leaf.dtype, jnp.inexact) and jnp.finfo(leaf.dtype).bits >= 32):
            name = jax.tree_util.keystr(path, simple=True, separator="/") or "the parameters"
            candidate.refuse(
                f"has the parameter {name} of type {leaf.dtype}: make it float32, or keep a "
                "constant in the code",
                "init",
            )


def _traced_start(candidate: Candidate, params: Any, batch: int) -> Carry:
    """The shapes of the initial carry; ConfigError for a carry that no batch can have."""
    carry = candidate.attempt(
        lambda: jax.eval_shape(lambda params: candidate.start(params, batch), params),
        "initial_state",
        f"fails in {candidate.called('initial_state')} ({{}}): define it to return an array, or a "
        "tree of arrays, for any batch size and number of input features",
    )
    for leaf in jax.tree.leaves(carry):
        numbers = jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == bool
        if not numbers or leaf.shape[:1] != (batch,):
            candidate.refuse(
                f"starts from a carry with {listed(leaf)} for a batch of {batch}: keep numbers in "
                "it, and give every array of it the batch axis first",
                "initial_state",
            )
    return carry


def _check_output(candidate: Candidate, output: Any, batch: int) -> None:
    """Raise ConfigError for an output that is not one real array `[batch, features]`."""
    one = isinstance(output, jax.ShapeDtypeStruct) and output.shape[:-1] == (batch,)
    if not (one and jnp.issubdtype(output.dtype, jnp.floating)):
        candidate.refuse(
            f"returns an output {listed(output)} for a batch of {batch}: return one array of real "
            "floating-point numbers, [batch, features], and keep the rest in the carry"
        )


def _check_scan(candidate: Candidate, shapes: dict[str, Any], steps: int = 3) -> None:
    """Raise ConfigError for a `scan` that fails, or returns other shapes than so many steps."""
    output = shapes["output"]
    expected = shapes["carry"], output.update(shape=(steps, *output.shape))
    for xs, mask in candidate.inputs(steps):
        args = (shapes["parameters"], shapes["carry"], xs, mask)
        found = candidate.attempt(
            functools.partial(jax.eval_shape, candidate.scan, *args),
            "scan",
            "fails in scan ({}): let it take what echo_jax.cells.interface.Cell says, or give it "
            "another name",
        )
        if listed(found) != listed(expected):
            candidate.refuse(
                f"has a scan that returns {listed(found)} for {listed(xs)}: return the last carry "
                f"and all outputs, {listed(expected)}",
                "scan",
            )


def step_error(error: BaseException) -> str:
    """The sentence, without its subject, about an error in a step."""
    if isinstance(error, CellError):
        return str(error)
    known = (sentence for kind, sentence in STEP_ERRORS.items() if isinstance(error, kind))
    return next(known, f"fails in a step ({reason(error)}): mend it, or try another cell")


def listed(tree: Any) -> str:
    """A tree with `type[shape]` in the place of each array: `float32[2, 4]`."""
    return str(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", tree))
