"""The runs of a card: seeds and configurations of two questions, each run to a row.

runs_of      the runs of a card, in the order in which they are made
Measurement  compiles the programs of each question once, and makes runs
rows         runs ─► rows, one run a core at a time; the row of a run depends on that run alone
"""

import hashlib
import threading
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from typing import Any, NamedTuple

import jax
import numpy as np

from echo_jax import machine
from echo_jax.cells.interface import Cell
from echo_jax.cells.state_size import state_bytes
from echo_jax.memory import score
from echo_jax.memory.protocol import (
    BLOCK,
    KEYS,
    RECALLS,
    UPDATES,
    Configuration,
    Name,
    most_pairs,
    pairs_asked,
)
from echo_jax.memory.rows import KeyRow, LagRow, LagScore, Row
from echo_jax.memory.training import ByKey, ByLag, Level, Progress, Run


class PlannedRun(NamedTuple):
    """A configuration and a seed: the row is a function of these and of the cell."""

    configuration: Configuration
    seed: int


def runs_of(configurations: Collection[Configuration], seeds: Sequence[int]) -> list[PlannedRun]:
    """The runs of a card, seed by seed, so that what is there early is whole seeds."""
    return [PlannedRun(of, seed) for seed in seeds for of in configurations]


class Programs(NamedTuple):
    """The compiled functions of a question, for one device.

    init   a `Run` to the first `Progress`
    block  a `Run` and a `Progress` to the next one, and losses
    draw   a seed and the digest of weights to data sets
    score  parameters and data sets to `Scores`
    """

    init: Any
    block: Any
    draw: Any
    score: Any


def compiled(question: ByLag | ByKey) -> Programs:
    """The programs of a question."""
    run = Run(np.int32(0), np.float32(0), np.bool_(True))
    weights = np.zeros(8, np.uint32)

    def draw(seed: Any, weights: Any) -> score.Sets:
        """The data sets of a run."""
        if isinstance(question, ByLag):
            return score.draw_lag_sets(seed, weights)
        return score.draw_key_sets(question.most, seed, weights)

    def scores(params: Any, sets: score.Sets) -> score.Scores:
        """The scores of trained weights."""
        if isinstance(question, ByLag):
            return score.score_by_lag(question, params, sets)
        return score.score_by_key(question, params, sets)

    progress = jax.eval_shape(question.init, run)
    sets = jax.eval_shape(draw, run.seed, weights)
    return Programs(
        init=jax.jit(question.init).lower(run).compile(),
        block=jax.jit(question.train_block, donate_argnums=1).lower(run, progress).compile(),
        draw=jax.jit(draw).lower(run.seed, weights).compile(),
        score=jax.jit(scores).lower(progress.train.params, sets).compile(),
    )


class Measurement:
    """The programs of a cell, compiled once for each question, in threads of their own."""

    def __init__(self, cell: Cell, questions: Collection[Name] = ("by lag", "by key")) -> None:
        """Start to compile the programs of some questions."""
        each: dict[Name, ByLag | ByKey] = {}
        if "by lag" in questions:
            each["by lag"] = ByLag(cell)
        if "by key" in questions:
            each["by key"] = ByKey(cell, most_pairs(state_bytes(cell, 2 * KEYS).cell))
        self.questions = each
        background = ThreadPoolExecutor(len(each))
        self._programs = {name: background.submit(compiled, of) for name, of in each.items()}
        background.shutdown(wait=False)

    def row(self, planned: PlannedRun, progressed: Callable[[int], None]) -> Row:
        """Make a run. `progressed` is told the updates of each block; it may raise to stop it."""
        of, seed = planned
        question, programs = self.questions[of.question], self._programs[of.question].result()
        run = Run(np.int32(seed), np.float32(of.rate), np.bool_(of.schedule != "adaptive"))
        progress: Progress = programs.init(run)
        finite, updates = True, 0
        while finite and updates < UPDATES:
            progress, losses = programs.block(run, progress)
            finite = bool(np.isfinite(np.asarray(losses)).all())
            updates += BLOCK
            progressed(BLOCK)
        scores: score.Scores | None = None
        if finite:
            params = progress.train.params
            sets = programs.draw(run.seed, weights_digest(params))
            scores = jax.device_get(programs.score(params, sets))
        if isinstance(question, ByLag):
            return lag_row(planned, updates, scores)
        return key_row(planned, updates, jax.device_get(progress.level), question.most, scores)


def rows(
    measurement: Measurement,
    planned: Sequence[PlannedRun],
    progressed: Callable[[int], None] = lambda _: None,
) -> Generator[Row]:
    """The rows of runs as they are done; as many runs are made at once as there are cores.

    `progressed` is told the updates of each block of any run; what it raises ends all runs.
    """
    stopped = threading.Event()

    def unless_stopped(updates: int) -> None:
        if stopped.is_set():
            raise CancelledError
        progressed(updates)

    at_once = machine.cores() if jax.default_backend() == "cpu" else 1
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(measurement.row, run, unless_stopped) for run in planned]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            stopped.set()
            for future in futures:
                future.cancel()


def weights_digest(params: Any) -> np.ndarray:
    """The SHA-256 of trained weights, in the order of their leaves, uint32 `[8]`."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(jax.device_get(params)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return np.frombuffer(digest.digest(), np.uint32)


def lag_row(planned: PlannedRun, updates: int, scores: score.Scores | None) -> LagRow:
    """The row of a run by lag; scores that are not finite count as none."""
    of, seed = planned
    row = LagRow(seed, of.rate, updates, None, None)
    if scores is None or not all(np.isfinite(x).all() for x in jax.tree.leaves(scores)):
        return row
    row.validation, row.final = (
        LagScore(rounded(x.nats), rounded(x.recalibrated))
        for x in (scores.validation, scores.final)
    )
    row.difference = rounded_number(scores.by_scan - scores.by_steps)
    return row


def key_row(
    planned: PlannedRun, updates: int, level: Level, most: int, scores: score.Scores | None
) -> KeyRow:
    """The row of a run by key."""
    of, seed = planned
    pairs = list(pairs_asked(most))
    row = KeyRow(
        seed,
        of.rate,
        of.schedule or "ramp",
        updates,
        int(level.pairs),
        pairs,
        [RECALLS * k for k in pairs],
        None,
        None,
    )
    if scores is not None:
        row.validation, row.final = (
            np.asarray(x).tolist() for x in (scores.validation, scores.final)
        )
        row.difference = rounded_number(scores.by_scan - scores.by_steps)
    return row


def rounded(values: Any) -> list[float]:
    """Numbers to six digits."""
    return [rounded_number(x) for x in np.asarray(values)]


def rounded_number(value: Any) -> float:
    """A number to six significant digits."""
    return float(f"{float(value):.6g}")
