"""The grid points of a study that lack a row are run, on any executor."""

from collections.abc import Callable, Sequence
from pathlib import Path

from echo_jax.grid.executors import Executor
from echo_jax.grid.task_loop import UNSEEN, Progress, complete
from echo_jax.host.interrupts import Interrupts
from echo_jax.host.progress import GridProgress
from echo_jax.report.number_formats import percent
from echo_jax.studies.grid_point import GridPoint, Program
from echo_jax.studies.result_rows import RESULT_ROWS, ResultRow
from echo_jax.studies.row_scores import shown
from echo_jax.studies.run_grid_point import JOB
from echo_jax.studies.study_folder import StudyFolder, rows_path


def run_points(
    path: Path,
    points: Sequence[GridPoint],
    executor: Executor,
    progress: Progress = UNSEEN,
    interrupts: Interrupts | None = None,
) -> None:
    """Run grid points, and append the row of each to a file as it comes; errors as `complete`."""

    def store(row: ResultRow) -> str:
        RESULT_ROWS.append(path, [row])
        return f"accuracy {shown(row, 'accuracy', percent)}"

    for _ in complete(JOB, by_program(points), executor, store, progress, interrupts):
        pass


def run_missing(
    folder: StudyFolder,
    name: str,
    executor: Executor,
    say: Callable[[str], None] | None,
    interrupts: Interrupts | None = None,
) -> None:
    """Run the points of a study that lack a row; `say` gets lines of progress, None shows none."""
    points = folder.missing(name)
    path = rows_path(folder.path, name)
    if say is None or not points:
        run_points(path, points, executor, interrupts=interrupts)
        return
    with GridProgress({point.name: point.work for point in points}, say) as bar:
        run_points(path, points, executor, bar, interrupts)


def by_program(points: Sequence[GridPoint]) -> list[GridPoint]:
    """Grid points in an order that compiles each program once."""
    groups: dict[Program, list[GridPoint]] = {}
    for point in points:
        groups.setdefault(point.program, []).append(point)
    return [point for group in groups.values() for point in group]
