"""Run a grid point: train its seeds side by side, evaluate and measure them, and make its row.

On one kind of machine, a row depends on its grid point alone, except for its timing fields.
"""

import datetime
import functools
import time
from typing import NamedTuple

import jax
import msgspec
import numpy as np

from echo_jax import machine
from echo_jax.cells import registry
from echo_jax.cells.cell_object import cell_of
from echo_jax.config import DynamicParams, RunConfig, changed
from echo_jax.echo import many_seeds
from echo_jax.echo.compiled_programs import Programs, Stopwatch, Timed, compile_programs, timed
from echo_jax.echo.data import Corpus
from echo_jax.echo.many_seeds import DevicePlan
from echo_jax.echo.run import scoring
from echo_jax.echo.run.checkpoint import History
from echo_jax.echo.studies.grid_point import GridPoint
from echo_jax.echo.studies.measures import MEASURES
from echo_jax.echo.studies.result_rows import ResultRow
from echo_jax.echo.training import build_learner
from echo_jax.engine.grid import Job, Report
from echo_jax.learner.network import Params
from echo_jax.learner.update import TrainState
from echo_jax.report.number_formats import plain
from echo_jax.statistics import sequences_until

CHUNK_UPDATES = 400  # of a chunk, about: how often a grid point checks whether it has learned


class Learned(NamedTuple):
    """The result of training the seeds of a grid point."""

    state: TrainState  # after the last chunk, leaves `[S, ...]`
    history: History
    update_seconds: float  # of all seeds: the median of whole chunks but the first, which warms up


def compile_point(point: GridPoint) -> Timed:
    """Return the compiled `Programs` of `point`, with the seconds that compiling took.

    Raises ConfigError if the text of a user's cell has changed.
    """
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
    """Train, evaluate and measure `point`, and return its row.

    `compiled` has programs for the shapes of the point. `report` gets the share of training that is
    done.
    """
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
    curves = learned.history.curves()
    fields = scoring.scores_of_seeds(config, scored, curves, point.corpus) | {
        # The first axis is the seed.
        "parameters": sum(leaf.size // len(leaf) for leaf in jax.tree.leaves(params)),
        "bytes": programs.bytes,
        "measured": measured,
        "seconds": {"compile": compiled.seconds, **watch.seconds, "update": learned.update_seconds},
    }
    if len(fields["accuracy_by_position"]) > 64:
        fields["accuracy_by_position"] = None
    about = {
        "point": point.name,
        "labels": point.labels,
        "config": config,
        "until_learned": point.until_learned,
        "device": machine.device(),
        "date": datetime.date.today(),
    }
    return msgspec.convert(about | point.source | plain(fields), ResultRow)


JOB = Job(compile_point, run_point)


def chunk_size(config: RunConfig) -> int:
    """Return the number of sequences in a chunk of `config`, about CHUNK_UPDATES updates.

    This number does not depend on the numbers of sequences, seeds and devices.
    """
    return max(1, CHUNK_UPDATES // config.task.updates_per_sequence)


def train(point: GridPoint, programs: Programs, dynamic: DynamicParams, report: Report) -> Learned:
    """Train the seeds of `point` by chunks, and return their weights, their log and the time.

    If the point is `until_learned`, training ends when all seeds have reached 99%. `programs` are
    compiled for the shapes of the point. `dynamic` has the padded dynamic parameters of the seeds.
    `report` gets the share of training that is done.
    """
    config = point.config
    size = chunk_size(config)
    work = range(config.training.sequences)
    clock = [time.perf_counter()]
    history = History(config)
    for chunk in programs.train(dynamic, programs.init(dynamic), work, config.task, point.corpus):
        history.append(chunk.loss, chunk.accuracy)
        clock.append(time.perf_counter())
        report(chunk.done / len(work))
        # None is false and a number is true: it is 20 at least.
        if point.until_learned and all(map(sequences_until, history.curves()[1])):
            break
    durations = np.diff(clock).tolist()
    whole = durations[: len(work) // size]
    updates = min(size, len(work)) * config.task.updates_per_sequence
    seconds = float(np.median(whole[1:] or durations[:1])) / updates
    return Learned(chunk.state, history, seconds)


def _measure(
    name: str, config: RunConfig, programs: Programs, dynamic: DynamicParams, params: Params
) -> dict[str, np.ndarray]:
    """Return the results of the measure `name` for the weights `params`, each `[S, ...]`.

    `programs` are those of the grid point, whose configuration is `config`. `dynamic` and `params`
    are padded for the devices.
    """
    measure = functools.partial(MEASURES[name], config, programs.network)
    mapped = many_seeds.over_runs(measure, programs.devices, many_seeds.default_seed_map())
    measured = jax.device_get(jax.jit(mapped)(dynamic, params))
    return jax.tree.map(lambda leaf: leaf[: config.seeds], measured)
