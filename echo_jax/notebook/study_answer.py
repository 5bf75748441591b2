"""`echo_jax.study`: the answer of a study from its rows, published or one's own; trains nothing."""

import base64
import dataclasses
import html
from pathlib import Path

from echo_jax.commands import study as study_command
from echo_jax.commands.study import StudyCommand
from echo_jax.exceptions import ConfigError
from echo_jax.report.page import Section, Table
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
        shown, figure = self.section, ""
        if shown.figure:
            svg = base64.b64encode(shown.figure.svg.encode()).decode()
            alt, caption = map(html.escape, (shown.figure.alt, shown.figure.caption))
            figure = (
                f'<img src="data:image/svg+xml;base64,{svg}" alt="{alt}" '
                f'style="max-width: 720px; width: 100%; background: white"><p>{caption}</p>'
            )
        answer = "".join(f"<p>{html.escape(each)}</p>" for each in shown.answer)
        tables = "".join(map(_table, shown.tables))
        meant = terms.explained(" ".join(shown.answer))
        notes = "".join(f"<p>{html.escape(each)}</p>" for each in (*meant, *shown.notes))
        return (
            f"<p><b>{html.escape(shown.heading)}</b></p>{answer}{figure}"
            f"<details><summary>Numbers and notes</summary>{tables}{notes}</details>"
        )


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


def _table(table: Table) -> str:
    """A table in HTML."""
    rows = [[html.escape(str(entry)) for entry in row] for row in (table.headings, *table.rows)]
    head, *body = (
        "".join(f"<{tag}>{entry}</{tag}>" for entry in row)
        for row, tag in zip(rows, ["th", *["td"] * len(table.rows)], strict=True)
    )
    lines = "".join(f"<tr>{line}</tr>" for line in body)
    return (
        f"<table><caption>{html.escape(table.caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    )
