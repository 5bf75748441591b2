"""`echo_jax.study`: the answer of a study from its rows, published or one's own."""

import dataclasses
import os
import shlex
from pathlib import Path

from echo_jax import environment
from echo_jax.config import check_call
from echo_jax.echo.studies import study_folder, study_pages
from echo_jax.echo.studies.catalogue import STUDIES, check_name
from echo_jax.echo.studies.run_study import run_studies
from echo_jax.echo.studies.study_folder import StudyFolder
from echo_jax.engine.grid import Execution
from echo_jax.exceptions import ConfigError
from echo_jax.report.page import PLAIN
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
    """Return the section of a study, which shows itself; without `run` nothing is trained.

        echo_jax.study("state")           # the published answer, with its tables
        echo_jax.study("state").figure    # in a notebook an output of its own
        echo_jax.study("state").to_pandas()
        echo_jax.study("state", "studies", run=True)    # trained here, which takes its time

    Args:
      name: one of those that `echo-jax study` lists, such as "state".
      folder: of the command `echo-jax study`; None for the answer and the rows that were published
        with this version.
      run: train what the study lacks in this folder, as the command does, and write its page.
      cluster: train on the workers of a Dask cluster, such as "local:4"; see docs/cluster.md.
      progress: show what is done and the time left, in a terminal or a notebook.

    Raises:
      ConfigError: an argument breaks a rule, or the folder has no rows of the study.
      StorageError: a file of the folder is damaged or in use, or cannot be written.
      TasksFailedError: some grid points failed; the others have rows.
      SchedulerLostError: the scheduler of the cluster is gone; the folder has the rows made so far.
    """
    check_call(study, locals())
    check_name(name)
    running = Execution(cluster, progress)
    place = study_folder.folder() if folder is None else atomic_files.path_of("folder", folder)
    if run:
        if folder is None:
            raise ConfigError("run", True, "needs a place for its rows", "give a {folder}")
        environment.check_settings()
        return run_studies(all_studies(place), [name], running, PLAIN)[name]
    rows = study_folder.rows_of(place, {name: STUDIES[name]})[name]
    if not rows:
        fix = f"make them with echo-jax study {name} --out {place}, or with {{run=True}}"
        raise ConfigError(None, place, f"has no rows of study {name}", fix)
    section = study_pages.section(name, STUDIES[name], rows, study_pages.command_of(name))
    if folder is not None:
        return section
    return dataclasses.replace(section, answer=[study_folder.answer(name)])


def all_studies(folder: Path) -> StudyFolder:
    """Return a folder of studies, whose page names the command that makes it."""
    again = shlex.join(["--all", *(["--out", str(folder)] if folder != DEFAULT_FOLDER else [])])
    command = study_pages.command_of
    return StudyFolder(folder, "all studies", TITLE, STUDIES, command, command(again))
