"""A page of results: one model for studies and memory cards, rendered to HTML, Markdown and text.

page ─► html_page, markdown_page, text_tables

All texts are plain, without markup; each renderer escapes them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """A table entry that has more than its text.

    Args:
      text: what is read.
      key: the value that the entry is sorted by; an entry without one stays at the bottom.
      beside: an interval or a remark, in small print.
      link: the name of the section that the text links to.
      missing: nothing is known here; shown in grey, and ignored where columns are aligned.
    """

    text: str
    key: float | str | None = None
    beside: str = ""
    link: str = ""
    missing: bool = False

    def __str__(self) -> str:
        """The text with what stands beside it, for Markdown and terminals."""
        return f"{self.text} ({self.beside})" if self.beside else self.text


class Table(NamedTuple):
    """A table whose first column names its rows.

    Args:
      caption: a sentence or two above the table.
      headings: of the columns.
      rows: as many entries a row as there are headings.
      sortable: readers can sort the HTML table by a click on a heading.
      descending: the heading by which the rows are sorted already, largest first; or empty.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str | Entry]]
    sortable: bool = False
    descending: str = ""

    @property
    def entries(self) -> list[list[Entry]]:
        """The rows, with every string made an `Entry`."""
        return [[e if isinstance(e, Entry) else Entry(e) for e in row] for row in self.rows]

    @property
    def numeric(self) -> list[bool]:
        """For each column: all its known entries are numbers. Such columns are right-aligned."""
        columns = list(zip(*self.entries, strict=True)) or [()] * len(self.headings)
        return [_is_numeric([e for e in column if not e.missing]) for column in columns]

    @property
    def long_names(self) -> bool:
        """A name of a row is so long that it needs a column of a minimum width."""
        return any(len(row[0].text) > 16 for row in self.entries)


class Figure(NamedTuple):
    """A figure of a section.

    Args:
      svg: an `<svg>` element whose ids no other figure of the page has; unused by Markdown.
      path: where the figure is stored, relative to the page.
      alt: a description for readers who cannot see the figure.
      caption: below the figure.
    """

    svg: str
    path: str
    alt: str
    caption: str = ""


class Section(NamedTuple):
    """A section of a page, from its heading down.

    Args:
      name: the target of links to the section: letters, digits, `-` and `_`, unique on the page.
      heading: a question where the section answers one.
      answer: the sentences to read first.
      figure: drawn below the answer, if there is one.
      tables: below the figure.
      meanings: words, such as the headings of the tables, and what each means, in sentences.
      notes: paragraphs that explain how to read the section.
      command: reproduces the section; or empty.
    """

    name: str
    heading: str
    answer: Sequence[str] = ()
    figure: Figure | None = None
    tables: Sequence[Table] = ()
    meanings: Mapping[str, str] = {}
    notes: Sequence[str] = ()
    command: str = ""


class Page(NamedTuple):
    """A whole page.

    Args:
      title: its heading.
      introduction: paragraphs before the table of contents.
      sections: in reading order.
      made: a sentence with the date and the versions of the programs that computed the results.
      command: reproduces the page.
    """

    title: str
    introduction: Sequence[str]
    sections: Sequence[Section]
    made: str
    command: str


def computed(results: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """The sentence `Page.made`.

    Args:
      results: the date of each result, and the versions of programs by their names.
    """
    pairs = list(results)
    dates = [date for date, _ in pairs]
    versions = {", ".join(f"{name} {v}" for name, v in found.items()) for _, found in pairs}
    when = " to ".join(dict.fromkeys([min(dates), max(dates)]))
    return f"Computed on {when} with {'; '.join(sorted(versions))}."


WORDS_IN_NUMBERS = frozenset(["to", "of", "never", "infinite", "none", "s", "ms", "nats"])
"""Words that may stand in an entry of a numeric column: `8 to 20`, `3.2 s`, `never`."""

SIGNS = "-+(<>.~\u2212\u2013\u00b1\u2264\u2265\u2248"
"""Characters that may precede digits; the last are minus, en dash, plus-minus, and comparisons."""


def _is_numeric(column: Sequence[Entry]) -> bool:
    """A numeric column has at least one number, and beside numbers only WORDS_IN_NUMBERS."""
    numbers = [isinstance(e.key, float | int) or _is_number(str(e)) for e in column]
    return all(numbers) and any(re.search(r"\d", e.text) for e in column)


def _is_number(text: str) -> bool:
    """Every word begins with a digit after its signs, is nothing but signs, or may stand beside."""
    words = [word.strip("()") for word in text.split()]
    starts = [word.lstrip(SIGNS)[:1] for word in words]
    pairs = zip(words, starts, strict=True)
    return all(word in WORDS_IN_NUMBERS or not s or s.isdecimal() for word, s in pairs)
