"""What is wrong with a user's cell, found before it is trained and told in one sentence.

    broken.py:12: cell 'broken:Drifts' turns its carry float32[2, 4] into float16[2, 4]: return ...

Each sentence begins with the line of the user's own file. First the cell is traced, which costs
milliseconds; then 50 of its steps are compiled and run on random inputs.
"""

import concurrent.futures
import math
import re
import sys
import threading
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, NoReturn, TypeVar

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import errors
from flax import linen as nn
from jax.extend import core

from echo_jax.cells import user_cell
from echo_jax.cells.registry import CELLS, check_cell
from echo_jax.cells.scan import Carry, HoistedCell
from echo_jax.exceptions import ConfigError

SECONDS = 120.0
"""Time that the checks of a cell may take, tracing and compiling included."""

LARGEST = 100_000_000
"""Parameters, and numbers of a state, so many of each: eight networks train side by side."""

STEPS = 50
"""Random inputs that a cell is run on."""

COMPARED = 3
"""Steps over which two runs are compared: no chaos makes anything of a rounding so soon."""

TRACES = 16
"""How often a step is traced anew: a coin that it tosses falls alike in one of 30,000 checks."""

SAME, ROUNDED = 1e-5, 2e-2
"""How far two numbers may be apart, relative to the largest: of one program, and of two that may
round differently, also in 16 bits."""

NOT_CONCRETE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
"""What jax raises where a program asks for the value of an array that it is traced without."""

Result = TypeVar("Result")


class TooLongError(ConfigError):
    """A compilation has passed its limit and goes on in a thread: end it with `cli.leave`."""


class Trace(NamedTuple):
    """The states and the outputs of a run: a tree of `[T, B, ...]`, and `[T, B, H]`."""

    carries: Carry
    outputs: chex.Array


class Suspect(NamedTuple):
    """A cell under examination: what it is called, and how many features it is fed."""

    cell: nn.RNNCellBase
    name: str
    input_size: int

    def refuse(
        self, sentence: str, method: str = "__call__", error: BaseException | None = None
    ) -> NoReturn:
        """Raise ConfigError with a sentence about the cell, after the line it is about."""
        where = user_cell.location(type(self.cell), method, error)
        built_in = self.name in CELLS
        raise ConfigError(
            f"{'' if built_in else f'{where}: '}cell {self.name!r} {sentence}"
        ) from error

    def start(self, batch: int) -> Carry:
        """Its state before the first step."""
        return self.cell.initialize_carry(jax.random.key(0), (batch, self.input_size))

    def shapes(self, batch: int) -> tuple[Any, Any, Any]:
        """The shapes of its variables, and of the carry and the output of a step from its start."""
        x = jax.ShapeDtypeStruct((batch, self.input_size), jnp.float32)
        carry = jax.eval_shape(lambda: self.start(batch))
        key = jax.eval_shape(lambda: jax.random.key(0))
        (carry, output), variables = jax.eval_shape(self.cell.init_with_output, key, carry, x)
        return variables, carry, output


def check(
    cell: nn.RNNCellBase,
    name: str,
    input_size: int,
    also: Collection[int] = (),
    seconds: float = SECONDS,
) -> None:
    """Raise ConfigError for a cell that cannot be trained, or whose card would mean nothing.

    A step must be a function of the carry and the input alone, the same one every time, of each
    row of a batch for itself; jax must be able to trace and to differentiate it, and it must give
    finite numbers at its initial weights.

    Args:
      cell: as `user_cell.build` gives it.
      name: what it is called in the sentence.
      input_size: features F of an input; inputs are one-hot, or one number where F is 1.
      also: other sizes that it will be fed, for which its steps are traced and not run.
      seconds: the time for all of it; beyond it TooLongError.
    """

    def examine() -> None:
        """Every size, the one that is run last."""
        for size in also:
            _examine(Suspect(cell, name, size), run=False)
        _examine(Suspect(cell, name, input_size))

    compile_within(seconds, examine, cell, name)


def compile_within(
    seconds: float, compile_it: Callable[[], Result], cell: nn.RNNCellBase, name: str
) -> Result:
    """What a function returns, if it does so in time; TooLongError otherwise.

    It runs in a thread, for nothing ends a compilation from outside but the end of the process:
    the thread is left behind, and `cli.leave` ends the process without it. What jax knows of a
    thread alone (`with jax.enable_x64()` and the like) belongs into the function.

    Args:
      seconds: the limit.
      compile_it: traces and compiles something made of the cell, and returns it.
      cell: its line in the user's file is told: the one it is at, or that of `__call__`.
      name: what it is called in the sentence.
    """
    future: concurrent.futures.Future[Result] = concurrent.futures.Future()

    def work() -> None:
        """A future of its own: an executor would wait for the thread when Python ends."""
        try:
            future.set_result(compile_it())
        except BaseException as error:  # the caller raises it
            future.set_exception(error)

    thread = threading.Thread(target=work, daemon=True, name="compile")
    thread.start()
    try:
        return future.result(seconds)
    except concurrent.futures.TimeoutError:
        if future.done():  # the function's own
            raise
    where = _line_at_work(thread) or user_cell.location(type(cell))
    raise TooLongError(
        f"{where}: cell {name!r} is not traced and compiled within {seconds:g} s: put a loop over "
        "many operations into jax.lax.scan, or make it one product of arrays"
    )


def _line_at_work(thread: threading.Thread) -> str | None:
    """FILE:LINE of the user's own code that a thread is in, if it is in any."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if user_cell.is_the_users(frame.f_code.co_filename):
            return f"{user_cell.shown(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def _examine(suspect: Suspect, run: bool = True) -> None:
    """Every check, the cheap ones first; what a cell raises out of turn is a sentence too."""
    try:
        _check_class(suspect)
        _check_start(suspect)
        _check_trace(suspect)
        _check_batch_sizes(suspect)
        _check_differentiable(suspect)
        if run:
            with jax.default_matmul_precision("highest"):
                _check_numbers(suspect)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's cell raises
        suspect.refuse(_why_untraced(error), error=error)


def _check_class(suspect: Suspect) -> None:
    """Raise ConfigError for a class that lacks what makes it a cell."""
    kind = type(suspect.cell)
    if not isinstance(suspect.cell, nn.RNNCellBase):
        suspect.refuse("is no flax.linen.RNNCellBase: derive it from that class")
    if kind.initialize_carry is nn.RNNCellBase.initialize_carry:
        suspect.refuse(
            "has no initialize_carry: define initialize_carry(self, rng, input_shape), which "
            "returns the state before the first step",
            "initialize_carry",
        )
    if not any("__call__" in base.__dict__ for base in kind.__mro__):
        suspect.refuse(
            "has no __call__: define __call__(self, carry, inputs), which returns the next carry "
            "and the output"
        )


def _check_start(suspect: Suspect) -> None:
    """Raise ConfigError for an `initialize_carry` that fails, or does not heed the batch size."""
    method = "initialize_carry"
    try:
        two, three = (jax.eval_shape(lambda batch=b: suspect.start(batch)) for b in (2, 3))
        first, again = suspect.start(2), suspect.start(2)
    except Exception as error:  # whatever a user's cell raises
        suspect.refuse(
            f"fails in initialize_carry ({user_cell.reason(error)}): return an array, or a tree of "
            "arrays, for any rng and an input shape (batch, features)",
            method,
            error,
        )
    for batch, carry in ((2, two), (3, three)):
        for leaf in jax.tree.leaves(carry):
            _check_leaf(suspect, leaf, batch)
    if _with_batch(two, 3) != _with_batch(three, 3):
        suspect.refuse(
            f"starts from {_listed(two)} for a batch of 2 and from {_listed(three)} for one of 3: "
            "let nothing but the first axis depend on the batch size",
            method,
        )
    if not _close(first, again, SAME):
        suspect.refuse(
            "does not start from the same carry twice for one rng: draw what is random from rng, "
            "with jax.random",
            method,
        )


def _check_leaf(suspect: Suspect, leaf: jax.ShapeDtypeStruct, batch: int) -> None:
    """Raise ConfigError for an array of the first carry without a batch axis, or not of numbers."""
    if leaf.shape[:1] != (batch,):
        suspect.refuse(
            f"starts from a carry with an array of shape {leaf.shape} for inputs of shape "
            f"{(batch, suspect.input_size)}: give every array of it the batch axis first, that of "
            "input_shape",
            "initialize_carry",
        )
    if not (jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == bool):
        suspect.refuse(
            f"starts from a carry with an array of type {leaf.dtype}: keep numbers in it",
            "initialize_carry",
        )


def _check_trace(suspect: Suspect) -> None:
    """Raise ConfigError for a step that cannot be traced, or that needs more than its carry."""
    try:
        check_cell(*suspect)
        variables, carry, _ = suspect.shapes(2)
        x = jax.ShapeDtypeStruct((2, suspect.input_size), jnp.float32)
        jax.eval_shape(suspect.cell.apply, variables, carry, x)
    except Exception as error:  # whatever a user's cell raises
        cause = error.__cause__ if isinstance(error, ConfigError) else error
        sentence = str(error) if cause is None else _why_untraced(cause)
        suspect.refuse(sentence.removeprefix(f"cell {suspect.name!r} "), error=cause)
    for what, tree in (("parameters", variables), ("numbers in a state", carry)):
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        if count > LARGEST:
            suspect.refuse(f"has {count:,} {what}, and {LARGEST:,} are the most: make it smaller")


def _why_untraced(error: BaseException) -> str:
    """The sentence, without its subject, about an error of a step under a trace."""
    if isinstance(error, NOT_CONCRETE):
        return (
            "cannot be compiled, as it asks for the value of an array (by if, float, int, a "
            "function of numpy ...): use jnp.where, jax.lax.cond and functions of jax.numpy"
        )
    if isinstance(error, jax.errors.UnexpectedTracerError):
        return "keeps an array of an earlier step outside its carry: return it in its carry"
    if isinstance(error, errors.InvalidRngError):
        return (
            "draws random numbers in a step (make_rng, dropout): make it deterministic, for a "
            "card is about what the carry holds"
        )
    if isinstance(error, errors.SetAttributeFrozenModuleError):
        return "sets an attribute of itself in a step: return what it remembers in the carry"
    if isinstance(error, errors.ScopeParamShapeError):
        return (
            f"has parameters whose shape changes ({user_cell.reason(error)}): let it depend on "
            "the fields and the last axis of the input alone"
        )
    return f"fails in a step ({user_cell.reason(error)}): mend it, or try another cell"


def _check_batch_sizes(suspect: Suspect) -> None:
    """Raise ConfigError where a batch of 1 or 3 has other shapes than one of 2, but for the B."""
    variables, carry, output = suspect.shapes(2)
    for batch in (1, 3):
        try:
            others, other_carry, other_output = suspect.shapes(batch)
        except Exception as error:  # whatever a user's cell raises
            suspect.refuse(
                f"takes a batch of 2 and fails with one of {batch} ({user_cell.reason(error)}): "
                "take the batch size from the inputs",
                error=error,
            )
        if variables != others:
            suspect.refuse(
                f"has parameters {_listed(variables)} for a batch of 2 and {_listed(others)} for "
                f"one of {batch}: let their shapes depend on the fields and the last axis of the "
                "input alone"
            )
        same = _with_batch((other_carry, other_output), 2) == _with_batch((carry, output), 2)
        if not same or other_output.shape[0] != batch:
            suspect.refuse(
                f"returns an output of shape {other_output.shape} for a batch of {batch}, and of "
                f"{output.shape} for one of 2: return [batch, features]"
            )


def _check_differentiable(suspect: Suspect) -> None:
    """Raise ConfigError for parameters or steps that jax does not differentiate."""
    variables, carry, _ = suspect.shapes(2)
    params = variables.get("params", {})
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            suspect.refuse(
                f"has the parameter {_spelled(path)} of type {leaf.dtype}, which has no gradient: "
                "make it one or two of real floating-point numbers, or a constant"
            )
    inputs = jax.ShapeDtypeStruct((STEPS, 2, suspect.input_size), jnp.float32)
    try:
        jax.eval_shape(_with_gradient(suspect), params, carry, inputs)
    except Exception as error:  # whatever a user's cell raises
        suspect.refuse(
            f"has no gradient ({user_cell.reason(error)}): leave out what jax does not "
            "differentiate in reverse, such as while_loop and callbacks",
            error=error,
        )


def _check_numbers(suspect: Suspect) -> None:
    """Raise ConfigError where the numbers of a run are not what those of a cell must be."""
    start, inputs = suspect.start(2), _inputs(suspect.input_size)
    params = _initial(suspect, start, inputs[0])
    run = jax.jit(_with_gradient(suspect))
    trace, gradient = run(params, start, inputs)
    _check_finite(suspect, params, trace, gradient)
    alone = jax.jit(_steps(suspect))(params, _rows(start, slice(1)), inputs[:COMPARED, :1])
    alike = _close(_first_row(trace), _first_row(alone), ROUNDED)
    _check_repeats(suspect, params, start, inputs[:COMPARED])
    for row in (0, 1):
        other, _ = run(params, start, _with_other_row(inputs, 1 - row))
        if not _close(_first_row(trace, row), _first_row(other, row), SAME):
            suspect.refuse(
                f"mixes the rows of a batch, as row {row} changes with the input of row {1 - row}: "
                "compute every row from its own carry and input"
            )
    if not alike:
        suspect.refuse(
            "gives other numbers for a row alone than for the same one in a batch of 2: let no "
            "value depend on the batch size"
        )
    if isinstance(suspect.cell, HoistedCell):
        _check_hoisted(suspect, params, start, trace)


def _initial(suspect: Suspect, start: Carry, x: chex.Array) -> Any:
    """The initial parameters; ConfigError where a key does not determine them."""
    first, again = (suspect.cell.init(jax.random.key(1), start, x) for _ in range(2))
    if not _close(first, again, SAME):
        suspect.refuse(
            "does not start from the same weights twice for one key: draw them with the key that "
            "self.param hands to an initializer"
        )
    return first.get("params", {})


def _check_finite(suspect: Suspect, params: Any, trace: Trace, gradient: Any) -> None:
    """Raise ConfigError for NaN or infinity in what 50 random inputs give."""
    for what, tree in (("output", trace.outputs), ("carry", trace.carries)):
        bad = [~np.isfinite(x).reshape(STEPS, -1).all(1) for x in _numbers(tree)]
        if np.any(bad):
            step = int(np.argmax(np.any(bad, axis=0)))
            suspect.refuse(
                f"has NaN or infinity in its {what} at step {step + 1} of random inputs at its "
                "initial weights: guard divisions, logarithms and roots, or start from smaller "
                "weights",
                error=_nan_error(suspect, params, step),
            )
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        if not np.isfinite(leaf).all():
            suspect.refuse(
                f"has NaN or infinity in the gradient of {_spelled(path) or 'its inputs'} at its "
                "initial weights: guard roots, norms and divisions at zero, also on the side that "
                "jnp.where does not take"
            )


def _nan_error(suspect: Suspect, params: Any, step: int) -> BaseException | None:
    """What jax raises at the operation that gives the first NaN or infinity, run one by one."""
    carry, inputs = suspect.start(2), _inputs(suspect.input_size)
    try:
        with jax.disable_jit(), jax.debug_nans(True), jax.debug_infs(True):
            for x in inputs[: step + 1]:
                carry, _ = suspect.cell.apply({"params": params}, carry, x)
    except FloatingPointError as error:
        return error
    return None


def _check_repeats(suspect: Suspect, params: Any, start: Carry, inputs: chex.Array) -> None:
    """Raise ConfigError where a step traced anew is a program that gives other numbers."""
    first, *others = _programs(suspect, params, start, inputs)
    given = jax.tree.leaves((params, start, inputs))
    expected = jax.jit(core.jaxpr_as_fun(first))(*given) if others else []
    if not all(_close(expected, jax.jit(core.jaxpr_as_fun(x))(*given), SAME) for x in others):
        suspect.refuse(
            "is not the same function each time it is compiled (numpy.random, random, time, a "
            "counter ...): leave out what differs from call to call"
        )


def _programs(
    suspect: Suspect, params: Any, start: Carry, inputs: chex.Array
) -> list[core.ClosedJaxpr]:
    """The programs that `TRACES` traces of the steps give, each but once: one of a sound cell."""
    found = {}
    for _ in range(TRACES):
        closed = jax.make_jaxpr(_steps(suspect))(params, start, inputs)
        text = re.sub(r"0x[0-9a-f]+", "", str(closed))  # where functions are in memory
        found[text, *(np.asarray(x).tobytes() for x in closed.consts)] = closed
    return list(found.values())


def _check_hoisted(suspect: Suspect, params: Any, start: Carry, trace: Trace) -> None:
    """Raise ConfigError where `project` and `unroll` do not do together what a step does."""
    inputs = _inputs(suspect.input_size)[:COMPARED]
    fed = inputs if suspect.input_size == 1 else jnp.argmax(inputs, axis=-1)
    variables, cell = {"params": params}, suspect.cell

    def unrolled(fed: chex.Array) -> Any:
        projected = cell.apply(variables, fed, method="project")
        return cell.apply(variables, start, projected, None, method="unroll")

    try:
        carry, outputs = jax.jit(unrolled)(fed)
        expected = jax.tree.map(lambda x: x[COMPARED - 1], trace.carries)
        same = _close((carry, outputs), (expected, trace.outputs[:COMPARED]), ROUNDED)
    except Exception as error:  # whatever a user's cell raises
        suspect.refuse(
            f"fails in project or unroll ({user_cell.reason(error)}): let them take what "
            "echo_jax.cells.lstm.HoistedCell says, or give them other names",
            "project",
            error,
        )
    if not same:
        suspect.refuse(
            "has a project and an unroll that give other numbers than its steps: let them agree, "
            "or leave them out",
            "unroll",
        )


def _steps(suspect: Suspect) -> Callable[[Any, Carry, chex.Array], Trace]:
    """A new function, so that it is traced anew: a scan of the cell over inputs `[T, B, F]`."""

    def run(params: Any, start: Carry, inputs: chex.Array) -> Trace:
        """Every carry and output."""

        def step(carry: Carry, x: chex.Array) -> tuple[Carry, Trace]:
            carry, output = suspect.cell.apply({"params": params}, carry, x)
            return carry, Trace(carry, output)

        return jax.lax.scan(step, start, inputs)[1]

    return run


def _with_gradient(suspect: Suspect) -> Callable[[Any, Carry, chex.Array], tuple[Trace, Any]]:
    """`_steps`, and the gradient of the sum of the outputs by the parameters and the inputs."""
    steps = _steps(suspect)

    def run(params: Any, start: Carry, inputs: chex.Array) -> tuple[Trace, Any]:
        """The trace, and the gradient of the sum of all outputs."""

        def total(params: Any, inputs: chex.Array) -> tuple[chex.Array, Trace]:
            trace = steps(params, start, inputs)
            return jnp.sum(trace.outputs.astype(jnp.float32)), trace

        (_, trace), gradient = jax.value_and_grad(total, (0, 1), has_aux=True)(params, inputs)
        return trace, gradient

    return run


def _inputs(input_size: int) -> chex.Array:
    """Random one-hot vectors, or numbers from 0 to 1 where an input is one: `[STEPS, 2, F]`."""
    rng = np.random.default_rng(0)
    if input_size == 1:
        return jnp.asarray(rng.random((STEPS, 2, 1)), jnp.float32)
    return jax.nn.one_hot(rng.integers(0, input_size, (STEPS, 2)), input_size)


def _with_other_row(inputs: chex.Array, row: int) -> chex.Array:
    """The inputs with another value in each step of a row: a one-hot vector is rolled."""
    values = inputs[:, row]
    other = values + 0.5 if inputs.shape[-1] == 1 else jnp.roll(values, 1, axis=-1)
    return inputs.at[:, row].set(other)


def _rows(tree: Any, rows: slice) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def _first_row(trace: Trace, row: int = 0) -> Any:
    """What a row of a batch did in the steps that are compared."""
    return jax.tree.map(lambda leaf: leaf[:COMPARED, row], trace)


def _numbers(tree: Any) -> list[np.ndarray]:
    """The arrays of a tree that may hold NaN, in numpy's types."""
    inexact = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    complex_ = [jnp.iscomplexobj(x) for x in inexact]
    return [
        np.asarray(x, np.complex64 if c else np.float32)
        for x, c in zip(inexact, complex_, strict=True)
    ]


def _close(a: Any, b: Any, tolerance: float) -> bool:
    """Whether two trees of arrays differ by at most a share of the largest number of each array."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(_near(x, y, tolerance) for x, y in pairs)


def _near(a: chex.Array, b: chex.Array, tolerance: float) -> bool:
    kind = np.complex64 if jnp.iscomplexobj(a) else np.float32
    x, y = np.asarray(a, kind), np.asarray(b, kind)
    apart = np.abs(x - y)[~((x == y) | (np.isnan(x) & np.isnan(y)))]
    return not apart.size or bool(np.max(apart) <= tolerance * np.max(np.abs(x)))


def _with_batch(tree: Any, batch: int) -> Any:
    """The shapes and types of a tree for another batch size."""
    return jax.tree.map(lambda leaf: ((batch, *leaf.shape[1:]), leaf.dtype), tree)


def _listed(tree: Any) -> str:
    return ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(tree))


def _spelled(path: Any) -> str:
    """A path into a tree of parameters: `dense/kernel`."""
    return "/".join(str(part.key) for part in path if isinstance(part, jax.tree_util.DictKey))
