"""Studies, or a sweep, in a folder: what is missing is run, and the page is written. No jax yet.

    folder ─► grid points without a row ─► rows, one by one ─► section ─► page

The commands `study` and `sweep` and the calls of the same names are this.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from echo_jax.echo.studies import study_folder, study_pages
from echo_jax.echo.studies.grid_point import GridPoint, Program
from echo_jax.echo.studies.result_rows import RESULT_ROWS, ResultRow, shown
from echo_jax.echo.studies.study_folder import StudyFolder, rows_path
from echo_jax.engine.cluster import executor_of
from echo_jax.engine.grid import Execution, Executor, Here, complete, missing
from echo_jax.engine.process import Interrupts
from echo_jax.engine.progress import GridProgress
from echo_jax.exceptions import TasksFailedError
from echo_jax.report.number_formats import counted, percent
from echo_jax.report.page import Paper, write_for_paper
from echo_jax.report.section import Section

ALL_THERE = "All grid points have results already."


def run_studies(
    folder: StudyFolder,
    names: Sequence[str],
    running: Execution,
    paper: Paper | None,
    show: Callable[[Section], None] = lambda _: None,
) -> dict[str, Section]:
    """Run what studies of these names lack; the sections of all studies that have rows.

    Each is shown when its rows are there, and the page written, with the files of a paper at the
    end; without a paper, no page. TasksFailedError at the end where grid points failed.
    """
    failures = list[str]()
    # The cluster first: one that does not answer leaves no folder behind.
    with (
        _executor(_waiting(folder, names), running) as executor,
        folder.claimed(bool(paper and paper.tables)),
    ):
        rows = study_folder.rows_of(folder.path, folder.studies)
        sections = study_pages.sections(folder, rows)
        waiting = _waiting(folder, names)
        left = sum(map(len, waiting.values()))
        running.tell(f"{counted(left, 'grid point')} to run" if left else ALL_THERE)
        for name, lacking in waiting.items():
            if lacking:
                path = rows_path(folder.path, name)
                with running.bar(lacking) as bar:
                    failures += run_points(path, lacking, executor, bar, running.interrupts)
                rows |= study_folder.rows_of(folder.path, {name: folder.studies[name]})
                sections |= study_pages.sections(folder, {name: rows[name]})
                if paper and sections:
                    study_pages.write_folder(folder, rows, sections)
            if name in sections:
                show(sections[name])
        if paper and sections:
            study_pages.write_folder(folder, rows, sections)
            _write_for_paper(folder, [sections[x] for x in names if x in sections], paper, running)
    if failures:
        raise TasksFailedError.of(failures)
    return sections


def _waiting(folder: StudyFolder, names: Sequence[str]) -> dict[str, list[GridPoint]]:
    """Return the grid points without a row of studies of these names."""
    rows = study_folder.rows_of(folder.path, {name: folder.studies[name] for name in names})
    return {name: missing(folder.studies[name].points, rows[name]) for name in names}


def _write_for_paper(
    folder: StudyFolder, sections: Sequence[Section], paper: Paper, running: Execution
) -> None:
    """Write the files for a paper, and say where all files are."""
    for path in write_for_paper(folder.path, sections, paper):
        running.tell(f"For a paper: {path}")
    running.tell(f"Page: {folder.path / study_folder.PAGE}")
    running.interrupts.check(f"Stopped; {folder.path} has all rows and the page")


def _executor(
    waiting: Mapping[str, Sequence[GridPoint]], running: Execution
) -> AbstractContextManager[Executor]:
    """Return the workers of a cluster, or this process, where jax then starts."""
    points = list(itertools.chain(*waiting.values()))
    if points and running.cluster is None:
        running.start_jax(None)
    cells = {point.config.network.cell for point in points}
    return executor_of(running, Here(), points, cells)


def run_points(
    path: Path,
    points: Sequence[GridPoint],
    executor: Executor,
    progress: GridProgress,
    interrupts: Interrupts,
) -> Sequence[str]:
    """Run grid points, and append the row of each to a file as it comes.

    Returns a sentence for each that failed, as other studies go on.
    """
    from echo_jax.echo.studies import run_grid_point  # loads jax, which a page does not need

    def store(row: ResultRow) -> str:
        RESULT_ROWS.append(path, [row])
        return f"accuracy {shown(row, 'accuracy', percent)}"

    job = run_grid_point.JOB
    try:
        complete(job, by_program(points), executor, store, progress, interrupts)
    except TasksFailedError as error:
        return error.failures
    return ()


def by_program(points: Sequence[GridPoint]) -> list[GridPoint]:
    """Return grid points in an order that compiles each program once."""
    groups: dict[Program, list[GridPoint]] = {}
    for point in points:
        groups.setdefault(point.program, []).append(point)
    return [point for group in groups.values() for point in group]
