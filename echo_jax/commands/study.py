"""Answer the questions of the tutorial and of its readers: tables and figures on one page.

echo-jax study                                # the studies, and how long each takes here
echo-jax study --all --out studies/           # all, resumable, and a page that shows them
"""

import dataclasses
import difflib
import itertools
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from echo_jax import atomic_files
from echo_jax.commands import command_line
from echo_jax.commands.grid_runs import GridOptions, plan, refuse_failures, run_points, workers_for
from echo_jax.exceptions import ConfigError, printable
from echo_jax.host.interrupts import Interrupts
from echo_jax.report import text_tables
from echo_jax.report.page import Section
from echo_jax.studies import result_rows, study_folder, study_pages
from echo_jax.studies.catalogue import STUDIES
from echo_jax.studies.result_rows import ResultRow
from echo_jax.studies.time_estimate import minutes, seconds_of

COMMAND = f"{command_line.INSTALLED} study"  # on pages
TITLE = "Echoing random integers: the tutorial's questions, measured"


@dataclasses.dataclass(frozen=True)
class StudyCommand(GridOptions):
    """Answer the questions of the tutorial by measurement; without a name, list them.

    The published answer to a question that is named is printed first, then its networks are trained
    again here. Grid points whose results are in the folder already are not run again.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Studies to run; none lists them all."""
    all: bool = False
    """Run every study."""
    out: Path | None = None
    """Folder of the rows, the figures and the page, by default runs/studies; a study that was
    stopped goes on there."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a name that no study has."""
        super().__post_init__()
        for name in self.names:
            if name not in STUDIES:
                close = difflib.get_close_matches(name, STUDIES, n=1)
                names = close[0] if close else f"one of {', '.join(STUDIES)}"
                raise ConfigError(None, f"study {name!r}", "is unknown", f"use {names}")

    @property
    def folder(self) -> Path:
        """The folder of the rows, the figures and the page."""
        return self.out or Path("runs/studies")


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(StudyCommand)
    with command_line.refusals():
        if not (command.names or command.all):
            print(listing())
            return
        with command_line.stoppable(command_line.this_command("study")) as interrupts:
            run(command, interrupts)


def listing() -> str:
    """A table of the studies: name, number of grid points, estimated minutes, question."""
    lines = [["study", "grid points", "minutes here", "question"]]
    for name, study in STUDIES.items():
        time = minutes(seconds_of(study.points))
        lines.append([name, str(len(study.points)), time, study.question])
    return (
        f"{text_tables.table(lines, left=(0, 3))}\n\n"
        f"{command_line.program('study')} NAME runs one, --all all of them. "
        "The published answer to one that is named is printed first; Ctrl-C stops the training."
    )


def run(command: StudyCommand, interrupts: Interrupts) -> None:
    """Run what is missing, study by study; write the page after each that ran and at the end."""
    out = command.folder
    command.prepare()
    named = command.names or tuple(STUDIES)
    study_folder.claim(out, "all studies", named, command.for_paper)
    failures: list[str] = []
    with atomic_files.locked(out):
        rows = study_folder.rows_of(out, STUDIES)
        waiting = {name: result_rows.missing(STUDIES[name].points, rows[name]) for name in named}
        print(published(command.names), end="")
        print(plan(waiting, command.cluster), flush=True)
        sections = {name: section(name, rows[name]) for name in STUDIES if rows[name]}
        points = list(itertools.chain(*waiting.values()))
        with workers_for(command.cluster, points, interrupts) as workers:
            for name, left in waiting.items():
                if left:
                    path = study_folder.rows_path(out, name)
                    failures += run_points(path, left, interrupts, workers)
                    rows |= study_folder.rows_of(out, {name: STUDIES[name]})
                    if not rows[name]:
                        continue
                    sections[name] = section(name, rows[name])
                    write_page(command, rows, sections)
                print(study_pages.in_terminal(sections[name]), flush=True)
        if sections:
            write_page(command, rows, sections)
        asked = [sections[name] for name in named if name in sections]
        command_line.say_for_paper(study_pages.write_for_paper(out, asked, command.for_paper))
    print(f"Page: {printable(str(out / study_folder.PAGE))}")
    refuse_failures(failures, out)


def published(names: Sequence[str]) -> str:
    """The published answers of studies, with their questions; empty without any."""
    answers = {name: study_folder.published_answer(name) for name in names}
    return "".join(
        f"{STUDIES[name].question}\n{answer}\nThis is the published answer; in Python "
        f'echo_jax.study("{name}") has its tables and figure.\n\n'
        for name, answer in answers.items()
        if answer
    )


def section(name: str, rows: Sequence[ResultRow]) -> Section:
    """The section of a study, with the command that makes it."""
    return study_pages.section(name, STUDIES[name], rows, f"{COMMAND} {name}")


def write_page(
    command: StudyCommand, rows: Mapping[str, list[ResultRow]], sections: Mapping[str, Section]
) -> None:
    """Write the page of all studies that have rows in the folder, in the order of the catalogue."""
    again = ["--all", *(["--out", str(command.out)] if command.out else [])]
    shown_rows = [row for name in sections for row in rows[name]]
    ordered = [sections[name] for name in STUDIES if name in sections]
    remake = f"{COMMAND} {shlex.join(again)}"
    study_pages.write(command.folder, TITLE, shown_rows, ordered, remake)
