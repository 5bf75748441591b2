"""The check of a user's cell before a memory card: its shapes, its traced programs, its numbers.

256 random steps are run: by `step`, and by the cell's own `scan`, all at once and restarted every
16 steps. Each broken rule is one sentence, after the line of the user's own file.
"""

import functools
import re
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.check.batch_sizes import check_programs
from echo_jax.cells.check.rounding import (
    CHANGE,
    Series,
    Trace,
    allowed,
    changed,
    difference,
    in_time,
    scattered,
)
from echo_jax.cells.check.shape_check import Candidate, check_batch_sizes
from echo_jax.cells.check.traced_programs import Programs, total_output, trace_programs
from echo_jax.cells.interface import Cell
from echo_jax.cells.scan import Carry, Mask, hold, is_tokens
from echo_jax.config import GENERATOR

PARTS, STEPS, ROWS = 16, 16, 3
"""Parts of the 256 steps, steps of a part, rows of the batch."""

BATCHES = (2, 16, 256)
"""Sizes of batches in which a step must be the same program."""

FINITE = 48
"""Steps whose numbers and gradient must be finite; a gain above 1 may overflow in more."""

REPEATS = 16
"""Traces that must agree: a step that tosses a coin passes less than once in 10,000 checks."""

PHASES = (1.0, 2.0, 3.0)
"""The ways in which weights and states are changed a little."""


class Manner(NamedTuple):
    """The manner in which the steps are run.

    mask    bool `[P, T, B]`, False where a step is absent
    anew    True if each part starts from a given state, not from where the last one ended
    change  the largest share by which each weight is changed, and each state before a step
    phase   which number is changed by which share
    """

    mask: Any
    anew: Any = False
    change: Any = 0.0
    phase: Any = 0.0


def check(cell: Cell, name: str, input_size: int, other_sizes: Collection[int] = ()) -> list[str]:
    """Raise ConfigError for a cell that cannot be trained, or whose card would mean nothing.

    A step must be a deterministic, differentiable function of its carry and input, independent for
    each row of a batch and the same in batches of any size, with finite numbers at the initial
    weights; `scan` must equal it. Inputs
    are one-hot vectors of the input size, or one number where that is 1; for other sizes only the
    shapes are checked. Returns remarks: sentences on what is allowed and good to know.
    """
    for size in (*other_sizes, input_size):
        check_batch_sizes(Candidate(cell, name, size))
    candidate = Candidate(cell, name, input_size)
    programs = trace_programs(candidate)
    trial = Trial(candidate, programs)
    with jax.default_matmul_precision("highest"):
        overflow = candidate.attempt(lambda: trial.check(trial.init()))
    check_programs(candidate, BATCHES)
    return programs.remarks() + overflow


class Trial:
    """A cell on 256 random steps, in programs that are compiled once for all weights.

    What may differ is in `rounding`: `floor` is 1e-4, or 1e-3 where `scan` has gates in log space,
    and ten times as much over all 256 steps.
    """

    def __init__(self, candidate: Candidate, programs: Programs) -> None:
        """Draw the inputs; nothing is compiled yet."""
        self.candidate, size, rounding = candidate, candidate.input_size, programs.coarsest()
        self.change = max(CHANGE, rounding)
        self.floor = max(1e-3 if programs.in_log_space() else 1e-4, 4 * rounding)
        drawn, masked = (scattered(n, (PARTS, STEPS, ROWS)) for n in (0, 1))
        self.mask, self.plain = masked < 0.75, Manner(np.full(masked.shape, True))
        self.fed = drawn[..., None] if size == 1 else (size * drawn).astype(np.int32)
        self.others = self.fed + np.float32(0.5) if size == 1 else (self.fed + 1) % size
        self.vectors = drawn[..., None] if size == 1 else np.eye(size, dtype=np.float32)[self.fed]
        key = jax.random.key(1, impl=GENERATOR)
        self.init = functools.partial(compiled(candidate.init), key)
        self.start = compiled(lambda params: candidate.start(params, ROWS))
        self.by_steps, self.by_scan = compiled(self._by_steps), compiled(self._by_scan)

    def check(self, params: Any) -> list[str]:
        """Raise ConfigError for any broken rule at these weights; returns remarks."""
        first = self.first(params)
        _check_repeats(self.candidate, params, first, self.vectors[0])
        _, finite = self.by_steps(params, first, self.fed, self.plain)
        overflow = next((int(step) + 1 for step in np.flatnonzero(~finite)), 0)
        self._check_finite(params, first, overflow)
        self._check_rows(params, first)
        if self.candidate.cell.has_scan and (fault := self.scan_fault(params)):
            self.candidate.refuse(f"{fault}: let it agree with the steps, or leave it out", "scan")
        said = f"overflows at step {overflow} of random inputs at its initial weights"
        return [said] * bool(overflow)

    def scan_fault(self, params: Any) -> str:
        """The difference of `scan` from the steps, without subject and fix; "" if there is none."""
        first, half = self.first(params), PARTS // 2
        (states, ys), limits = self.expected(params, first, self.plain)
        later = np.concatenate([self.fed[:half], self.others[half:]])
        at_once = [fed.reshape(1, -1, *fed.shape[2:]) for fed in (self.fed, later)]
        start = jax.tree.map(lambda leaf: leaf[:1], first)
        found, other = (in_time(self.by_scan(params, start, fed, None)) for fed in at_once)
        early = [[series[0][: half * STEPS]] for series in (found, other, limits)]
        if wrong := difference(early[0], early[1], early[2]):
            return f"has a scan whose outputs depend on later inputs ({wrong})"
        ends = in_time((jax.tree.map(lambda leaf: leaf[-1:], states), ys))
        if wrong := difference(ends, found, [limits[0], *(leaf[-1:] for leaf in limits[1:])]):
            return f"has a scan that gives other numbers than its steps ({wrong})"
        before = jax.tree.map(lambda x, y: np.concatenate([x[:1], y[:-1]]), first, states)
        return self._restarted_fault(params, before)

    def _restarted_fault(self, params: Any, before: Carry) -> str:
        """`scan_fault` where each part starts from the state `before` it."""
        for fed, mask in ((self.vectors, None), (self.fed, self.mask)):
            manner = Manner(self.plain.mask if mask is None else mask, anew=True)
            expected, limits = self.expected(params, before, manner)
            traces = expected, self.by_scan(params, before, fed, mask)
            absent = ~manner.mask[..., None]  # where outputs are meaningless
            series = [in_time((x, np.where(absent, 0, ys)), anew=True) for x, ys in traces]
            if wrong := difference(series[0], series[1], limits):
                how = "from the same state" if mask is None else "where some are masked"
                return f"has a scan that gives other numbers than its steps {how} ({wrong})"
        return ""

    def first(self, params: Any) -> Carry:
        """The initial state, in the place of the state before each part."""
        start = self.start(params)
        return jax.tree.map(lambda leaf: np.broadcast_to(leaf, (PARTS, *leaf.shape)), start)

    def expected(self, params: Any, before: Carry, manner: Manner) -> tuple[Trace, Series]:
        """The trace by `step`, and the differences that rounding explains, `[time, number]`."""
        changes = [manner._replace(change=self.change, phase=phase) for phase in PHASES]
        traces = [self.by_steps(params, before, self.fed, x)[0] for x in (manner, *changes)]
        series = zip(*[in_time(trace, bool(manner.anew)) for trace in traces], strict=True)
        floor = self.floor if manner.anew else 10 * self.floor  # sums over 256 steps
        return traces[0], [allowed(floor, *each) for each in series]

    def _by_scan(self, params: Any, before: Carry, fed: Any, mask: Mask) -> Trace:
        """The trace by `scan` over each part, from the state before it."""
        prepared = self.candidate.cell.prepare(params)
        return jax.lax.map(lambda of: self.candidate.cell.scan(prepared, *of), (before, fed, mask))

    def _by_steps(
        self, params: Any, before: Carry, fed: Any, manner: Manner
    ) -> tuple[Trace, chex.Array]:
        """The trace by `step` from the first state `before`, and where it is finite `[P, T]`."""
        cell, change, size = self.candidate.cell, manner.change, self.candidate.input_size
        prepared = cell.prepare(changed(params, change, manner.phase))
        xs = jax.nn.one_hot(fed, size) if is_tokens(fed) else fed

        def step(state: Carry, at: Any) -> tuple[Carry, Any]:
            """One step, changed in the given manner: the state, held where it is masked."""
            x, present, time = at
            new, y = cell.step(prepared, changed(state, change, manner.phase + time), x)
            finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((new, y))]
            return hold(present, state, new), (y, jnp.all(jnp.stack(finite)))

        def part(state: Carry, at: Any) -> tuple[Carry, Any]:
            """The steps of one part, from the given state where the parts start anew."""
            given, of_part = at
            state = jax.tree.map(functools.partial(jnp.where, manner.anew), given, state)
            state, (ys, finite) = jax.lax.scan(step, state, of_part)
            return state, (state, ys, finite)

        start = jax.tree.map(lambda leaf: leaf[0], before)
        times = jnp.arange(PARTS * STEPS, dtype=jnp.float32).reshape(PARTS, STEPS)
        _, (states, ys, finite) = jax.lax.scan(part, start, (before, (xs, manner.mask, times)))
        return (states, ys), finite

    def _check_finite(self, params: Any, first: Carry, overflow: int) -> None:
        """Raise ConfigError for NaN or infinity in the first steps, or in the gradient of them."""
        steps, start = self.candidate.steps, jax.tree.map(lambda leaf: leaf[0], first)
        xs = self.vectors.reshape(PARTS * STEPS, ROWS, -1)
        if 0 < overflow <= FINITE:
            self.candidate.refuse(
                f"has NaN or infinity in its carry or output at step {overflow} of random inputs "
                "at its initial weights: guard divisions, logarithms and roots, or start from "
                "smaller weights",
                error=_non_finite_error(lambda: steps(params, start, xs[:overflow], None)),
            )
        total = functools.partial(total_output, self.candidate, steps)
        gradient = compiled(jax.grad(total, (0, 1)))(params, xs[:FINITE])
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
            if not np.isfinite(leaf.astype(np.complex64)).all():
                name = jax.tree_util.keystr(path[1:], simple=True, separator="/")
                self.candidate.refuse(
                    f"has NaN or infinity in the gradient of {name or 'its inputs'} at its initial "
                    "weights: guard roots, norms and divisions at zero, also on the side that "
                    "jnp.where does not take"
                )

    def _check_rows(self, params: Any, first: Carry) -> None:
        """Raise ConfigError where a row of a batch depends on another row or on the batch size."""
        trace, limits = self.expected(params, first, self.plain)
        wanted = [[x[:, [row]] for x in in_time(trace)] for row in range(ROWS)]
        for row in range(ROWS):
            fed = self.others.copy()
            fed[:, :, row] = self.fed[:, :, row]
            found = in_time(self.by_steps(params, first, fed, self.plain)[0])
            if difference(wanted[row], [x[:, [row]] for x in found], [x / 100 for x in limits]):
                self.candidate.refuse(
                    f"mixes the rows of a batch, as row {row} changes with the inputs of others: "
                    "compute every row from its own carry and input"
                )
        alone = Manner(self.plain.mask[..., :1])
        only = jax.tree.map(lambda leaf: leaf[:, :1], first)
        found = in_time(self.by_steps(params, only, self.fed[:, :, :1], alone)[0])
        if wrong := difference(wanted[0], found, limits):
            self.candidate.refuse(
                f"gives other numbers for a row alone than for the same one in a batch ({wrong}): "
                "let no value depend on the batch size"
            )


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function under jit, with results on the host.

    On a CPU it is compiled without optimisation, in half the time.
    """
    quick = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else {}
    program = jax.jit(function, compiler_options=quick)
    return lambda *args: jax.device_get(program(*args))


def _check_repeats(candidate: Candidate, params: Any, first: Carry, xs: np.ndarray) -> None:
    """Raise ConfigError for functions that are not the same each time they are traced."""
    start, key = jax.tree.map(lambda leaf: leaf[0], first), jax.random.key(1, impl=GENERATOR)
    if not _repeats(lambda params: candidate.start(params, ROWS), params):
        said = "does not start from the same carry twice: make it a function of its arguments alone"
        candidate.refuse(said, "initial_state")
    if not _repeats(candidate.init, key):
        candidate.refuse(
            "does not start from the same weights twice for one key: draw them with the key that "
            "init (in Linen, an initializer of self.param) is given",
            "init",
        )
    if not _repeats(candidate.steps, params, start, xs[:1], None):
        candidate.refuse(
            "is not the same function each time it is compiled (numpy.random, random, time, a "
            "counter ...): leave out what differs from call to call"
        )


def _repeats(function: Callable[..., Any], *args: Any) -> bool:
    """True if a function has the same program, or else the same results, each time."""

    def program() -> tuple[str, list[Any]]:
        traced = jax.make_jaxpr(lambda *args: function(*args))(*args)  # noqa: PLW0108  # not cached
        return re.sub("0x[0-9a-f]+", "", str(traced)), traced.consts

    def same(results: list[list[Any]]) -> bool:
        return all(all(map(np.array_equal, each, results[0])) for each in results)

    with jax.disable_jit():  # the Python code runs each time
        texts, constants = zip(*[program() for _ in range(REPEATS)], strict=True)
        if len(set(texts)) == 1 and same(list(constants)):
            return True
        return same([jax.device_get(jax.tree.leaves(function(*args))) for _ in range(REPEATS)])


def _non_finite_error(run: Callable[[], Any]) -> BaseException | None:
    """The error that jax raises at the operation with the first NaN or infinity."""
    try:
        with jax.debug_nans(True), jax.debug_infs(True), jax.disable_jit():
            run()
    except FloatingPointError as error:
        return error
    return None
