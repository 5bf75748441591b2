"""Grid points, run one after the other in this process or on workers; the rows go to a file.

executor   maps `run_task` over them, in an order that compiles a program once
compile    the programs of the next shape, while this one trains

A row is written as soon as it is there, so a sweep that was stopped loses at most the grid points
at work.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax

from echo_jax.cells import registry
from echo_jax.cluster import Executor, Outcome
from echo_jax.config import changed
from echo_jax.core.data import Corpus
from echo_jax.core.many_seeds import default_seed_map
from echo_jax.host.compiled_programs import DevicePlan, Timed, compile_programs, timed
from echo_jax.studies import result_rows
from echo_jax.studies.grid_point import GridPoint, Program
from echo_jax.studies.point_run import chunk_size, run_point
from echo_jax.studies.result_rows import ResultRow

_BACKGROUND = ThreadPoolExecutor(1)


def complete(points: Sequence[GridPoint], path: Path, executor: Executor) -> Iterator[Outcome]:
    """Run grid points, append the row of each to a file as it is done, and yield its outcome."""
    for outcome in executor.map(run_task, by_program(points)):
        if outcome.failure is None:
            result_rows.append(path, outcome.result)
        yield outcome


def by_program(points: Sequence[GridPoint]) -> list[GridPoint]:
    """Grid points in an order that compiles each program once."""
    groups: dict[object, list[GridPoint]] = {}
    for point in points:
        groups.setdefault(point.program, []).append(point)
    return [point for group in groups.values() for point in group]


def run_task(point: GridPoint, report: Callable[[float], None]) -> ResultRow:
    """The row of a grid point; its programs are compiled, or are there from the point before.

    ConfigError where the user's cell has another text here than the grid point states.
    """
    registry.check_source(point.config.network.cell, point.cell_source)
    programs, seconds = _in_thread(point.program).result()
    return run_point(point, programs, seconds, report)


@functools.lru_cache(maxsize=2)
def _in_thread(program: Program) -> Future[Timed]:
    """The programs of some shapes, which a thread compiles."""
    return _BACKGROUND.submit(_compiled, program)


def compile_next(points: Sequence[GridPoint]) -> None:
    """Compile the programs of the first grid point, and of the next one with other shapes."""
    first = points[0].program
    following = next((p.program for p in points if p.program != first), first)
    for program in (first, following, first):  # of two the one that was asked for last is kept
        _in_thread(program)


def _compiled(program: Program) -> Timed:
    config, seeds, _, lengths = program
    config, plan = changed(config, seeds=seeds), DevicePlan(default_seed_map())
    parts = [jax.ShapeDtypeStruct((length,), "int32") for length in lengths]
    corpus = Corpus(*parts) if parts else None
    return timed(lambda: compile_programs(config, chunk_size(config), plan, corpus))
