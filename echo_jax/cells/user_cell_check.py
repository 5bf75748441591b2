"""Check a user's cell by tracing: nothing is compiled or run.

    check_shapes    before a run and a card: shapes and types of parameters, carry, output
    check_program   before a score: the program that is measured

    broken.py:12: cell 'broken:Drifts' turns its carry float32[2, 4] into float16[2, 4]: return ...

A score comes from the `step` of one stream, and the program that is checked is the program that
runs. So it is not checked whether batches of other sizes, or the user's `scan`, give equal numbers.
"""

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from flax import errors

from echo_jax.cells import registry, user_cell
from echo_jax.cells.interface import Carry, Cell, CellError
from echo_jax.exceptions import ConfigError, EchoError, reason
from echo_jax.jax_settings import GENERATOR

# BATCH and STEPS differ, so that rows and steps in the wrong order have another shape.
BATCH = 2  # rows that shapes are traced for
STEPS = 3  # steps of a `scan` that shapes are traced for

BEYOND = (
    "does more than compute its results ({}): remove what calls Python or foreign code, draws "
    "random numbers or holds a reference, and keep all memory in the carry"
)
"""The sentence, without its subject, about a cell that may remember outside its carry or be random.

The operation that does so stands in the place of {}.
"""

STEP_ERRORS: dict[type[Exception] | tuple[type[Exception], ...], str] = {
    jax.errors.UnexpectedTracerError: (
        "keeps an array of an earlier step outside its carry: return it in its carry"
    ),
    (jax.errors.JAXTypeError, jax.errors.JAXIndexError): (
        "cannot be compiled, because it needs the value of an array (in if, float, int or a NumPy "
        "function): use jnp.where, jax.lax.cond and functions of jax.numpy"
    ),
    errors.InvalidRngError: "draws random numbers in a step (make_rng): make it deterministic",
    errors.SetAttributeFrozenModuleError: (
        "sets an attribute of itself in a step: return what it remembers in the carry"
    ),
}
"""The sentences, without their subject, for classes of errors of jax and Flax in a step.

The first class that the error belongs to counts.
"""

WIDE = ("float64", "complex128", "int64", "uint64")
"""The types of 64-bit numbers, with which no result is computed."""

OUTSIDE = r"ffi_call|infeed|outfeed|rng_uniform|\w*callback\w*"
"""A pattern of operations that are not functions of their operands.

jax may record no effect for them.
"""


class Checked(NamedTuple):
    """The result of `check_program`.

    lowered         the lowered program that measures a cell
    constant_bytes  the bytes of the constant arrays in the program
    """

    lowered: jax.stages.Lowered
    constant_bytes: int


class Candidate(NamedTuple):
    """A cell that is being checked.

    cell  the cell
    name  the name of the cell in messages
    """

    cell: Cell
    name: str

    def refuse(
        self,
        sentence: str,
        function: str = "step",
        error: BaseException | None = None,
    ) -> NoReturn:
        """Raise ConfigError with the line in the user's file, and with `sentence` about the cell.

        `sentence` lacks its subject. The line is where `error` was raised, or else where
        `function`, a function of `Cell`, is defined.
        """
        where = registry.line_of(self.name, self.cell.source, self.called(function), error)
        raise ConfigError(f"{where}cell {self.name!r} {sentence}") from error

    def attempt(self, compute: Callable[[], Any], function: str = "step", rule: str = "") -> Any:
        """Return the result of `compute`, which runs user code; turn its errors into ConfigError.

        The sentence of the error is `rule` with the reason in the place of {}, or by default the
        result of `step_error`. `function` is the function of `Cell` whose code is run.
        """
        try:
            return compute()
        except (EchoError, KeyboardInterrupt):
            raise
        except BaseException as error:  # user code may raise anything
            broken = rule.format(reason(error)) if rule else step_error(error)
            self.refuse(broken, function, error)

    def called(self, function: str) -> str:
        """Return the name that the author of the cell gave to `function`, a function of `Cell`."""
        return self.cell.names.get(function, function)


def check_shapes(cell: Cell, name: str, input_size: int) -> None:
    """Raise ConfigError unless a step of the cell can be scanned, and a user's own `scan` fits.

    A scanned cell keeps its weights in its parameters and its memory in the carry, whose shapes and
    types never change; its output is `[B, features]`. The message contains `name`, the name of the
    cell. `input_size` is the number of features of an input.
    """
    candidate = Candidate(cell, name)
    if cell.framework:
        candidate.refuse(
            f"is a layer of {cell.framework}, for which there are only cards: use echo-jax card"
        )
    x = jax.ShapeDtypeStruct((BATCH, input_size), jnp.float32)
    with user_cell.keeping_settings(name):
        if not cell.starts_from_params:
            _start(candidate, None, input_size)  # before anything that fails because of it
        params = _params(candidate, input_size)
        carry = _start(candidate, params, input_size)
        output = _output(candidate, params, carry, x)
        if cell.has_scan:
            _check_scan(candidate, params, carry, (x, output))


def check_program(cell: Cell, name: str, function: Callable[..., Any], *arguments: Any) -> Checked:
    """Return the program that measures a cell, traced and lowered once, as `Checked`.

    Raises ConfigError if the program cannot be traced, or if it may remember more than its carry:
    by an effect, a reference, or an operation of `OUTSIDE`. What Python reads while the program is
    traced (a key, a clock, a file) becomes a constant.

    Args:
      cell: the cell that is measured.
      name: the name of the cell in messages.
      function: the function to trace, in which `lax.map` runs a scan of `step` for each stream.
      *arguments: the arguments of the function, arrays or `jax.ShapeDtypeStruct`.
    """
    candidate = Candidate(cell, name)
    with user_cell.keeping_settings(name):
        program = candidate.attempt(lambda: jax.jit(function).trace(*arguments))
        _check_effects(candidate, program.jaxpr, len(jax.tree.leaves(arguments)))
        lowered = candidate.attempt(program.lower)
    # By identity: an array that several nested programs share is counted once.
    constants = {id(x): x for one in _programs(program.jaxpr) for x in getattr(one, "consts", ())}
    arrays = [np.asarray(x) for x in constants.values() if np.ndim(x)]
    return Checked(lowered, sum(x.nbytes for x in arrays))


def _params(candidate: Candidate, input_size: int) -> Any:
    """Return the shapes of the candidate's parameters for inputs of `input_size` features.

    Raises ConfigError if `init` or `prepare` fails, or if a parameter is not float32 or wider, as
    Adam needs.
    """
    cell = candidate.cell
    key = jax.eval_shape(lambda: jax.random.key(0, impl=GENERATOR))
    params = candidate.attempt(lambda: jax.eval_shape(lambda key: cell.init(key, input_size), key))
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not (jnp.issubdtype(leaf.dtype, jnp.floating) and jnp.finfo(leaf.dtype).bits >= 32):
            name = jax.tree_util.keystr(path, simple=True, separator="/") or "the parameters"
            candidate.refuse(
                f"has the parameter {name} of type {leaf.dtype}: make it float32, with separate "
                "real and imaginary parts, or keep it as a constant in the code",
                "init",
            )
    candidate.attempt(
        lambda: jax.eval_shape(cell.prepare, params),
        "prepare",
        "fails in prepare ({}): let it return only arrays, not functions, strings or references",
    )
    return params


def _start(candidate: Candidate, params: Any, input_size: int) -> Carry:
    """Return the shapes of the candidate's initial carry of `BATCH` rows.

    `params` is the shapes of the parameters, or None, and `input_size` is the number of features of
    an input. Raises ConfigError if `initial_state` fails, or if an array has no batch axis in front
    or has anything but numbers of at most 32 bits.
    """
    start = lambda params: candidate.cell.initial_state(params, BATCH, input_size)  # noqa: E731
    carry = candidate.attempt(
        lambda: jax.eval_shape(start, params),
        "initial_state",
        f"fails in {candidate.called('initial_state')} ({{}}): define it to return an array, or a "
        "tree of arrays, for any batch size and number of input features",
    )
    for leaf in jax.tree.leaves(carry):
        numbers = jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == bool
        if not numbers or str(leaf.dtype) in WIDE or leaf.shape[:1] != (BATCH,):
            candidate.refuse(
                f"starts from a carry with {listed(leaf)} for a batch of {BATCH}: use numbers of "
                "at most 32 bits, and make the batch axis the first axis of every array",
                "initial_state",
            )
    return carry


def _output(candidate: Candidate, params: Any, carry: Carry, x: jax.ShapeDtypeStruct) -> Any:
    """Return the shape of a step's output; raise ConfigError if the step cannot be scanned.

    `params`, `carry` and `x` are the shapes of the parameters, the carry and the input.
    """
    cell = candidate.cell

    def traced() -> Any:
        """Return the traced program of a step, which has the shapes of its results."""

        def one_step(params: Any, *of: Any) -> Any:  # a new one, which jax has not traced before
            """Return the result of a step; raise CellError if the step changes its parameters."""
            prepared = cell.prepare(params)
            before = jax.tree.leaves(prepared)
            step = cell.step(prepared, *of)
            if [*map(id, jax.tree.leaves(prepared))] != [*map(id, before)]:
                raise CellError("changes its parameters in a step: keep what changes in its carry")
            return step

        return jax.jit(one_step).trace(params, carry, x)

    candidate.attempt(traced)
    program = candidate.attempt(traced)  # which sees an array that the first one kept
    more = len(program.jaxpr.in_avals) > len(jax.tree.leaves((params, carry, x)))
    if more or any(isinstance(x, jax.Ref) for x in program.jaxpr.consts):
        candidate.refuse(BEYOND.format("a reference, or an array of another program"))
    step = program.out_info
    if not (isinstance(step, tuple) and len(step) == 2):
        candidate.refuse(f"returns {listed(step)} from a step: return a pair, carry and output")
    if candidate.attempt(lambda: _form(step[0]) != _form(carry)):
        candidate.refuse(
            f"turns its carry {listed(carry)} into {listed(step[0])}: return a carry of the same "
            f"tree, shapes and types as {candidate.called('initial_state')}"
        )
    output = step[1]
    one = isinstance(output, jax.ShapeDtypeStruct) and output.shape[:-1] == (BATCH,)
    if not (one and jnp.issubdtype(output.dtype, jnp.floating)):
        candidate.refuse(
            f"returns an output {listed(output)} for a batch of {BATCH}: return one array of real "
            "floating-point numbers, [batch, features], and keep the rest in the carry"
        )
    return output


def _check_scan(candidate: Candidate, params: Any, carry: Carry, step: tuple[Any, Any]) -> None:
    """Raise ConfigError unless the shapes that `scan` returns fit the shapes of a step.

    `params` and `carry` are the shapes of the parameters and of the carry. `step` holds the shapes
    of the input and of the output of a step.
    """
    cell = candidate.cell
    vectors, outputs = (each.update(shape=(STEPS, *each.shape)) for each in step)
    # An input of one feature is a number, as in framing `values`, and never a token.
    one_hot = vectors.shape[-1] > 1
    tokens = jax.ShapeDtypeStruct((STEPS, BATCH), jnp.int32) if one_hot else vectors
    scan = lambda params, *of: cell.scan(cell.prepare(params), *of)  # noqa: E731
    for xs, mask in ((vectors, None), (tokens, jax.ShapeDtypeStruct((STEPS, BATCH), bool))):
        scanned = candidate.attempt(
            functools.partial(jax.eval_shape, scan, params, carry, xs, mask),
            "scan",
            "fails in scan ({}): let it take the arguments of echo_jax.cells.interface.Cell.scan, "
            "or rename it",
        )
        if _form(scanned) != _form((carry, outputs)):
            candidate.refuse(
                f"has a scan that returns {listed(scanned)} for {listed(xs)}: return the last "
                f"carry and all outputs, {listed((carry, outputs))}",
                "scan",
            )


def _check_effects(candidate: Candidate, program: Any, arguments: int) -> None:
    """Raise ConfigError if a traced program does more than compute with its arguments.

    `arguments` is the number of arrays that the program was traced for.
    """
    for equation in (x for one in _programs(program) for x in one.eqns):
        name = equation.primitive.name
        effect = program.effects and equation.effects and not [*_nested(equation)]
        if effect or re.fullmatch(OUTSIDE, name):
            candidate.refuse(BEYOND.format(name), error=_raised_at(equation))
    if program.effects or len(program.in_avals) > arguments:  # jax adds those from outside
        candidate.refuse(BEYOND.format("a reference, or an array of another program"))


def _programs(program: Any) -> Iterator[Any]:
    yield program
    for equation in program.eqns:
        for each in _nested(equation):
            yield from _programs(each)


def _nested(equation: Any) -> Iterator[Any]:
    for value in equation.params.values():
        for each in value if isinstance(value, tuple | list) else [value]:
            if hasattr(each, "eqns"):
                yield each


def _raised_at(equation: Any) -> Exception:
    """Return an error whose traceback is that of the user's code that made `equation`."""
    traceback = equation.source_info.traceback
    return Exception().with_traceback(traceback.as_python_traceback() if traceback else None)


def step_error(error: BaseException) -> str:
    """Return the sentence, without its subject, about `error`, which a step raised."""
    if isinstance(error, CellError):
        return str(error)
    sentences = (sentence for kind, sentence in STEP_ERRORS.items() if isinstance(error, kind))
    return next(sentences, f"fails in a step ({reason(error)}): fix its code, or use another cell")


def _form(tree: Any) -> tuple[Any, list[Any]]:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]


def listed(tree: Any) -> str:
    """Return `tree`, whose leaves are arrays or shapes, as text; a leaf is `float32[2, 4]`."""
    leaves, structure = jax.tree.flatten(tree)
    words = iter([f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves])
    text = str(structure).removeprefix("PyTreeDef(").removesuffix(")")
    return re.sub(r"\*", lambda _: next(words, "*"), text)
