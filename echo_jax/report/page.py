"""A page of results: one model for studies and memory cards.

page ─► markdown_page, text_tables (LaTeX)

All texts are plain, without markup; each renderer escapes them.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from echo_jax.report.styles import Format

NUMERIC_WORD = re.compile(r"[-+(<>.~\u2212\u2013\u00b1\u2264\u2265\u2248]*(\d.*)?|to|of|inf")
"""A word that may stand in a column of numbers: digits after any signs (the last are minus, en
dash, plus-minus and comparisons), signs alone, or a word of `8 to 20` and `3 of 4`."""


class Table(NamedTuple):
    """A table with as many entries a row as headings, the first of which names the row."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def texts(self) -> list[Sequence[str]]:
        """The headings and the rows."""
        return [self.headings, *self.rows]

    @property
    def numeric(self) -> list[bool]:
        """True for each column of numbers alone, which is right-aligned."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.headings)
        return [_is_numeric(column) for column in columns]


def _is_numeric(column: Sequence[str]) -> bool:
    """True where all entries consist of numeric words, and one has a digit."""
    return any(re.search(r"\d", entry) for entry in column) and all(
        NUMERIC_WORD.fullmatch(word.strip("()")) for entry in column for word in entry.split()
    )


class Figure(NamedTuple):
    """A figure, at the path of its file from the folder of the page."""

    path: str
    alt: str  # for readers who do not see the figure
    caption: str = ""
    draw: Callable[[Format], bytes] = lambda _: b""  # the content of the file


class Section(NamedTuple):
    """A section of a page."""

    name: str  # the target of links: letters, digits, `-` and `_`, unique on the page
    heading: str  # a question where the section answers one
    answer: Sequence[str] = ()  # sentences, the first of which says it all
    figure: Figure | None = None
    tables: Sequence[Table] = ()
    tidy: Callable[[], Mapping[str, Sequence[Mapping[str, Any]]]] = dict  # CSV by end of its name
    notes: Sequence[str] = ()  # paragraphs that explain how to read the section
    command: str = ""  # reproduces the section


def computed(results: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """A sentence with the dates and the versions of programs, from those of each result."""
    dates, programs = zip(*results, strict=True)
    versions = {", ".join(f"{name} {v}" for name, v in of.items()) for of in programs}
    when = " to ".join(dict.fromkeys([min(dates), max(dates)]))
    return f"Computed on {when} with {'; '.join(sorted(versions))}."
