"""A sweep over grid points: those with a row of results are skipped, all others are run.

Grid points with the same shapes share their compiled programs, and those of the next group are
compiled while this one trains. The row of each grid point is appended as soon as it is done.
"""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from echo_jax.core.many_seeds import default_seed_map
from echo_jax.host.compiled_programs import Execution, Timed, compile_programs, timed
from echo_jax.studies import result_rows
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.point_run import OnProgress, chunk_size, run_point
from echo_jax.studies.result_rows import ResultRow


def complete(
    points: Sequence[GridPoint], path: Path, on_progress: OnProgress = lambda *_: None
) -> Iterator[ResultRow]:
    """Run the grid points that have no row in a file yet, append their rows, and yield them."""
    for row in run(result_rows.missing(points, result_rows.read(path)), on_progress):
        result_rows.append(path, row)
        yield row


def run(
    points: Sequence[GridPoint], on_progress: OnProgress = lambda *_: None
) -> Iterator[ResultRow]:
    """The row of every grid point, in an order that compiles each program once."""
    groups: dict[object, list[GridPoint]] = {}
    for point in points:
        groups.setdefault(point.program, []).append(point)
    waiting = list(groups.values())
    with ThreadPoolExecutor(1) as background:
        compiling: Future[Timed] | None = None
        for group, following in itertools.zip_longest(waiting, waiting[1:]):
            programs, seconds = compiling.result() if compiling else _compiled(group[0])
            compiling = background.submit(_compiled, following[0]) if following else None
            for point in group:
                yield run_point(point, programs, seconds, on_progress)


def _compiled(point: GridPoint) -> Timed:
    """The programs of a grid point, and the seconds that compiling them took."""
    execution = Execution(default_seed_map())
    return timed(lambda: compile_programs(point.config, chunk_size(point.config), execution))
