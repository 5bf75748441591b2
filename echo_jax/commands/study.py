"""Answer the questions of the tutorial and of its readers: tables, figures, words, one page.

python scripts/study.py                                # the studies, and how long each takes here
python scripts/study.py state                          # one: table, figure, answer
python scripts/study.py --all --out studies/           # all, resumable, and a page that shows them
python scripts/study.py --all --fast                   # all, with fewer seeds
"""

import dataclasses
import difflib
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from echo_jax import atomic_files, machine
from echo_jax.commands import command_line
from echo_jax.exceptions import ConfigError
from echo_jax.report import text_tables
from echo_jax.studies import study_pages
from echo_jax.studies.catalogue import STUDIES, Cell, Study, fast
from echo_jax.studies.time_estimate import minutes, seconds_of

COMMAND = f"{command_line.INSTALLED} study"
"""How pages name this command."""

TITLE = "How long does a network remember?"

OUT, OUT_FAST = Path("runs/studies"), Path("runs/studies-fast")
"""The folders of the studies, in full and fast, where no other is named."""


@dataclasses.dataclass(frozen=True)
class StudyCommand:
    """Answer the questions of the tutorial by measurement; without a name, list them.

    What is there already in the folder is not run again.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Studies to run; none lists them all."""
    all: bool = False
    """Run every study."""
    fast: bool = False
    """Fewer seeds, smaller grids and shorter training, for a first look: not for a claim."""
    out: Path | None = None
    """Folder of the rows, the figures and the page, by default runs/studies, with --fast
    runs/studies-fast; a study goes on where it was stopped."""
    readme: Path | None = None
    """A Markdown file to put the questions and first answers into, between its lines
    `<!-- studies -->` and `<!-- end of studies -->`."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a name that no study has."""
        for name in self.names:
            if name not in STUDIES:
                close = difflib.get_close_matches(name, STUDIES, n=1)
                known = f"{close[0]}" if close else f"one of {', '.join(STUDIES)}"
                raise ConfigError(f"study {name!r} is unknown: use {known}")
        if not (self.names or self.all) and (self.out or self.readme):
            raise ConfigError("--out and --readme are for studies that are run: name one, or --all")
        if self.names and self.all:
            raise ConfigError(f"--all is every study, {self.names[0]} one of them: use one of both")

    @property
    def folder(self) -> Path:
        """Where all is kept."""
        return self.out or (OUT_FAST if self.fast else OUT)

    @property
    def every(self) -> dict[str, Study]:
        """All studies, as they are run with or without --fast."""
        return {name: fast(study) if self.fast else study for name, study in STUDIES.items()}

    @property
    def studies(self) -> dict[str, Study]:
        """Those to run, or to list."""
        return {name: self.every[name] for name in self.names or STUDIES}


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(StudyCommand)
    with command_line.refusals():
        if not (command.names or command.all):
            print(listing(command))
            return
        try:
            run(command)
        except KeyboardInterrupt:
            again = f"{command_line.program('study')} {shlex.join(sys.argv[1:])}"
            print(f"\nStopped; to go on: {again}", file=sys.stderr)
            sys.exit(130)


def listing(command: StudyCommand) -> str:
    """Every study: its name, how many cells and about how many minutes, its question."""
    speed = machine.speed()
    rows = [["study", "cells", "minutes here", "question"]]
    for name, study in command.studies.items():
        cells = len(study.cells)
        rows.append([name, str(cells), minutes(seconds_of(study.cells, speed)), study.question])
    return (
        f"{text_tables.table(rows, left=(0, 3))}\n\n"
        f"{command_line.program('study')} NAME runs one, --all all of them, --fast a smaller one."
    )


def run(command: StudyCommand) -> None:
    """Run what is missing, study by study, and make the page anew after each."""
    out, studies = command.folder, command.studies
    if command.readme:
        atomic_files.between(command.readme, study_pages.SUMMARY)
    study_pages.claim(out, "fast studies" if command.fast else "all studies")
    with atomic_files.locked(out):
        study_pages.shown(out, command.every)  # all that there is can be read
        waiting = {name: study_pages.missing(out, name, study) for name, study in studies.items()}
        print(plan(waiting, command.fast), flush=True)
        for name, study in studies.items():
            complete(out, name, waiting[name])
            (section,) = study_pages.sections(out, {name: study}, f"{COMMAND} {{name}}")
            print(text_tables.section_text(section), flush=True)
            if waiting[name]:
                write_page(command)
        if not any(waiting.values()):
            write_page(command)
    print(f"Page: {out / study_pages.PAGE}")


def plan(waiting: Mapping[str, Sequence[Cell]], fast: bool = False) -> str:
    """What is going to be run, and about how long it takes."""
    speed = machine.speed()
    seconds = {name: seconds_of(cells, speed) for name, cells in waiting.items()}
    lines = [
        f"{name}: {len(cells)} cells, about {minutes(seconds[name])} min"
        for name, cells in waiting.items()
        if cells
    ]
    if not lines:
        return "All cells are there already."
    total = f"To run: about {minutes(sum(seconds.values()))} min in all, {machine.cores()} cores."
    few = " Fewer seeds (--fast): a first look, no claim." * fast
    return "\n".join([*lines, total + few])


def complete(out: Path, name: str, cells: Sequence[Cell]) -> None:
    """Run the cells, with a bar, and append their rows."""
    if not cells:
        return
    from echo_jax.host.progress import GridProgress
    from echo_jax.studies import study_tables, sweep

    machine.use_cpu_devices(None)
    expected = {cell.name: seconds_of([cell]) for cell in cells}
    with GridProgress(expected) as bar:
        path = study_pages.rows_path(out, name)
        for row in sweep.complete(cells, path, lambda cell, share: bar.at_work(cell.name, share)):
            accuracy = study_tables.shown(row, "accuracy", study_tables.percent)
            bar.finished(row["cell"], f"accuracy {accuracy}")


def write_page(command: StudyCommand) -> None:
    """The page of all studies that have rows in the folder."""
    out, studies = command.folder, command.every
    flags = ["--fast"] * command.fast
    again = ["--all", *flags, *(["--out", str(out)] if command.out else [])]
    made = study_pages.sections(out, studies, " ".join([COMMAND, "{name}", *flags]))
    found = study_pages.shown(out, studies)
    remake = f"{COMMAND} {shlex.join(again)}"
    study_pages.write(out, study_pages.page_of(TITLE, found, made, remake))
    if command.readme:
        study_pages.put_summary(command.readme, out, made)
