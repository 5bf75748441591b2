"""A grid of configurations, one after the other: each cell trained, evaluated and measured.

    cells      grouped by their shapes: those of one group share their compiled programs
    programs   compiled for the next group while this one trains
    chunks     400 updates of all seeds, then a look at the progress and at the rule to stop by
    row        what a cell found, plain values ready for JSON

A row is a function of its cell, but for the seconds and versions in it.
"""

import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from echo_jax import machine
from echo_jax.config import RunConfig, TaskConfig, TracedParameters
from echo_jax.core import many_seeds
from echo_jax.core.chance import chance_baseline, chance_distance, order_blind_baseline
from echo_jax.core.evaluation import Evaluation
from echo_jax.core.network import Params
from echo_jax.core.training import TrainState
from echo_jax.report import number_formats
from echo_jax.runs import result
from echo_jax.statistics import recalled_bits, sequences_until
from echo_jax.studies import records
from echo_jax.studies.catalogue import Cell, program_of
from echo_jax.studies.measures import MEASURES
from echo_jax.studies.records import Row

UPDATES = 400
"""Updates of a chunk, about: how often a cell looks whether it has learned."""

POSITIONS = 64
"""Rows of a sequence up to which the accuracy of each is kept."""


class Programs(NamedTuple):
    """The compiled functions that the cells of a group share, and what they take.

    bytes  of all arguments, results and scratch of a chunk of training at once, all seeds
    """

    init: Callable[..., TrainState]
    run_chunk: Callable[..., Any]
    evaluate: Callable[..., Evaluation]
    devices: list[jax.Device]
    bytes: int
    seconds: float


class Learned(NamedTuple):
    """What training left.

    loss, accuracy  of every sequence, `[S, N]`
    seconds         of all of it
    update          seconds of an update of all seeds, the median of whole chunks but the first,
                    which also warms up
    """

    state: TrainState
    loss: np.ndarray
    accuracy: np.ndarray
    seconds: float
    update: float


def complete(
    cells: Sequence[Cell], path: Path, on_progress: Callable[[Cell, float], None] | None = None
) -> Iterator[Row]:
    """Run the cells that have no row in a file yet, and append theirs; yields the new rows."""
    there = {records.key(row) for row in records.read(path)}
    for row in run(
        [cell for cell in cells if records.key(cell.identity) not in there], on_progress
    ):
        records.append(path, row)
        yield row


def run(
    cells: Sequence[Cell], on_progress: Callable[[Cell, float], None] | None = None
) -> Iterator[Row]:
    """The row of every cell, in an order that compiles least.

    Args:
      cells: what to run.
      on_progress: told of a cell at work the share of its sequences that is done.

    Yields:
      Rows, see `row_of`.
    """
    groups: dict[Any, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(program_of(cell.config), []).append(cell)
    waiting = list(groups.values())
    with ThreadPoolExecutor(1) as background:
        compiling: Future[Programs] | None = None
        for i, group in enumerate(waiting):
            programs = compiling.result() if compiling else compile_programs(group[0].config)
            if i + 1 < len(waiting):
                compiling = background.submit(compile_programs, waiting[i + 1][0].config)
            for cell in group:
                yield run_cell(cell, programs, on_progress or (lambda *_: None))


def run_cell(cell: Cell, programs: Programs, on_progress: Callable[[Cell, float], None]) -> Row:
    """Train, evaluate and measure one cell; returns its row."""
    settings = many_seeds.pad(_settings(cell.config), len(programs.devices))
    learned = train(cell, programs, settings, on_progress)
    start = time.perf_counter()
    scored = jax.device_get(programs.evaluate(settings, learned.state.params))
    evaluating = time.perf_counter() - start
    start = time.perf_counter()
    measured = {
        name: measure(name, cell.config, programs, settings, learned.state.params)
        for name in cell.measures
    }
    seconds = {
        "compile": programs.seconds,
        "train": learned.seconds,
        "evaluate": evaluating,
        "measure": time.perf_counter() - start,
        "update": learned.update,
    }
    return row_of(cell, learned, scored, measured, programs.bytes) | {
        "seconds": number_formats.plain(seconds),
        "versions": machine.versions(),
        "date": datetime.date.today().isoformat(),
    }


def train(
    cell: Cell,
    programs: Programs,
    settings: TracedParameters,
    on_progress: Callable[[Cell, float], None],
) -> Learned:
    """Train the seeds of a cell side by side, chunk by chunk.

    A cell `until_learned` stops at the end of the chunk in which the last of its seeds has had a
    running mean of 99%.
    """
    config, last = cell.config, cell.config.training.sequences
    size = chunk_size(config)
    clock = [time.perf_counter()]
    state = programs.init(settings)
    curves: list[list[np.ndarray]] = [[], []]
    for done in range(0, last, size):
        count = min(size, last - done)
        state, metrics = programs.run_chunk(settings, state, count)
        for kept, values in zip(curves, jax.device_get(metrics), strict=True):
            kept.append(values[: config.seeds, :count].mean(axis=-1))
        clock.append(time.perf_counter())
        on_progress(cell, (done + count) / last)
        if cell.until_learned and _learned(np.concatenate(curves[1], axis=1)):
            break
    loss, accuracy = (np.concatenate(kept, axis=1) for kept in curves)
    chunks = np.diff(clock)[: last // size][-1 if last < 2 * size else 1 :]
    chunk = np.median(chunks) if len(chunks) else clock[-1] - clock[0]
    updates = min(size, last) * config.task.updates_per_sequence
    return Learned(state, loss, accuracy, clock[-1] - clock[0], float(chunk / updates))


def measure(
    name: str, config: RunConfig, programs: Programs, settings: TracedParameters, params: Params
) -> dict[str, np.ndarray]:
    """One of `measures.MEASURES` for every seed, leaves `[S, ...]`."""

    def one(settings: TracedParameters, params: Params, _: None) -> dict[str, jax.Array]:
        return MEASURES[name](config, settings, params)

    mapped = many_seeds.over_runs(one, programs.devices, many_seeds.default_seed_map())
    return jax.device_get(jax.jit(mapped)(settings, params, None))


def compile_programs(config: RunConfig) -> Programs:
    """Compile what all cells with these shapes run; the number of their seeds is a shape too."""
    start = time.perf_counter()
    how, shapes = many_seeds.default_seed_map(), config.shapes
    devices = many_seeds.devices_for(config.seeds, how)
    settings = many_seeds.pad(_settings(config), len(devices))
    size = chunk_size(config)
    init = jax.jit(many_seeds.init_runs(shapes, devices, how)).lower(settings)
    state = jax.eval_shape(many_seeds.init_runs(shapes, devices, how), settings)
    run_chunk = jax.jit(many_seeds.run_chunks(shapes, size, devices, how), donate_argnums=1)
    evaluate = jax.jit(many_seeds.evaluate_runs(shapes, devices, how))
    chunk = run_chunk.lower(settings, state, size).compile()
    return Programs(
        init=init.compile(),
        run_chunk=chunk,
        evaluate=evaluate.lower(settings, state.params).compile(),
        devices=devices,
        bytes=_bytes(chunk) * len(devices),
        seconds=time.perf_counter() - start,
    )


def chunk_size(config: RunConfig) -> int:
    """Sequences of a chunk; it does not depend on how many there are, nor on seeds or devices."""
    return max(1, UPDATES // config.task.updates_per_sequence)


def row_of(
    cell: Cell, learned: Learned, scored: Evaluation, measured: dict[str, Any], program_bytes: int
) -> Row:
    """What a cell found, ready for JSON.

    A seed whose loss became infinite or no number has failed: it counts as accuracy 0 and 0 bits,
    without a loss. `by_seed` holds the scores, each a list `[S]`; `measured` what was asked for
    beside them.
    """
    config, task = cell.config, cell.config.task
    scored = jax.tree.map(lambda leaf: leaf[: config.seeds], scored)
    failed = result.failures(config, learned.loss, scored.loss)
    good = np.array([seed not in failed["seed"] for seed in result.seeds_of(config)])
    sequences = learned.accuracy.shape[1]
    by_position = scored.accuracy_by_position
    by_position = by_position[good] if good.any() else np.full_like(by_position, np.nan)
    few = by_position.shape[1] <= POSITIONS
    return {
        **cell.identity,
        "trained": {"sequences": sequences, "updates": sequences * task.updates_per_sequence},
        "parameters": _parameters(learned.state),
        "bytes": program_bytes,
        "floors": _floors(task),
        "by_seed": _by_seed(config, learned, scored, good),
        "accuracy_by_position": number_formats.plain(np.mean(by_position, axis=0)) if few else None,
        "measured": number_formats.plain(jax.tree.map(lambda leaf: leaf[: config.seeds], measured)),
        "failed": failed,
    }


def _by_seed(
    config: RunConfig, learned: Learned, scored: Evaluation, good: np.ndarray
) -> dict[str, Any]:
    """The scores of every seed, each `[S]`; None where there is none, or it never came."""
    loss = np.where(good, scored.loss, np.nan)
    reached = [sequences_until(curve) for curve in learned.accuracy]
    scores = {
        "seed": result.seeds_of(config),
        "accuracy": number_formats.plain(np.where(good, scored.accuracy, 0.0)),
        "loss": number_formats.plain(loss),
        "distance": number_formats.plain(np.where(good, scored.distance, np.nan)),
        "sequences_to_99": [n if ok else None for n, ok in zip(reached, good, strict=True)],
    }
    if config.task.framing == "classes":
        floor = chance_baseline(config.task).loss
        bits = [recalled_bits(x, floor) if ok else 0.0 for x, ok in zip(loss, good, strict=True)]
        scores["recalled_bits"] = number_formats.plain(np.array(bits))
    return scores


def _floors(task: TaskConfig) -> dict[str, float]:
    chance, blind = chance_baseline(task), order_blind_baseline(task)
    return {
        "accuracy": chance.accuracy,
        "loss": chance.loss,
        "order_blind_accuracy": blind.accuracy,
        "order_blind_loss": blind.loss,
        "distance": chance_distance(task.vocab_size),
    }


def _parameters(state: TrainState) -> int:
    """How many numbers one seed learns."""
    return sum(leaf.size // len(leaf) for leaf in jax.tree.leaves(state.params))


def _settings(config: RunConfig) -> TracedParameters:
    each = [dataclasses.replace(config, seed=s, seeds=1) for s in result.seeds_of(config)]
    return many_seeds.stack_traced(each)


def _learned(accuracy: np.ndarray) -> bool:
    return all(sequences_until(curve) is not None for curve in accuracy)


def _bytes(program: Any) -> int:
    """What a compiled program takes at once on a device, as its compiler says."""
    size = program.memory_analysis()
    taken = size.argument_size_in_bytes + size.output_size_in_bytes + size.temp_size_in_bytes
    return int(taken - size.alias_size_in_bytes)
