"""The runs of a card: seeds and configurations of two questions, each run to a row.

check_state, check_programs    what a cell must be to be measured
Measurement  compiles the programs of each question once, and makes runs
rows         runs ─► rows, one run a thread at a time; the row of a run depends on that run alone
"""

import hashlib
import threading
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any, NamedTuple, get_args

import jax
import numpy as np

from echo_jax import environment
from echo_jax.cells.interface import Cell
from echo_jax.cells.state_size import state_bytes
from echo_jax.cells.user_cell_check import Candidate, check_program, check_shapes, constant_bytes
from echo_jax.config import is_built_in
from echo_jax.exceptions import ConfigError
from echo_jax.memory import protocol, score, training
from echo_jax.memory.protocol import KEYS, SYMBOLS, UPDATES, Configuration, Name
from echo_jax.memory.rows import DECIMALS, KeyRow, LagRow, LagScore, Row
from echo_jax.memory.training import ByKey, ByLag, Progress, Run
from echo_jax.report.number_formats import plain


class PlannedRun(NamedTuple):
    """A configuration and a seed: the row is a function of these and of the cell."""

    configuration: Configuration
    seed: int


class Programs(NamedTuple):
    """The compiled functions of a question.

    init           a `Run` to the first `Progress`
    block          a `Run` and a `Progress` to the next one, and losses
    draw           a seed and the digest of weights to data sets
    score          parameters and data sets to `Scores`
    scan_accuracy  parameters and data sets to an accuracy; None for a cell without a scan
    constants      bytes of the arrays that stand as numbers in `score`
    """

    init: Any
    block: Any
    draw: Any
    score: Any
    scan_accuracy: Any
    constants: int


def question_of(name: Name, cell: Cell) -> ByLag | ByKey:
    """A cell in the network of a question; nothing is compiled."""
    if name == "by lag":
        return ByLag(cell)
    return ByKey(cell, protocol.most_pairs(state_bytes(cell, 2 * KEYS).cell))


def lowered(question: ByLag | ByKey, name: str) -> Programs:
    """The programs of a question about the cell of a name, before they are compiled.

    ConfigError, which names the user's line, where the score is no function of the state alone, see
    `cells.user_cell_check`, or the cell cannot be trained.
    """
    run = Run(np.int32(0), np.float32(0), np.bool_(True))
    init = partial(training.init, question)
    weights, draw, scores, scan_accuracy = np.zeros(8, np.uint32), *functions_of(question)
    progress = jax.eval_shape(init, run)
    sets = jax.eval_shape(draw, run.seed, weights)
    of_weights = progress.train.params, sets
    cell = question.network.cell
    block = jax.jit(partial(training.train_block, question), donate_argnums=1)
    checked = check_program(name, cell, scores, *of_weights)
    return Programs(
        score=checked,
        init=jax.jit(init).lower(run),
        block=Candidate(cell, name).attempt(lambda: block.lower(run, progress)),
        draw=jax.jit(draw).lower(run.seed, weights),
        scan_accuracy=jax.jit(scan_accuracy).lower(*of_weights) if cell.has_scan else None,
        constants=constant_bytes(checked),
    )


def compiled(question: ByLag | ByKey, name: str) -> Programs:
    """The programs of a question; the modules that were checked are those that run."""
    modules = lowered(question, name)
    whole = {part: of.compile() for part, of in modules._asdict().items() if hasattr(of, "compile")}
    return modules._replace(**whole)


def check_state(name: str, cell: Cell) -> None:
    """Raise ConfigError for a step that cannot be scanned, or a state that is too large.

    The steps of the built-in cells can be, by test.
    """
    for inputs in () if is_built_in(name) else (SYMBOLS, 2 * KEYS):
        check_shapes(cell, name, inputs)
    size = Candidate(cell, name).attempt(lambda: state_bytes(cell, SYMBOLS).cell, "initial_state")
    if size > protocol.LARGEST_STATE:
        raise ConfigError(
            None, f"cell {name!r}", f"has a state of {size:,} bytes, and a head for each lag reads "
            f"at most {protocol.LARGEST_STATE:,}", "give it fewer units, or {state_bytes=4000}",
        )  # fmt: skip


def check_programs(name: str, cell: Cell) -> None:
    """Raise ConfigError for a cell that cannot be measured, as `lowered`; nothing is compiled.

    The built-in cells can be, by test.
    """
    for question in () if is_built_in(name) else get_args(Name):
        lowered(question_of(question, cell), name)


def functions_of(question: ByLag | ByKey) -> tuple[Callable[..., Any], ...]:
    """The functions that draw the data sets of a question, score it, and ask its scan."""
    if isinstance(question, ByLag):
        of = score.score_by_lag, score.scan_accuracy_by_lag
        return score.draw_lag_sets, *(partial(f, question) for f in of)
    of_key = score.score_by_key, score.scan_accuracy_by_key
    draw = partial(score.draw_key_sets, question.most)
    return draw, *(partial(f, question) for f in of_key)


class Measurement:
    """The programs of a cell, compiled once for each question, in threads of their own."""

    def __init__(
        self, cell: Cell, name: str, questions: Collection[Name] = ("by lag", "by key")
    ) -> None:
        """Start to compile the programs of some questions; the name stands in refusals."""
        self.questions = {question: question_of(question, cell) for question in questions}
        background = ThreadPoolExecutor(len(self.questions))
        self._programs = {
            asked: background.submit(compiled, of, name) for asked, of in self.questions.items()
        }
        background.shutdown(wait=False)

    def row(self, planned: PlannedRun, progressed: Callable[[int], None]) -> Row:
        """Make a run. `progressed` is told the updates so far; it may raise to stop it."""
        of, seed = planned
        question, programs = self.questions[of.question], self._programs[of.question].result()
        run = Run(np.int32(seed), np.float32(of.rate), np.bool_(of.schedule != "adaptive"))
        progress: Progress = programs.init(run)
        finite, updates = True, 0
        while finite and updates < UPDATES:
            progress, losses = programs.block(run, progress)
            finite = bool(np.isfinite(np.asarray(losses)).all())
            updates += protocol.BLOCK
            progressed(updates)
        if updates < UPDATES:
            progressed(UPDATES)  # with those that are left out
        row = empty_row(planned, updates, question, int(progress.level.pairs))
        if finite:
            params = progress.train.params
            sets = programs.draw(run.seed, weights_digest(params))
            scores = jax.device_get(programs.score(params, sets))
            fill(row, scores, programs.constants)
            if programs.scan_accuracy:
                accuracy = programs.scan_accuracy(params, sets)
                row.difference = plain(accuracy - scores.accuracy)
        return row


def rows(
    measurement: Measurement,
    planned: Sequence[PlannedRun],
    progressed: Callable[[PlannedRun, int], None] = lambda *_: None,
) -> Generator[Row]:
    """The rows of runs as they are done, `runs_at_once`.

    `progressed` is told the updates of a run after each block; what it raises ends all runs.
    """
    stopped = threading.Event()

    def unless_stopped(run: PlannedRun, updates: int) -> None:
        """Tell the updates of a run, or end it where the others have ended."""
        if stopped.is_set():
            raise CancelledError
        progressed(run, updates)

    with ThreadPoolExecutor(runs_at_once()) as pool:
        futures = [pool.submit(measurement.row, x, partial(unless_stopped, x)) for x in planned]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            stopped.set()
            for future in futures:
                future.cancel()


def runs_at_once() -> int:
    """One a core of a CPU; no more than XLA has threads, in which all of a program is computed."""
    return min(environment.cores(), environment.threads()) if jax.default_backend() == "cpu" else 1


def weights_digest(params: Any) -> np.ndarray:
    """The SHA-256 of trained weights, in the order of their leaves, uint32 `[8]`."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(jax.device_get(params)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return np.frombuffer(digest.digest(), np.uint32)


def empty_row(planned: PlannedRun, updates: int, question: ByLag | ByKey, level: int) -> Row:
    """The row of a run before its score."""
    of, seed = planned
    if isinstance(question, ByLag):
        return LagRow(seed, of.rate, updates, None, None)
    pairs = list(protocol.pairs_asked(question.most))
    asked = [protocol.RECALLS * k for k in pairs]
    return KeyRow(seed, of.rate, of.schedule or "ramp", updates, level, pairs, asked, None, None)


def fill(row: Row, scores: score.Scores, constants: int) -> None:
    """Write scores into a row; those by lag that are not finite count as none."""
    row.state_bytes = int(scores.bytes)
    if isinstance(row, KeyRow):
        row.validation, row.final = scores.validation.tolist(), scores.final.tolist()
        row.constant_bytes = constants
    elif all(np.isfinite(x).all() for x in jax.tree.leaves(scores)):
        row.validation = LagScore(**plain(scores.validation, DECIMALS))
        row.final = LagScore(**plain(scores.final, DECIMALS))
