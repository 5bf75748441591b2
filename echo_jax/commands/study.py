"""Answer the questions of the tutorial and of its readers: tables and figures on one page.

echo-jax study                                # the studies, and how long each takes here
echo-jax study --all --out studies/           # run all studies, and write a page in studies/
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from echo_jax.commands import command_line
from echo_jax.echo.studies import study_folder
from echo_jax.echo.studies.catalogue import STUDIES, check_name
from echo_jax.echo.studies.grid_point import minutes, seconds_of
from echo_jax.echo.studies.study_call import DEFAULT_FOLDER, all_studies, run_studies
from echo_jax.echo.studies.study_folder import StudyFolder
from echo_jax.engine.grid import Execution
from echo_jax.engine.process import Interrupts
from echo_jax.exceptions import ConfigError
from echo_jax.report import text_tables
from echo_jax.report.page import Paper
from echo_jax.report.section import Section


@dataclasses.dataclass(frozen=True)
class GridOptions:
    """The options of a command that runs grid points."""

    cluster: str | None = None
    """Run on a Dask cluster: local:N (N workers on this machine), or tcp://HOST:PORT or
    tls://HOST:PORT (a scheduler); see docs/cluster.md."""
    paper: Annotated[Paper, command_line.FLAT] = dataclasses.field(default_factory=Paper)


@dataclasses.dataclass(frozen=True)
class StudyCommand(GridOptions):
    """Answer the questions of the tutorial by measurement.

    Without a name, the command lists all studies. With names, it prints the published answers, and
    then trains the networks again here. Grid points whose results are already in the folder are not
    run again.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Studies to run; without a name, the command lists all studies."""
    all: bool = False
    """Run every study."""
    out: Path | None = None
    """Folder for the rows, the figures and the page, by default runs/studies. A study that was
    stopped continues there."""

    def __post_init__(self) -> None:
        """Raise ConfigError if a name is no study's, or if names are given together with --all."""
        if self.all and self.names:
            raise ConfigError("--all runs every study: use it without a name")
        for name in self.names:
            check_name(name)


def main() -> None:
    """Parse the command line, and run the studies that it names, or list all studies."""
    command = command_line.parse(StudyCommand)
    if not (command.names or command.all):
        print(listing())
        return
    folder = all_studies(command.out or DEFAULT_FOLDER)
    with command_line.stoppable(command_line.this_command("study")) as interrupts:
        for name in command.names:
            if answer := study_folder.answer(name):
                python = f'in Python, echo_jax.study("{name}") returns its tables and figure'
                print(f"{STUDIES[name].question}\n{answer}")
                print(f"This is the published answer; {python}.\n")
        run_and_print(folder, command.names or tuple(STUDIES), command, interrupts)


def listing() -> str:
    """Return a table of the studies: name, number of grid points, estimated minutes, question."""
    lines = [["study", "grid points", "minutes here", "question"]]
    for name, study in STUDIES.items():
        time = minutes(seconds_of(study.points))
        lines.append([name, str(len(study.points)), time, study.question])
    return (
        f"{text_tables.table(lines, left=(0, 3))}\n\n"
        f"{command_line.invocation('study')} NAME runs one study, and --all runs all of them. "
        "The published answer of a named study is printed first; Ctrl-C stops the training."
    )


def run_and_print(
    folder: StudyFolder, names: Sequence[str], options: GridOptions, interrupts: Interrupts
) -> None:
    """Run the missing grid points of the studies `names`, and print each study when it is done.

    `folder` keeps the rows, `options` states the cluster and the files for a paper, and
    `interrupts` ends the loop after a signal.
    """
    running = Execution(options.cluster, interrupts=interrupts, keep_programs=True)

    def show(section: Section) -> None:
        print(f"\n{section.report()}", flush=True)

    run_studies(folder, names, running, options.paper, show)
