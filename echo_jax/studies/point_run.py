"""One grid point: its seeds trained side by side, evaluated and measured; the result as a row.

A row depends on nothing but its grid point, except for its timing fields.
"""

import datetime
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import msgspec
import numpy as np

from echo_jax import machine
from echo_jax.config import RunConfig, TaskConfig, TracedParameters
from echo_jax.core import many_seeds
from echo_jax.core.chance import chance_baseline, chance_distance, order_blind_baseline
from echo_jax.core.evaluation import Evaluation
from echo_jax.core.network import Params
from echo_jax.core.training import TrainState
from echo_jax.host.chunk_loop import chunks
from echo_jax.host.compiled_programs import Programs
from echo_jax.host.stopwatch import Stopwatch
from echo_jax.report.number_formats import plain
from echo_jax.runs import result
from echo_jax.statistics import recalled_bits, sequences_until
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.measures import MEASURES
from echo_jax.studies.result_rows import ResultRow

CHUNK_UPDATES = 400
"""Updates of a chunk, about: how often a grid point checks whether it has learned."""

MOST_POSITIONS = 64
"""Rows in a sequence up to which the accuracy by position is kept."""


class Learned(NamedTuple):
    """The result of training.

    state           after the last chunk, leaves `[S, ...]`
    loss, accuracy  of every sequence, `[S, N]`
    update_seconds  of an update of all seeds: the median of whole chunks but the first, which also
                    warms up
    """

    state: TrainState
    loss: np.ndarray
    accuracy: np.ndarray
    update_seconds: float


def run_point(
    point: GridPoint,
    programs: Programs,
    compile_seconds: float,
    on_progress: Callable[[GridPoint, float], None],
) -> ResultRow:
    """Train, evaluate and measure a grid point with programs compiled for its shapes."""
    config, watch = point.config, Stopwatch()
    traced = programs.traced(config)
    with watch.time("train"):
        learned = train(point, programs, traced, on_progress)
    params = learned.state.params
    with watch.time("evaluate"):
        scored = programs.score(traced, params)
    with watch.time("measure"):
        measured = {
            name: measure(name, config, programs, traced, params) for name in point.measures
        }
    found = results(config, learned, scored) | {
        "bytes": programs.bytes,
        "measured": measured,
        "seconds": {"compile": compile_seconds, **watch.seconds, "update": learned.update_seconds},
    }
    run = {
        "cell": point.name,
        "labels": point.labels,
        "config": config,
        "measures": point.measures,
        "until_learned": point.until_learned,
        "floors": _baselines(config.task),
        "versions": machine.versions(),
        "date": datetime.date.today(),
    }
    return msgspec.convert(run | plain(found), ResultRow)


def chunk_size(config: RunConfig) -> int:
    """Sequences of a chunk, the same for any number of sequences, seeds or devices."""
    return max(1, CHUNK_UPDATES // config.task.updates_per_sequence)


def train(
    point: GridPoint,
    programs: Programs,
    traced: TracedParameters,
    on_progress: Callable[[GridPoint, float], None],
) -> Learned:
    """Train the seeds of a grid point side by side, chunk by chunk.

    A grid point `until_learned` stops after the chunk in which the last of its seeds reached a
    running mean of 99%.
    """
    config, size = point.config, chunk_size(point.config)
    work = range(config.training.sequences)
    clock, loss, accuracy = [time.perf_counter()], [], []
    for chunk in chunks(
        functools.partial(programs.train, traced), programs.init(traced), work, size
    ):
        loss.append(chunk.output.loss)
        accuracy.append(chunk.output.accuracy)
        clock.append(time.perf_counter())
        on_progress(point, chunk.done / len(work))
        if point.until_learned and _all_learned(np.concatenate(accuracy, axis=1)):
            break
    durations = np.diff(clock).tolist()
    whole = durations[: len(work) // size]
    updates = min(size, len(work)) * config.task.updates_per_sequence
    return Learned(
        chunk.state,
        np.concatenate(loss, axis=1),
        np.concatenate(accuracy, axis=1),
        float(np.median(whole[1:] or durations[:1])) / updates,
    )


def measure(
    name: str, config: RunConfig, programs: Programs, traced: TracedParameters, params: Params
) -> dict[str, np.ndarray]:
    """One of `measures.MEASURES` for every seed, leaves `[S, ...]`."""

    def one(traced: TracedParameters, params: Params, _: None) -> dict[str, jax.Array]:
        return MEASURES[name](config, traced, params)

    mapped = many_seeds.over_runs(one, programs.devices, many_seeds.default_seed_map())
    found = jax.device_get(jax.jit(mapped)(traced, params, None))
    return jax.tree.map(lambda leaf: leaf[: config.seeds], found)


def results(config: RunConfig, learned: Learned, scored: Evaluation) -> dict[str, Any]:
    """The fields of a row that training and evaluation give.

    A seed with a non-finite loss has failed and counts as accuracy 0 and 0 bits.
    """
    failed = result.failures(config, learned.loss, scored.loss)
    good = np.array([seed not in failed["seed"] for seed in result.seeds_of(config)])
    sequences = learned.accuracy.shape[1]
    updates = sequences * config.task.updates_per_sequence
    return {
        "trained": {"sequences": sequences, "updates": updates},
        "parameters": sum(leaf.size // len(leaf) for leaf in jax.tree.leaves(learned.state.params)),
        "by_seed": _by_seed(config, learned, scored, good),
        "accuracy_by_position": _by_position(scored.accuracy_by_position, good),
        "failed": failed,
    }


def _by_seed(
    config: RunConfig, learned: Learned, scored: Evaluation, good: np.ndarray
) -> dict[str, Any]:
    """The scores of every seed; NaN, which becomes None, where there is none."""
    loss = np.where(good, scored.loss, np.nan)
    reached = [sequences_until(curve) for curve in learned.accuracy]
    scores = {
        "seed": result.seeds_of(config),
        "accuracy": np.where(good, scored.accuracy, 0.0),
        "loss": loss,
        "distance": np.where(good, scored.distance, np.nan),
        "sequences_to_99": [n if ok else None for n, ok in zip(reached, good, strict=True)],
    }
    if config.task.framing == "classes":
        chance = chance_baseline(config.task).loss
        scores["recalled_bits"] = [
            recalled_bits(x, chance) if ok else 0.0 for x, ok in zip(loss, good, strict=True)
        ]
    return scores


def _by_position(accuracy: np.ndarray, good: np.ndarray) -> np.ndarray | None:
    """The mean accuracy by position of the seeds that did not fail, `[S, P]` to P values."""
    if accuracy.shape[1] > MOST_POSITIONS:
        return None
    kept = accuracy[good] if good.any() else np.full_like(accuracy, np.nan)
    return np.mean(kept, axis=0)


def _baselines(task: TaskConfig) -> dict[str, float]:
    chance, blind = chance_baseline(task), order_blind_baseline(task)
    return {
        "accuracy": chance.accuracy,
        "loss": chance.loss,
        "order_blind_accuracy": blind.accuracy,
        "order_blind_loss": blind.loss,
        "distance": chance_distance(task.vocab_size),
    }


def _all_learned(accuracy: np.ndarray) -> bool:
    """True when the running mean of every seed has reached 99%, from accuracies `[S, N]`."""
    return all(sequences_until(curve) is not None for curve in accuracy)
