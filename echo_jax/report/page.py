"""A page of results: one model for studies and memory cards, rendered to HTML, Markdown and text.

page ─► html_page, markdown_page, text_tables

All texts are plain, without markup; each renderer escapes them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

NUMERIC_WORD = re.compile(
    r"[-+(<>.~\u2212\u2013\u00b1\u2264\u2265\u2248]*(\d.*)?|to|of|never|infinite|none|s|ms|nats"
)
"""A word that may stand in a column of numbers: digits after any signs (the last are minus, en
dash, plus-minus and comparisons), signs alone, or a word of `8 to 20`, `3.2 s` and `never`."""


class Entry(NamedTuple):
    """A table entry that has more than its text."""

    text: str
    key: float | str | None = None  # the entry is sorted by it; without one it stays at the bottom
    beside: str = ""  # an interval or a remark, in small print
    link: str = ""  # the name of the section that the text links to
    missing: bool = False  # nothing is known here: grey, and ignored where columns are aligned

    def __str__(self) -> str:
        """The text with what stands beside it, for Markdown and terminals."""
        return f"{self.text} ({self.beside})" if self.beside else self.text


class Table(NamedTuple):
    """A table with as many entries a row as headings, the first of which names the row."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str | Entry]]
    descending: str = ""  # the heading by which the rows are sorted already, largest first

    @property
    def entries(self) -> list[list[Entry]]:
        """The rows, with every string made an `Entry`."""
        return [[e if isinstance(e, Entry) else Entry(e) for e in row] for row in self.rows]

    @property
    def numeric(self) -> list[bool]:
        """For each column: all its known entries are numbers. Such columns are right-aligned."""
        columns = zip(*self.entries, strict=True) if self.rows else [()] * len(self.headings)
        return [_is_numeric([e for e in column if not e.missing]) for column in columns]

    @property
    def long_names(self) -> bool:
        """A name of a row is so long that it needs a column of a minimum width."""
        return any(len(row[0].text) > 16 for row in self.entries)


def _is_numeric(column: Sequence[Entry]) -> bool:
    """The entries are sorted by numbers or consist of numeric words, and one has a digit."""
    return any(re.search(r"\d", entry.text) for entry in column) and all(
        isinstance(entry.key, float | int)
        or all(NUMERIC_WORD.fullmatch(word.strip("()")) for word in str(entry).split())
        for entry in column
    )


class Figure(NamedTuple):
    """A figure of a section, or a part of one."""

    svg: str  # an <svg> element whose ids no other figure of the page has; unused by Markdown
    path: str  # where the figure is stored, relative to the page
    alt: str  # a description for readers who cannot see the figure
    caption: str = ""  # the finding that it shows
    narrow: str = ""  # the same figure as it is drawn for a phone; without one `svg` is shown there


class Section(NamedTuple):
    """A section of a page. Its heading, first sentence and figure are shown, the rest folds out."""

    name: str  # the target of links: letters, digits, `-` and `_`, unique on the page
    heading: str  # a question where the section answers one
    answer: Sequence[str] = ()  # sentences, the first of which says it all
    figure: Figure | None = None
    tables: Sequence[Table] = ()
    meanings: Mapping[str, str] = {}  # of words, such as the headings of the tables
    notes: Sequence[str] = ()  # paragraphs that explain how to read the section
    command: str = ""  # reproduces the section
    folded: bool = False  # one of many of its kind: all but its heading and first sentence fold out
    panels: Sequence[Figure] = ()  # of a folded section, parts of the figure, shown instead of it


PROJECT = {"echo_jax": "https://github.com/echo-jax/echo_jax"}
TUTORIAL = {
    "How to Learn to Echo Random Integers with LSTMs": "https://machinelearningmastery.com/"
    "learn-echo-random-integers-long-short-term-memory-recurrent-neural-networks/"
}
"""The addresses that introductions link to, by name."""


class Page(NamedTuple):
    """A whole page, its sections in reading order."""

    title: str
    introduction: Sequence[str]  # paragraphs, of which all but the first fold out
    sections: Sequence[Section]
    made: str  # a sentence with the date and the versions of the results, as `computed` makes it
    command: str  # reproduces the page
    links: Mapping[str, str] = {}  # of words of the introduction: the address of each


def computed(results: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """The sentence `Page.made`, from the date and the versions of programs of each result."""
    dates, programs = zip(*results, strict=True)
    versions = {", ".join(f"{name} {v}" for name, v in found.items()) for found in programs}
    when = " to ".join(dict.fromkeys([min(dates), max(dates)]))
    return f"Computed on {when} with {'; '.join(sorted(versions))}."
