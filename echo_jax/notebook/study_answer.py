"""`echo_jax.study`: the answer of a study from its rows, published or one's own; trains nothing."""

import dataclasses
from pathlib import Path

from echo_jax.commands import study as study_command
from echo_jax.commands.study import StudyCommand
from echo_jax.exceptions import ConfigError
from echo_jax.notebook.section_html import section_html
from echo_jax.report.page import Section
from echo_jax.studies import study_folder, study_pages, terms
from echo_jax.studies.result_rows import ResultRow


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class StudyAnswer:
    """The answer of a study.

    name     of the study
    rows     a row for each grid point that was run: its configuration, and the scores of each seed
    section  question, answer, figure, tables and notes, as on the page of the studies
    """

    name: str
    rows: list[ResultRow]
    section: Section

    def __repr__(self) -> str:
        """The question, the answer in words, and what its words mean."""
        said = " ".join(self.section.answer)
        return "\n".join([self.section.heading, said, *terms.explained(said)])

    def report(self) -> str:
        """All that the command prints: question, answer, tables, notes."""
        return study_pages.in_terminal(self.section).lstrip()

    def _repr_html_(self) -> str:
        """The question, the answer, the figure, and the tables and notes to fold out."""
        meant = terms.explained(" ".join(self.section.answer))
        return section_html(self.section._replace(notes=[*meant, *self.section.notes]))


def study(name: str, folder: str | Path | None = None) -> StudyAnswer:
    """The answer of a study, in about a second: nothing is trained.

    Args:
      name: one of those that `echo-jax study` lists, such as "state".
      folder: of the command `echo-jax study`, which runs what a study needs; None for the rows that
        were published with this version.

    Raises:
      ConfigError: there is no such study, or the folder has no rows of it.
    """
    command = StudyCommand(names=(str(name),))
    place = study_folder.published() if folder is None else Path(folder)
    for each in (command, dataclasses.replace(command, fast=True)):
        rows = study_folder.rows_of(place, {name: each.every[name]})[name]
        if rows:
            return StudyAnswer(name, rows, study_command.section(each, name, rows))
    raise ConfigError(
        f"{place} has no rows of study {name}: make them with echo-jax study {name} --out {place}"
    )
