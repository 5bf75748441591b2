"""The folder of studies: rows as they are found, and the figures and the page made of them.

rows/NAME.jsonl      a line a cell, see `rows`
figures/NAME.svg     the figure of a study
index.html           all studies on one page, which needs no other file
README.md            the same in Markdown, with the figures
folder.json          what the folder is of
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from echo_jax import atomic_files, statistics
from echo_jax.exceptions import StorageError
from echo_jax.report.html_page import html_page
from echo_jax.report.markdown_page import markdown_page, markdown_summary
from echo_jax.report.page import Page, Section
from echo_jax.studies import records, study_tables
from echo_jax.studies.catalogue import Cell, Study
from echo_jax.studies.records import Row

PAGE, MARKDOWN = "index.html", "README.md"

SUMMARY = "studies"
"""Names the marks of a Markdown file between which the answers stand."""

KIND = "folder.json"
"""Says what a folder is of."""

Kind = Literal["all studies", "fast studies", "a sweep"]


def claim(out: Path, kind: Kind) -> None:
    """Make the folder, or find it to be of this kind.

    StorageError where there can be none, where it is of another kind, and where it has a file that
    is not as it was generated: before anything is run.
    """
    if os.path.abspath(out) == os.getcwd():
        raise StorageError(
            "the current folder is no place for rows and pages: name a folder of their own with "
            "--out"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "rows").mkdir(exist_ok=True)
        (out / "figures").mkdir(exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", "there is a NUL in its name")
        raise StorageError(
            f"{out} cannot be a folder of studies ({why}): use another place for --out"
        ) from error
    for path in (out / PAGE, out / MARKDOWN, *sorted((out / "figures").glob("*.svg"))):
        atomic_files.check_generated(path)
    if not os.path.lexists(out / KIND):
        atomic_files.write_json(out / KIND, {"kind": kind})
    found = atomic_files.read_json(out / KIND, fix=f"use another folder than {out}").get("kind")
    if found != kind:
        raise StorageError(f"{out} is of {found}, and this is {kind}: use another folder for it")


def introduction(found: Sequence[Row]) -> list[str]:
    """What a reader needs to know of all studies: the task, the seeds, the interval, the scores."""
    counts = sorted({row["config"]["seeds"] for row in found})
    shares = [100 * statistics.median_interval(np.zeros(n)).coverage for n in counts if n > 1]
    interval = "With one seed there is none."
    if shares:
        low, high = f"{min(shares):.0f}", f"{max(shares):.0f}"
        share = low if low == high else f"{low} to {high}"
        interval = (
            "The interval in brackets says how far that median can be trusted: if the whole study "
            f"were made again and again with new seeds, about {share} of 100 such intervals would "
            "hold the true median. It is no range of all seeds, and no promise for the next one."
        )
    return [
        "A network sees random integers and must say the one it saw n steps ago. This is the echo "
        'task of the tutorial "How to Learn to Echo Random Integers with LSTMs". Each question '
        "below was asked by the tutorial or its readers, and each answer was measured.",
        "Networks were trained several times, each time from other random weights and on other "
        "random integers: these are the seeds. The number shown is their median: half of the seeds "
        f"are above it, half below. {interval}",
        "Accuracy is the share of right answers on fresh sequences that no training saw. It stands "
        "beside chance, 1/V for V values, which a network reaches that knows nothing. Recalled "
        "bits are what the network's probabilities tell of the value, log2 V - loss/ln 2: log2 V "
        "is all of it, 0 nothing, and below 0 is worse than guessing.",
    ]


def rows_path(out: Path, name: str) -> Path:
    """The file of the rows of a study."""
    return out / "rows" / f"{name}.jsonl"


def read(out: Path, name: str) -> list[Row]:
    """The rows of a study, those of other grids of its name among them."""
    return records.read(rows_path(out, name))


def missing(out: Path, name: str, study: Study) -> list[Cell]:
    """The cells of a study that have no row yet."""
    there = {records.key(row) for row in read(out, name)}
    return [cell for cell in study.cells if study_tables.key_of(cell) not in there]


def sections(out: Path, studies: Mapping[str, Study], command: str) -> list[Section]:
    """The sections of the studies that have a row.

    `command` is what makes one, with `{name}` for the name of the study.
    """
    made = []
    for name, study in studies.items():
        if study_tables.finished(study, found := read(out, name)):
            again = command.replace("{name}", name)
            made.append(study_tables.section(name, study, found, again))
    return made


def write(out: Path, page: Page) -> None:
    """Write the page, its Markdown and its figures over those generated before."""
    for section in page.sections:
        if section.figure:
            atomic_files.write_generated(out / section.figure.path, section.figure.svg)
    atomic_files.write_generated(out / PAGE, html_page(page))
    atomic_files.write_generated(out / MARKDOWN, markdown_page(page))


def put_summary(readme: Path, out: Path, made: Sequence[Section]) -> None:
    """Put a line a study between the two marks of a Markdown file; StorageError without them."""
    path = os.path.relpath(out / MARKDOWN, readme.parent)
    atomic_files.put_between(readme, SUMMARY, markdown_summary(made, path))


def shown(out: Path, studies: Mapping[str, Study]) -> list[Row]:
    """The rows of all cells of some studies, those that there are."""
    return [
        row
        for name, study in studies.items()
        for row in study_tables.finished(study, read(out, name))
    ]


def page_of(title: str, rows: Sequence[Row], sections: Sequence[Section], command: str) -> Page:
    """The page of some sections; its date and versions are those of the rows.

    Args:
      title: the heading of the page.
      rows: all rows that the sections were made from.
      sections: in reading order.
      command: reproduces the page.
    """
    dates = sorted({row["date"] for row in rows})
    versions = sorted({", ".join(f"{k} {v}" for k, v in row["versions"].items()) for row in rows})
    when = " to ".join(dict.fromkeys([dates[0], dates[-1]]))
    made = f"Computed on {when} with {'; '.join(versions)}."
    return Page(title, introduction(rows), sections, made, command)
