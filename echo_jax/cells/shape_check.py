"""The check of a cell's shapes and types by tracing its step: nothing is compiled or run.

    broken.py:12: cell 'broken:Drifts' turns its carry float32[2, 4] into float16[2, 4]: return ...

Each broken rule is one sentence, after the line of the user's own file.
"""

import math
from typing import Any, NamedTuple, NoReturn

import chex
import jax
import jax.numpy as jnp
from flax import errors

from echo_jax.cells import user_cell
from echo_jax.cells.interface import Cell, CellError
from echo_jax.cells.scan import Carry
from echo_jax.config import GENERATOR, is_built_in
from echo_jax.exceptions import ConfigError, reason

LARGEST = 100_000_000
"""Maximum number of parameters, and of numbers in a state: eight networks train side by side."""

STEP_ERRORS: dict[type[Exception] | tuple[type[Exception], ...], str] = {
    jax.errors.UnexpectedTracerError: (
        "keeps an array of an earlier step outside its carry: return it in its carry"
    ),
    (jax.errors.JAXTypeError, jax.errors.JAXIndexError): (
        "cannot be compiled, as it asks for the value of an array (by if, float, int, a function "
        "of numpy ...): use jnp.where, jax.lax.cond and functions of jax.numpy"
    ),
    errors.InvalidRngError: (
        "draws random numbers in a step (make_rng, dropout): make it deterministic, a function of "
        "its carry and input alone"
    ),
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
        own = not is_built_in(self.name)
        written = user_cell.location(self.cell.source, self.called(function), error)
        where = f"{written}: " if own else ""
        raise ConfigError(f"{where}cell {self.name!r} {sentence}") from error

    def called(self, function: str) -> str:
        """The name that the author of the cell gave to a function of `Cell`."""
        return self.cell.names.get(function, function)

    def start(self, params: Any, batch: int) -> Carry:
        """The carry before the first step."""
        return self.cell.initial_state(params, batch, self.input_size)

    def step(self, params: Any, carry: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        """One step from inputs `[B, F]`, with parameters as `init` gives them."""
        return self.cell.step(self.cell.prepare(params), carry, x)


def check_shapes(cell: Cell, name: str, input_size: int) -> None:
    """Raise ConfigError unless a step of the cell can be scanned.

    A scanned cell keeps its weights in the collection `params` and its memory in the carry, whose
    shapes and types never change; its output is `[B, features]`.
    """
    traced(Candidate(cell, name, input_size), 2)


def check_batch_sizes(candidate: Candidate) -> None:
    """Raise ConfigError for a cell too large for a card, or for shapes other than B that vary."""
    of_two = traced(candidate, 2)
    for what, tree in (("parameters", "parameters"), ("carry", "numbers in a state")):
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(of_two[what]))
        if count > LARGEST:
            candidate.refuse(f"has {count:,} {tree}, and {LARGEST:,} are the most: make it smaller")
    for batch in (1, 3):
        expected = of_two | {
            what: jax.tree.map(lambda leaf, b=batch: leaf.update(shape=(b, *leaf.shape[1:])), tree)
            for what, tree in of_two.items()
            if what != "parameters"
        }
        for what, found in traced(candidate, batch).items():
            if _listed(found) != _listed(expected[what]):
                candidate.refuse(
                    f"has the {what} {_listed(of_two[what])} for a batch of 2 and "
                    f"{_listed(found)} for one of {batch}: let no size but the batch axis depend "
                    "on the batch",
                    "initial_state" if what == "carry" else "step",
                )


def traced(candidate: Candidate, batch: int) -> dict[str, Any]:
    """The shapes of parameters, carry and output for a batch size; ConfigError for a bad step."""
    x = jax.ShapeDtypeStruct((batch, candidate.input_size), jnp.float32)
    if not candidate.cell.starts_from_params:
        _traced_start(candidate, None, batch)  # before anything that fails because of it
    try:
        key = jax.eval_shape(lambda: jax.random.key(0, impl=GENERATOR))
        params = jax.eval_shape(lambda key: candidate.cell.init(key, candidate.input_size), key)
    except ConfigError:
        raise
    except BaseException as error:  # user code may raise anything
        candidate.refuse(step_error(error), error=error)
    carry = _traced_start(candidate, params, batch)
    try:
        step = jax.eval_shape(candidate.step, params, carry, x)
    except ConfigError:
        raise
    except BaseException as error:  # user code may raise anything
        candidate.refuse(step_error(error), error=error)
    if not (isinstance(step, tuple) and len(step) == 2):
        candidate.refuse(
            f"returns {_listed(step)} from a step: return two, the carry and the output"
        )
    if _listed(step[0]) != _listed(carry):
        candidate.refuse(
            f"turns its carry {_listed(carry)} into {_listed(step[0])}: return a carry of the same "
            f"tree, shapes and types as {candidate.called('initial_state')}"
        )
    _check_output(candidate, step[1], batch)
    return {"parameters": params, "carry": carry, "output": step[1]}


def _traced_start(candidate: Candidate, params: Any, batch: int) -> Carry:
    """The shapes of the initial carry; ConfigError for a carry that no batch can have."""
    function = "initial_state"
    try:
        carry = jax.eval_shape(lambda params: candidate.start(params, batch), params)
    except BaseException as error:  # user code may raise anything
        candidate.refuse(
            f"fails in {candidate.called(function)} ({reason(error)}): define it to return an "
            "array, or a tree of arrays, for any batch size and number of input features",
            function,
            error,
        )
    for leaf in jax.tree.leaves(carry):
        if not (jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == bool):
            candidate.refuse(
                f"starts from a carry with an array of type {leaf.dtype}: keep numbers in it",
                function,
            )
        if leaf.shape[:1] != (batch,):
            candidate.refuse(
                f"starts from a carry with an array of shape {leaf.shape} for inputs of shape "
                f"{(batch, candidate.input_size)}: give every array of it the batch axis first",
                function,
            )
    return carry


def _check_output(candidate: Candidate, output: Any, batch: int) -> None:
    """Raise ConfigError for an output that is not one real array `[batch, features]`."""
    if not isinstance(output, jax.ShapeDtypeStruct):
        candidate.refuse(
            f"returns an output {_listed(output)}: return one array, [batch, features], and keep "
            "the rest in the carry"
        )
    if output.ndim != 2 or output.shape[0] != batch:
        candidate.refuse(
            f"returns an output of shape {output.shape} for a batch of {batch}: "
            "return [batch, features]"
        )
    if not jnp.issubdtype(output.dtype, jnp.floating):
        candidate.refuse(
            f"returns an output of type {output.dtype}, which has no gradient: "
            "return real floating-point numbers"
        )


def step_error(error: BaseException) -> str:
    """The sentence, without its subject, about an error in a step."""
    if isinstance(error, CellError):
        return str(error)
    known = (sentence for kind, sentence in STEP_ERRORS.items() if isinstance(error, kind))
    return next(known, f"fails in a step ({reason(error)}): mend it, or try another cell")


def _listed(tree: Any) -> str:
    """A tree with `type[shape]` in the place of each array: `float32[2, 4]`."""
    return str(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", tree))
