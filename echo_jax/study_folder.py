"""The folder of studies: rows as they are found, and the figures and the page made of them.

rows/NAME.jsonl      a line a cell, see `rows`
figures/NAME.svg     the figure of a study
index.html           all studies on one page, which needs no other file
README.md            the same in Markdown, with the figures
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from echo_jax import findings, page, rows, storage
from echo_jax.page import Head, Section
from echo_jax.rows import Row
from echo_jax.storage import StorageError
from echo_jax.studies import Cell, Study

PAGE, MARKDOWN = "index.html", "README.md"

BEGIN, END = "<!-- studies -->", "<!-- end of studies -->"
"""The lines of a Markdown file between which the answers stand."""

INTRODUCTION = (
    "A network sees random integers and must say the one it saw n steps ago. This is the echo task "
    'of the tutorial "How to Learn to Echo Random Integers with LSTMs". Each question below is '
    "one that the tutorial or its readers asked, and each answer was measured.",
    "Every network was trained several times, each time from other random weights and on other "
    "random integers: these are the seeds. The number shown is the median, the seed in the middle. "
    "The interval behind it says how far that median can be trusted: if the whole study were made "
    "again and again with new seeds, about 93 of 100 such intervals would hold the true median. "
    "It is no range of all seeds, and no promise for the next one.",
    "Accuracy is the share of right answers on fresh sequences that no training saw, and stands "
    "beside chance, 1/V for V values: a network that knows nothing reaches that. Recalled bits "
    "are what the network's probabilities tell about the value, log2 V - loss/ln 2: 0 is nothing, "
    "log2 V all of it.",
)


def claim(out: Path) -> None:
    """Make the folder; StorageError where there can be none."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "rows").mkdir(exist_ok=True)
        (out / "figures").mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{out} cannot be a folder of studies ({error.strerror}): use another place for --out"
        ) from error


def rows_path(out: Path, name: str) -> Path:
    """The file of the rows of a study."""
    return out / "rows" / f"{name}.jsonl"


def read(out: Path, name: str) -> list[Row]:
    """The rows of a study, those of other grids of its name among them."""
    return rows.read(rows_path(out, name))


def missing(out: Path, name: str, study: Study) -> list[Cell]:
    """The cells of a study that have no row yet."""
    there = {rows.key(row) for row in read(out, name)}
    return [cell for cell in study.cells if findings.key_of(cell) not in there]


def sections(out: Path, studies: Mapping[str, Study], command: str) -> list[Section]:
    """The sections of the studies that have a row.

    `command` is what makes one, with `{name}` for the name of the study.
    """
    made = []
    for name, study in studies.items():
        if findings.finished(study, found := read(out, name)):
            made.append(findings.section(name, study, found, command.format(name=name)))
    return made


def write(out: Path, head: Head, made: Sequence[Section]) -> None:
    """Write the page, its Markdown and the figures, in place of those that were made before."""
    drawn = {}
    for section in made:
        if section.figure:
            drawn[section.name] = f"figures/{section.name}.svg"
            storage.write_generated(out / drawn[section.name], section.figure)
    storage.write_generated(out / PAGE, page.html_page(head, made))
    storage.write_generated(out / MARKDOWN, page.markdown_page(head, made, drawn))


def put_summary(readme: Path, out: Path, made: Sequence[Section]) -> None:
    """Put a line a study between the two marks of a Markdown file; StorageError without them."""
    text = storage.read_bytes(readme, storage.JSON_LIMIT, fix="name a file to write to").decode()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise StorageError(
            f"{readme} has no lines {BEGIN} and {END}: put them where answers belong"
        )
    path = os.path.relpath(out / MARKDOWN, readme.parent)
    summary = page.markdown_summary(made, path)
    storage.write_bytes(readme, f"{before}{begin}\n{summary}\n{end}{after}".encode())


def head(title: str, found: Sequence[Row], command: str) -> Head:
    """What is said above all sections: versions and dates are those of the rows."""
    dates = sorted({row["date"] for row in found})
    versions = sorted({", ".join(f"{k} {v}" for k, v in row["versions"].items()) for row in found})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return Head(title, list(INTRODUCTION), "; ".join(versions), when, command)
