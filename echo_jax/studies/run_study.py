"""The grid points of a study that lack a row are run, on any executor."""

from collections.abc import Sequence
from pathlib import Path

from echo_jax.grid.completion import UNSEEN, Progress, complete
from echo_jax.grid.executors import Executor
from echo_jax.host.interrupts import Interrupts
from echo_jax.report.number_formats import percent
from echo_jax.studies.grid_point import GridPoint, Program
from echo_jax.studies.result_rows import RESULT_ROWS, ResultRow
from echo_jax.studies.row_scores import shown
from echo_jax.studies.run_grid_point import JOB


def run_points(
    path: Path,
    points: Sequence[GridPoint],
    executor: Executor,
    progress: Progress = UNSEEN,
    interrupts: Interrupts | None = None,
) -> None:
    """Run grid points, and append the row of each to a file as it comes.

    TasksFailedError where some failed; the others have rows.
    """

    def store(row: ResultRow) -> str:
        """Keep a row."""
        RESULT_ROWS.append(path, [row])
        return f"accuracy {shown(row, 'accuracy', percent)}"

    for _ in complete(JOB, by_program(points), executor, store, progress, interrupts):
        pass


def by_program(points: Sequence[GridPoint]) -> list[GridPoint]:
    """Grid points in an order that compiles each program once."""
    groups: dict[Program, list[GridPoint]] = {}
    for point in points:
        groups.setdefault(point.program, []).append(point)
    return [point for group in groups.values() for point in group]
