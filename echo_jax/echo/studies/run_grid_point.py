"""The task that is a grid point: its seeds trained side by side, evaluated and measured, a row.

On one kind of machine a row depends on its grid point alone, but for its timing fields.
"""

import datetime
import functools
import time
from typing import Any, NamedTuple

import jax
import msgspec
import numpy as np

from echo_jax import environment
from echo_jax.cells import registry
from echo_jax.cells.cell_object import cell_of
from echo_jax.config import DynamicParams, RunConfig, changed
from echo_jax.echo import many_seeds
from echo_jax.echo.data import Corpus
from echo_jax.echo.evaluation import Evaluation
from echo_jax.echo.network import Params
from echo_jax.echo.programs import DevicePlan, Programs, Stopwatch, Timed, compile_programs, timed
from echo_jax.echo.run import result
from echo_jax.echo.studies.grid_point import GridPoint
from echo_jax.echo.studies.measures import MEASURES
from echo_jax.echo.studies.result_rows import ResultRow
from echo_jax.echo.training import TrainState, build_learner
from echo_jax.engine.grid import Job, Report
from echo_jax.report.number_formats import plain
from echo_jax.statistics import recalled_bits, sequences_until

CHUNK_UPDATES = 400  # of a chunk, about: how often a grid point checks whether it has learned


class Learned(NamedTuple):
    """The result of training."""

    state: TrainState  # after the last chunk, leaves `[S, ...]`
    loss: np.ndarray  # of every sequence, `[S, N]`
    accuracy: np.ndarray
    update_seconds: float  # of all seeds: the median of whole chunks but the first, which warms up


def compile_point(point: GridPoint) -> Timed:
    """The `Programs` of a grid point; ConfigError where the user's cell has another text here."""
    shapes, seeds, cell_source, lengths = point.program
    config = changed(shapes, seeds=seeds)
    cell = cell_of(config)
    registry.check_source(config.network.cell, cell, cell_source)
    learner = build_learner(config, cell)
    plan = DevicePlan(many_seeds.default_seed_map())
    parts = [jax.ShapeDtypeStruct((length,), "int32") for length in lengths]
    corpus = Corpus(*parts) if parts else None
    return timed(lambda: compile_programs(config, learner, chunk_size(config), plan, corpus))


def run_point(point: GridPoint, compiled: Timed, report: Report) -> ResultRow:
    """Train, evaluate and measure a grid point with programs compiled for its shapes."""
    programs: Programs = compiled.program
    config = point.config
    watch = Stopwatch()
    dynamic = programs.dynamic(config)
    with watch.time("train"):
        learned = train(point, programs, dynamic, report)
    params = learned.state.params
    with watch.time("evaluate"):
        scored = programs.score(dynamic, params, point.corpus)
    with watch.time("measure"):
        measured = {
            name: _measure(name, config, programs, dynamic, params) for name in point.measures
        }
    baselines = result.baselines(config, point.corpus)
    results = _results(config, learned, scored, baselines["loss"]) | {
        "bytes": programs.bytes,
        "measured": measured,
        "seconds": {"compile": compiled.seconds, **watch.seconds, "update": learned.update_seconds},
    }
    run = {
        "point": point.name,
        "labels": point.labels,
        "config": config,
        "measures": point.measures,
        "until_learned": point.until_learned,
        "baselines": baselines,
        "versions": environment.versions(),
        "device": environment.device(),
        "date": datetime.date.today(),
    } | point.source
    return msgspec.convert(run | plain(results), ResultRow)


JOB = Job(compile_point, run_point)


def chunk_size(config: RunConfig) -> int:
    """Sequences of a chunk, the same for any number of sequences, seeds or devices."""
    return max(1, CHUNK_UPDATES // config.task.updates_per_sequence)


def train(point: GridPoint, programs: Programs, dynamic: DynamicParams, report: Report) -> Learned:
    """Train the seeds of a grid point chunk by chunk; if `until_learned`, until all have 99%."""
    config = point.config
    size = chunk_size(config)
    work = range(config.training.sequences)
    clock = [time.perf_counter()]
    loss = []
    accuracy = []
    for chunk in programs.train(dynamic, programs.init(dynamic), work, config.task, point.corpus):
        loss.append(chunk.loss)
        accuracy.append(chunk.accuracy)
        clock.append(time.perf_counter())
        report(chunk.done / len(work))
        # None is false and a number is true: it is 20 at least.
        if point.until_learned and all(map(sequences_until, np.concatenate(accuracy, axis=1))):
            break
    durations = np.diff(clock).tolist()
    whole = durations[: len(work) // size]
    updates = min(size, len(work)) * config.task.updates_per_sequence
    seconds = float(np.median(whole[1:] or durations[:1])) / updates
    losses = np.concatenate(loss, axis=1)
    return Learned(chunk.state, losses, np.concatenate(accuracy, axis=1), seconds)


def _measure(
    name: str, config: RunConfig, programs: Programs, dynamic: DynamicParams, params: Params
) -> dict[str, np.ndarray]:
    """One of `measures.MEASURES` for every seed, leaves `[S, ...]`."""
    measure = functools.partial(MEASURES[name], config, programs.network)
    mapped = many_seeds.over_runs(measure, programs.devices, many_seeds.default_seed_map())
    measured = jax.device_get(jax.jit(mapped)(dynamic, params))
    return jax.tree.map(lambda leaf: leaf[: config.seeds], measured)


def _results(
    config: RunConfig, learned: Learned, scored: Evaluation, guess: float
) -> dict[str, Any]:
    """The fields of a row that training and evaluation give; NaN, which becomes None, for unknown.

    A seed that failed counts as accuracy 0 and 0 bits. Bits are those beyond the loss of a guess.
    """
    curves = learned.loss, learned.accuracy
    failed, good, by_seed = result.scores_of_seeds(config, scored, *curves)
    if config.task.framing == "classes":
        by_seed["recalled_bits"] = [
            recalled_bits(x, guess) if ok else 0.0 for x, ok in zip(scored.loss, good, strict=True)
        ]
    by_position = scored.accuracy_by_position
    # NaN in the place of no seed at all, whose mean NumPy would warn of.
    kept = by_position[good] if good.any() else np.full_like(by_position, np.nan)
    sequences = learned.accuracy.shape[1]
    updates = sequences * config.task.updates_per_sequence
    return {
        "trained": {"sequences": sequences, "updates": updates},
        # The first axis is the seed.
        "parameters": sum(leaf.size // len(leaf) for leaf in jax.tree.leaves(learned.state.params)),
        "by_seed": by_seed,
        "accuracy_by_position": np.mean(kept, axis=0) if kept.shape[1] <= 64 else None,
        "failed": failed,
    }
