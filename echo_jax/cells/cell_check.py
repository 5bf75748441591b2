"""The check of a user's cell before a memory card: its shapes, then the numbers of 50 steps.

The steps are compiled, differentiated and run on random inputs. Each broken rule is one sentence,
after the line of the user's own file.
"""

from collections.abc import Collection
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.interface import Cell
from echo_jax.cells.scan import Carry
from echo_jax.cells.shape_check import Candidate, check_batch_sizes, step_error
from echo_jax.config import GENERATOR
from echo_jax.exceptions import ConfigError, reason

STEPS, COMPARED = 50, 3
"""Steps that a cell is run for, and those that are compared between two runs: too few for chaos to
amplify a rounding error."""

REPEATS = 8
"""Runs that must agree: a step that tosses a coin passes less than once in 10,000 checks."""

SAME, ROUNDED = 1e-5, 2e-2
"""Tolerances, relative to the largest number of an array: for two runs of the same operations, and
for two programs that may round differently, also in 16 bits."""

Trace = tuple[Carry, chex.Array]
"""The carries and outputs of all steps: a tree of `[T, B, ...]`, and `[T, B, H]`."""


def check(cell: Cell, name: str, input_size: int, other_sizes: Collection[int] = ()) -> None:
    """Raise ConfigError for a cell that cannot be trained, or whose card would mean nothing.

    A step must be a deterministic, differentiable function of its carry and input, independent for
    each row of a batch, with finite numbers at the initial weights. Inputs are one-hot vectors of
    the input size, or one number where that is 1; for other sizes only the shapes are checked.
    """
    for size in (*other_sizes, input_size):
        check_batch_sizes(Candidate(cell, name, size))
    candidate = Candidate(cell, name, input_size)
    try:
        with jax.default_matmul_precision("highest"):
            _check_numbers(candidate)
    except ConfigError:
        raise
    except BaseException as error:  # user code may raise anything
        candidate.refuse(step_error(error), error=error)


def _check_numbers(candidate: Candidate) -> None:
    """Raise ConfigError for non-finite numbers, and for steps that depend on more than they may."""
    size, inputs = candidate.input_size, _random_inputs(candidate.input_size)
    init_key = jax.random.key(1, impl=GENERATOR)
    params, others = (candidate.cell.init(init_key, size) for _ in "12")
    start, again = (candidate.start(params, 2) for _ in "12")
    if not _close(start, again, SAME):
        candidate.refuse(
            "does not start from the same carry twice: make it a function of its arguments alone",
            "initial_state",
        )
    if not _close(params, others, SAME):
        candidate.refuse(
            "does not start from the same weights twice for one key: draw them with the key that "
            "self.param hands to an initializer"
        )
    few = jax.device_put(inputs[:COMPARED])
    trace = _check_finite(candidate, params, start, jax.device_put(inputs))
    with jax.disable_jit():  # the Python code of the cell runs in every step
        first, *repeats = (_run(candidate, params, start, few) for _ in range(REPEATS))
    if not all(_close(first, other, SAME) for other in repeats):
        candidate.refuse(
            "is not the same function each time it is compiled (numpy.random, random, time, a "
            "counter ...): leave out what differs from call to call"
        )
    _check_rows(candidate, params, start, inputs[:COMPARED])
    if candidate.cell.has_scan:
        _check_scan(candidate, params, start, inputs[:COMPARED], trace)


def _random_inputs(size: int) -> np.ndarray:
    """Numbers of 0 to 1, or one-hot vectors: float32 `[STEPS, 2, size]`.

    A NumPy array, so that what is made of it between the programs below needs no program.
    """
    key = jax.random.key(0, impl=GENERATOR)
    if size == 1:
        return np.asarray(jax.jit(lambda: jax.random.uniform(key, (STEPS, 2, 1)))())
    tokens = jax.jit(lambda: jax.random.randint(key, (STEPS, 2), 0, size))()
    return np.eye(size, dtype=np.float32)[tokens]


def _check_finite(candidate: Candidate, params: Any, start: Carry, inputs: chex.Array) -> Trace:
    """The trace of all steps; ConfigError unless it and the gradient of the outputs are finite."""

    def total(params: Any, inputs: chex.Array) -> tuple[chex.Array, Trace]:
        trace = _run(candidate, params, start, inputs)
        return jnp.sum(trace[1].astype(jnp.float32)), trace

    try:
        gradient, trace = jax.jit(jax.grad(total, (0, 1), has_aux=True))(params, inputs)
    except BaseException as error:  # user code may raise anything
        candidate.refuse(
            f"has no gradient ({reason(error)}): leave out what jax does not "
            "differentiate in reverse, such as integer parameters, while_loop and callbacks",
            error=error,
        )
    finite = [np.isfinite(x).reshape(STEPS, -1).all(1) for x in _arrays(trace)]
    if not np.all(finite):
        step = int(np.argmin(np.all(finite, axis=0)))
        candidate.refuse(
            f"has NaN or infinity in its carry or output at step {step + 1} of random inputs at "
            "its initial weights: guard divisions, logarithms and roots, or start from smaller "
            "weights",
            error=_non_finite_error(candidate, params, start, inputs[: step + 1]),
        )
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        if not np.isfinite(leaf).all():
            name = jax.tree_util.keystr(path[1:], simple=True, separator="/")  # of the parameters
            candidate.refuse(
                f"has NaN or infinity in the gradient of {name or 'its inputs'} at its initial "
                "weights: guard roots, norms and divisions at zero, also on the side that "
                "jnp.where does not take"
            )
    return trace


def _non_finite_error(
    candidate: Candidate, params: Any, start: Carry, inputs: chex.Array
) -> BaseException | None:
    """The error that jax raises at the operation with the first NaN or infinity."""
    try:
        with jax.debug_nans(True), jax.debug_infs(True), jax.disable_jit():
            _run(candidate, params, start, inputs)
    except FloatingPointError as error:
        return error
    return None


def _check_rows(candidate: Candidate, params: Any, start: Carry, inputs: np.ndarray) -> None:
    """Raise ConfigError where a row of a batch depends on another row or on the batch size."""

    def row_of(trace: Trace, row: int) -> Trace:
        return jax.tree.map(lambda leaf: leaf[:, row], trace)

    program = jax.jit(lambda start, inputs: _run(candidate, params, start, inputs))
    run = lambda *arguments: jax.device_get(program(*arguments))  # noqa: E731
    trace = run(start, inputs)
    changed = inputs + 0.5 if candidate.input_size == 1 else np.roll(inputs, 1, axis=-1)
    for row, other in ((0, 1), (1, 0)):
        mixed = inputs.copy()
        mixed[:, other] = changed[:, other]
        found = run(start, mixed)
        if not _close(row_of(trace, row), row_of(found, row), SAME):
            candidate.refuse(
                f"mixes the rows of a batch, as row {row} changes with the input of row {other}: "
                "compute every row from its own carry and input"
            )
    alone = run(jax.tree.map(lambda leaf: np.asarray(leaf)[:1], start), inputs[:, :1])
    if not _close(row_of(trace, 0), row_of(alone, 0), ROUNDED):
        candidate.refuse(
            "gives other numbers for a row alone than for the same one in a batch of 2: let no "
            "value depend on the batch size"
        )


def _check_scan(
    candidate: Candidate, params: Any, start: Carry, inputs: np.ndarray, trace: Trace
) -> None:
    """Raise ConfigError where `scan` differs from the steps."""
    fed = inputs if candidate.input_size == 1 else np.argmax(inputs, axis=-1)
    cell = candidate.cell
    try:
        found = jax.jit(lambda fed: cell.scan(cell.prepare(params), start, fed, None))(fed)
        trace = jax.device_get(trace)
        last_carry = jax.tree.map(lambda leaf: leaf[COMPARED - 1], trace[0])
        same = _close(found, (last_carry, trace[1][:COMPARED]), ROUNDED)
    except BaseException as error:  # user code may raise anything
        candidate.refuse(
            f"fails in scan ({reason(error)}): let it take what echo_jax.cells.interface.Cell "
            "says, or give it another name",
            "scan",
            error,
        )
    if not same:
        candidate.refuse(
            "has a scan that gives other numbers than its steps: let them agree, or leave it out",
            "scan",
        )


def _run(candidate: Candidate, params: Any, start: Carry, inputs: chex.Array) -> Trace:
    """A scan of the cell over inputs `[T, B, F]`."""

    def step(carry: Carry, x: chex.Array) -> tuple[Carry, Trace]:
        carry, output = candidate.step(params, carry, x)
        return carry, (carry, output)

    return jax.lax.scan(step, start, inputs)[1]


def _close(a: Any, b: Any, tolerance: float) -> bool:
    """True if two trees differ by at most `tolerance` times the largest number of each array."""

    def near(x: np.ndarray, y: np.ndarray) -> bool:
        scale = np.max(np.abs(x), initial=0, where=np.isfinite(x))
        return np.allclose(x, y, rtol=0, atol=tolerance * scale, equal_nan=True)

    return all(near(x, y) for x, y in zip(_arrays(a), _arrays(b), strict=True))


def _arrays(tree: Any) -> list[np.ndarray]:
    """The arrays of a tree as complex64, which holds the numbers of every type, also bfloat16."""
    return [np.asarray(leaf).astype(np.complex64) for leaf in jax.tree.leaves(tree)]
