"""Run or show a study: `echo_jax.study`, and what it shares with `sweep` and the commands.

    folder ─► grid points without a row ─► rows, one by one ─► section ─► page

Without `run`, `study` shows the answer from rows that exist, either published or the user's, and
jax is not loaded.
"""

import dataclasses
import itertools
import os
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from echo_jax import machine
from echo_jax.config import check_call
from echo_jax.echo.studies import study_folder
from echo_jax.echo.studies.catalogue import STUDIES, check_name
from echo_jax.echo.studies.grid_point import GridPoint
from echo_jax.echo.studies.result_rows import RESULT_ROWS, ResultRow, shown
from echo_jax.echo.studies.study_folder import StudyFolder, rows_path
from echo_jax.engine.cluster import executor_of
from echo_jax.engine.grid import Execution, Executor, Here, complete, missing
from echo_jax.engine.process import Interrupts
from echo_jax.engine.progress import GridProgress
from echo_jax.exceptions import ConfigError, TasksFailedError
from echo_jax.report.number_formats import counted, percent
from echo_jax.report.page import PLAIN, Paper, write_for_paper
from echo_jax.report.section import Section
from echo_jax.storage import atomic_files

DEFAULT_FOLDER = Path("runs/studies")
TITLE = "Echoing random integers: the tutorial's questions, measured"


def study(
    name: str,
    folder: str | os.PathLike[str] | None = None,
    *,
    run: bool = False,
    cluster: str | None = None,
    progress: bool = True,
) -> Section:
    """Return the section of the study `name`: its answer, tables and figure.

    A notebook displays the section. Nothing is trained unless `run` is True.

        echo_jax.study("state")           # the published answer, with its tables
        echo_jax.study("state").figure    # in a notebook an output of its own
        echo_jax.study("state").to_pandas()
        echo_jax.study("state", "studies", run=True)    # trained here, which takes its time

    Args:
      name: the name of a study, such as "state"; `echo-jax study` lists them.
      folder: a folder that `echo-jax study` made; with `run`, it may also be a new folder. None
        means the answer and the rows that were published with this version.
      run: train the grid points that have no row in `folder`, as the command does, and write its
        page.
      cluster: train on the workers of a Dask cluster, such as "local:4" (docs/cluster.md).
      progress: show what is done and the time left, in a terminal or a notebook.

    Raises:
      ConfigError: an argument breaks a rule, or the folder has no rows of the study.
      StorageError: a file of the folder is damaged or in use, or cannot be written.
      TasksFailedError: some grid points failed; the others have rows.
      SchedulerLostError: the cluster's scheduler is gone; the folder has the rows made so far.
    """
    check_call(study, locals())
    check_name(name)
    running = Execution(cluster, progress)
    place = study_folder.folder() if folder is None else atomic_files.path_of("folder", folder)
    if run:
        if folder is None:
            raise ConfigError("run", True, "needs a place for its rows", "give a {folder}")
        machine.check_settings()
        return run_studies(all_studies(place), [name], running, PLAIN)[name]
    rows = study_folder.rows_of(place, {name: STUDIES[name]})[name]
    if not rows:
        fix = f"make them with echo-jax study {name} --out {place}, or with {{run=True}}"
        raise ConfigError(None, place, f"has no rows of study {name}", fix)
    section = study_folder.section(name, STUDIES[name], rows, study_folder.command_of(name))
    if folder is not None:
        return section
    return dataclasses.replace(section, answer=[study_folder.answer(name)])


def all_studies(folder: Path) -> StudyFolder:
    """Return `folder` as the folder of all studies, whose page names the command that makes it."""
    again = shlex.join(["--all", *(["--out", str(folder)] if folder != DEFAULT_FOLDER else [])])
    command = study_folder.command_of
    return StudyFolder(folder, "all studies", TITLE, STUDIES, command, command(again))


ALL_THERE = "All grid points have results already."


def run_studies(
    folder: StudyFolder,
    names: Sequence[str],
    running: Execution,
    paper: Paper | None,
    show: Callable[[Section], None] = lambda _: None,
) -> dict[str, Section]:
    """Run the grid points that studies lack, and return the sections of all studies with rows.

    Args:
      folder: the folder of the studies.
      names: the names of the studies that are run and shown.
      running: how grid points are run.
      paper: the files for a paper, which are written at the end. The page is written after each
        study. With None, neither the files nor the page are written.
      show: a function that gets the section of each study when its rows are complete.

    Raises:
      TasksFailedError: at the end, if grid points failed; the others have rows.
    """
    failures = list[str]()
    # The cluster first: one that does not answer leaves no folder behind.
    with (
        _executor(_waiting(folder, names), running) as executor,
        folder.claimed(bool(paper and paper.tables)),
    ):
        rows = study_folder.rows_of(folder.path, folder.studies)
        sections = study_folder.sections(folder, rows)
        waiting = _waiting(folder, names)
        left = sum(map(len, waiting.values()))
        running.tell(f"{counted(left, 'grid point')} to run" if left else ALL_THERE)
        for name, lacking in waiting.items():
            if lacking:
                path = rows_path(folder.path, name)
                with running.bar(lacking) as bar:
                    failures += run_points(path, lacking, executor, bar, running.interrupts)
                rows |= study_folder.rows_of(folder.path, {name: folder.studies[name]})
                sections |= study_folder.sections(folder, {name: rows[name]})
                if paper and sections:
                    study_folder.write_folder(folder, rows, sections)
            if name in sections:
                show(sections[name])
        if paper and sections:
            study_folder.write_folder(folder, rows, sections)
            asked = [sections[name] for name in names if name in sections]
            for path in write_for_paper(folder.path, asked, paper):
                running.tell(f"For a paper: {path}")
            running.tell(f"Page: {folder.path / study_folder.PAGE}")
            running.interrupts.check(f"Stopped; all rows and the page are in {folder.path}")
    if failures:
        raise TasksFailedError.of(failures)
    return sections


def _waiting(folder: StudyFolder, names: Sequence[str]) -> dict[str, list[GridPoint]]:
    """Return, for each study in `names`, its grid points that have no row in `folder` yet."""
    rows = study_folder.rows_of(folder.path, {name: folder.studies[name] for name in names})
    return {name: missing(folder.studies[name].points, rows[name]) for name in names}


def _executor(
    waiting: Mapping[str, Sequence[GridPoint]], running: Execution
) -> AbstractContextManager[Executor]:
    """Return the context of an executor: the workers of a cluster, or this process.

    `waiting` has the grid points to run, by study. If this process runs them, jax is started here.
    """
    points = list(itertools.chain(*waiting.values()))
    if points and running.cluster is None:
        running.start_jax(None)

    def files() -> Collection[Path]:
        """Return the files of the users' cells, which workers need."""
        from echo_jax.cells import user_cell  # loads jax, which a page does not need

        return user_cell.files_of({point.config.network.cell for point in points})

    return executor_of(running, Here(), points, files)


def run_points(
    path: Path,
    points: Sequence[GridPoint],
    executor: Executor,
    progress: GridProgress,
    interrupts: Interrupts,
) -> Sequence[str]:
    """Run `points` with `executor`, and append the row of each to the file `path` when it comes.

    Returns a sentence for each point that failed, so that other studies can go on.
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
    """Return `points` in an order that compiles each program once: grouped by program."""
    programs = list(dict.fromkeys(point.program for point in points))
    return sorted(points, key=lambda point: programs.index(point.program))
