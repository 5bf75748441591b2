"""The page of studies: a section for each, made from its rows, and an introduction. No jax here."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from echo_jax import atomic_files, statistics
from echo_jax.exceptions import ConfigError, printable
from echo_jax.report import paper_tables, text_tables
from echo_jax.report.html_page import html_page
from echo_jax.report.markdown_page import markdown_page, markdown_summary
from echo_jax.report.page import PROJECT, TUTORIAL, Figure, Page, Section, computed
from echo_jax.report.styles import NARROW, WIDTH, drawing, image, svg
from echo_jax.studies import answers, captions, terms
from echo_jax.studies.catalogue import Chart, Study
from echo_jax.studies.result_rows import ResultRow
from echo_jax.studies.study_figures import drawn, figure
from echo_jax.studies.study_folder import MARKDOWN, PAGE, ForPaper
from echo_jax.studies.study_tables import curve_tables, main_table, pair_tables

SUMMARY = "studies"
"""The name of the marks in a Markdown file between which the answers stand."""


def section(name: str, study: Study, rows: Sequence[ResultRow], command: str) -> Section:
    """The section of a study, from the rows of those of its grid points that were run.

    `command` reproduces it. There is at least one row, and they have the order of the grid points.
    If its figure cannot be drawn, a sentence says so, and the section has none.
    """
    notes = list(study.notes)
    missing = len(study.points) - len(rows)
    if missing:
        notes.insert(0, f"Not finished: {missing} of {len(study.points)} grid points are missing.")
    if failed := [f"{row.point} (seed {seed})" for row in rows for seed in row.failed.seed]:
        notes.append(
            f"The loss became non-finite in: {', '.join(failed)}. Each such seed counts as "
            "accuracy 0 and 0 bits."
        )
    pairs = pair_tables(study, rows)
    return Section(
        name=name,
        heading=study.question,
        answer=answers.general(rows) if missing else answers.of(name, rows),
        tables=[main_table(study, rows), *pairs, *curve_tables(study.chart, rows)],
        figure=_figure(name, study.chart, rows),
        command=command,
        notes=notes,
    )


def in_terminal(section: Section) -> str:
    """The section as text, and below it the words that it does not explain itself."""
    text = text_tables.section_text(section)
    return "\n".join([text, *terms.explained(text)])


def _figure(name: str, chart: Chart, rows: Sequence[ResultRow]) -> Figure | None:
    if not drawn(chart, rows):
        return None
    try:
        with drawing():
            wide = svg(figure(chart, rows, WIDTH), name)
            narrow = svg(figure(chart, rows, NARROW), f"{name}-narrow")
    except ConfigError as error:
        print(printable(f"{name}: {error}; then the same command makes it"), file=sys.stderr)
        return None
    alt, said = captions.alternative(chart, rows), captions.caption(name, chart, rows)
    return Figure(wide, f"figures/{name}.svg", alt, said, narrow)


def introduction(rows: Sequence[ResultRow]) -> list[str]:
    """Paragraphs before all studies: the task, the seeds, the intervals and the scores."""
    counts = {row.config.seeds for row in rows} - {1}
    shares = [100 * statistics.median_interval(np.zeros(n)).coverage for n in counts]
    interval = "With one seed there is no interval."
    if shares:
        share = " to ".join(dict.fromkeys(f"{each:.0f}" for each in (min(shares), max(shares))))
        interval = (
            "The interval in brackets says how far that median can be trusted: if the whole study "
            f"were repeated many times with new seeds, about {share} of 100 such intervals would "
            "contain the true median. It is not the range of all seeds, and no promise for the "
            "next one."
        )
    return [
        "A network sees random integers and must name the one it saw n steps ago: n is the lag. "
        f"This is the echo task of the tutorial {next(iter(TUTORIAL))}. Each question below was "
        "asked by the tutorial or its readers, and each answer was measured with echo_jax. In part "
        "2 of the tutorial the network must name the current value (lag 0), in part 3 the one "
        "before it (lag 1), fed one value at a time, and in part 4 the same in windows of 5.",
        "Networks were trained several times, each time from other random weights and on other "
        "random integers: these are the seeds. The number shown is their median: half of the seeds "
        f"are above it, half below. {interval}",
        "Accuracy is the share of right answers on fresh sequences that were not used in training. "
        "It stands beside chance, 1/V for V values, the accuracy of a guess. Recalled bits measure "
        "how much the network's probabilities tell about the value, log2 V - loss/ln 2: log2 V is "
        "all of it, 0 nothing, and below 0 is worse than guessing.",
    ]


def write(
    out: Path, title: str, rows: Sequence[ResultRow], sections: Sequence[Section], command: str
) -> None:
    """Write the page, its Markdown and its figures over those generated before.

    `rows` are all that the sections were made from; `command` reproduces the page.
    """
    made = computed((row.date.isoformat(), row.versions) for row in rows)
    page = Page(title, introduction(rows), sections, made, command, TUTORIAL | PROJECT)
    for section in sections:
        if section.figure:
            atomic_files.write_generated(out / section.figure.path, section.figure.svg.encode())
    atomic_files.write_generated(out / PAGE, html_page(page).encode())
    atomic_files.write_generated(out / MARKDOWN, markdown_page(page).encode())


def write_for_paper(
    out: Path,
    studies: Mapping[str, tuple[Study, Sequence[ResultRow]]],
    sections: Sequence[Section],
    asked: ForPaper,
) -> list[Path]:
    """Write figures/NAME.KIND beside the figures of the page, and tables/NAME.csv or .tex.

    StorageError for a file in their place that is not as it was written.

    Returns:
      The files that were written.
    """
    written, kind = [], asked.format
    for name, (study, rows) in studies.items():
        if kind != "svg" and drawn(study.chart, rows):
            with drawing():
                content = image(figure(study.chart, rows, WIDTH), kind)
            written.append(out / "figures" / f"{name}.{kind}")
            atomic_files.write_generated(written[-1], content)
    if asked.tables:
        tables = paper_tables.files(sections, asked.tables)
        written += atomic_files.write_generated_folder(out / "tables", tables)
    return written


def put_summary(readme: Path, out: Path, sections: Sequence[Section]) -> None:
    """Put a line for each study between the marks of a Markdown file; StorageError without them."""
    path = os.path.relpath(out / MARKDOWN, readme.parent)
    atomic_files.put_between(readme, SUMMARY, markdown_summary(sections, path))
