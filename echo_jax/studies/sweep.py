"""A sweep over grid points: those with a row of results are skipped, all others are run.

tasks      the parts of grid points that were not run yet, ordered by the programs that they share
executor   maps `run_task` over them, in this process or on workers
compile    the programs of the next shape, while this one trains
rows       a row of each grid point, as soon as all its parts are done

Rows of parts are kept beside the file of rows until they are joined, so a sweep that was stopped
loses at most the parts at work.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from echo_jax import machine
from echo_jax.cells import registry
from echo_jax.cluster import Executor, Here, Outcome
from echo_jax.config import changed
from echo_jax.core.many_seeds import default_seed_map
from echo_jax.host.compiled_programs import DevicePlan, Timed, compile_programs, timed
from echo_jax.studies import result_rows
from echo_jax.studies.grid_point import GridPoint, Program
from echo_jax.studies.point_run import chunk_size, run_point
from echo_jax.studies.result_rows import ResultRow
from echo_jax.studies.seed_parts import joined, parts_of

_BACKGROUND = ThreadPoolExecutor(1)


def complete(points: Sequence[GridPoint], path: Path, executor: Executor) -> Iterator[Outcome]:
    """Run the parts of grid points that are missing, keep their rows, yield the outcome of each.

    The row of a grid point is appended to the file when the last of its parts is done.
    """
    waiting = result_rows.missing(points, result_rows.read(path))
    for point in waiting:
        _join(point, path)  # the last part may have been kept just before the process ended
    whole = {part.key: point for point in waiting for part in parts_of(point)}
    for outcome in executor.map(run_task, tasks(points, path)):
        if outcome.failure is None:
            point = whole[outcome.task.key]
            result_rows.append(path if outcome.task == point else kept_in(path), outcome.result)
            _join(point, path)
        yield outcome


def tasks(points: Sequence[GridPoint], path: Path) -> list[GridPoint]:
    """The parts of grid points that have no row yet, in an order that compiles a program once."""
    waiting = result_rows.missing(points, result_rows.read(path))
    parts = [part for point in waiting for part in parts_of(point)]
    return by_program(result_rows.missing(parts, _kept(path)))


def kept_in(path: Path) -> Path:
    """The file of the rows of parts, beside the file of rows."""
    return path.with_suffix(".parts.jsonl")


def _kept(path: Path) -> list[ResultRow]:
    """The rows of parts that this version computed: one row is of one version."""
    versions = machine.versions()
    return [row for row in result_rows.read(kept_in(path)) if row.versions == versions]


def _join(point: GridPoint, path: Path) -> None:
    """Append the row of a grid point of several parts once all are kept, and remove those."""
    parts = parts_of(point)
    rows = result_rows.finished(parts, _kept(path))
    if len(rows) == len(parts):
        result_rows.append(path, joined(point, rows))
        result_rows.remove(kept_in(path), {part.key for part in parts})


def here(report: Callable[[GridPoint, float], None] = lambda *_: None) -> Here:
    """The executor that runs grid points in this process and compiles the next shape meanwhile."""
    return Here(report, _compile_next)


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
    programs, seconds = _programs(point.program).result()
    return run_point(point, programs, seconds, report)


@functools.lru_cache(maxsize=2)
def _programs(program: Program) -> Future[Timed]:
    """The programs of some shapes, and the seconds that compiling them took, in a thread."""
    return _BACKGROUND.submit(_compiled, program)


def _compile_next(points: Sequence[GridPoint]) -> None:
    """Compile the programs of the first grid point, and of the next one with other shapes."""
    first = points[0].program
    following = next((p.program for p in points if p.program != first), first)
    for program in (first, following, first):  # of two the one that was asked for last is kept
        _programs(program)


def _compiled(program: Program) -> Timed:
    config, seeds, _ = program
    config, plan = changed(config, seeds=seeds), DevicePlan(default_seed_map())
    return timed(lambda: compile_programs(config, chunk_size(config), plan))
