"""`echo_jax.study`: the answer of a study from its rows, published or one's own; trains nothing."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echo_jax import atomic_files
from echo_jax.commands.study import StudyCommand, command_of
from echo_jax.exceptions import ConfigError
from echo_jax.report.markdown_page import markdown_section
from echo_jax.report.page import Section
from echo_jax.report.styles import drawing
from echo_jax.report.text_tables import data_frame
from echo_jax.studies import (
    published_answers,
    study_figures,
    study_folder,
    study_pages,
    tidy_rows,
)
from echo_jax.studies.catalogue import STUDIES
from echo_jax.studies.result_rows import ResultRow

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class StudyAnswer:
    """The answer of a study, which shows itself in a notebook; its figure is an output of its own.

    name     of the study
    section  question, published answer, tables and notes, as on the page of the studies
    results  a row for each grid point that was run: its configuration, and the scores of each seed
    """

    name: str
    section: Section
    results: list[ResultRow]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A dictionary for each grid point and score: its median and interval over the seeds."""
        return tidy_rows.summaries(self.results)

    @property
    def seeds(self) -> list[dict[str, Any]]:
        """A dictionary for each grid point and seed: its scores."""
        return tidy_rows.seeds(self.results)

    def to_pandas(self) -> "pandas.DataFrame":
        """The data frame of `rows`; ConfigError where pandas is not installed."""
        return data_frame(self.rows)

    @property
    def figure(self) -> Any:
        """The figure of matplotlib, which a notebook shows."""
        with drawing():
            return study_figures.figure(STUDIES[self.name].chart, self.results)

    def __repr__(self) -> str:
        """The question and the published answer; of rows of one's own, the tables."""
        if not self.section.answer:
            return self.report()
        return "\n".join([self.section.heading, *self.section.answer])

    def report(self) -> str:
        """All that the command prints: question, answer, tables, notes."""
        return study_pages.in_terminal(self.section).lstrip()

    def _repr_markdown_(self) -> str:
        """The question, the answer, the tables and the notes."""
        return markdown_section(self.section._replace(figure=None))


def study(name: str, folder: str | Path | None = None) -> StudyAnswer:
    """The answer of a study, in about a second: nothing is trained.

        echo_jax.study("state")           # the published answer, with its tables
        echo_jax.study("state").figure
        echo_jax.study("state").to_pandas()

    Args:
      name: one of those that `echo-jax study` lists, such as "state".
      folder: of the command `echo-jax study`, which runs what a study needs; None for the answer
        and the rows that were published with this version.

    Raises:
      ConfigError: there is no such study, or the folder has no rows of it.
    """
    StudyCommand(names=(str(name),))  # refuses a name that no study has
    place = published_answers.folder() if folder is None else atomic_files.path_of("folder", folder)
    rows = study_folder.rows_of(place, {name: STUDIES[name]})[name]
    if rows:
        section = study_pages.section(name, STUDIES[name], rows, command_of(name))
        if folder is None:
            section = section._replace(answer=[published_answers.answer(name)])
        return StudyAnswer(name, section, rows)
    fix = f"make them with echo-jax study {name} --out {place}"
    raise ConfigError(None, place, f"has no rows of study {name}", fix)
