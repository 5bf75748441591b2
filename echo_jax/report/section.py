"""Define a section of results, and how it is shown: as text, Markdown, figures and tables.

Studies, sweeps and memory cards are shown as sections. All texts in a section are plain, without
markup; the function for each form escapes what has a meaning there.
"""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from echo_jax.exceptions import one_line
from echo_jax.report import text_tables
from echo_jax.report.styles import Format, drawing, image

if TYPE_CHECKING:
    import pandas

    from echo_jax.report.charts import NotebookFigure

LONG = 24  # rows; in Markdown a longer table folds out

TidyRow = Mapping[str, Any]  # a row with one number a column


@dataclass(frozen=True, repr=False, eq=False)
class Section:
    """A question, its answer, and the figure and tables that show it.

    name     the name of its files and the target of links: letters, digits, `-` and `_`
    heading  the heading, a question if the section answers one
    answer   the sentences of the answer, of which the first gives it in full
    draw     the function that makes a new figure, as drawing a figure twice may move its layout
    alt      the text that replaces the figure where it cannot be seen
    caption  the text below the figure
    tables   the tables
    tidy     functions that make tidy rows, by the suffix of the name of their CSV file
    notes    the paragraphs that explain how to read the section
    columns  the text below the tables in a terminal, which explains their columns; a page has this
             text in its introduction
    command  the command that reproduces the section
    results  the results from which the section was made
    """

    name: str
    heading: str
    answer: Sequence[str] = ()
    draw: Callable[[], "NotebookFigure"] | None = None
    alt: str = ""
    caption: str = ""
    tables: Sequence[text_tables.Table] = ()
    tidy: Mapping[str, Callable[[], Sequence[TidyRow]]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    columns: str = ""
    command: str = ""
    results: Sequence[Any] = ()
    _files: dict[Format, bytes] = field(default_factory=dict, init=False)

    @property
    def rows(self) -> Sequence[TidyRow]:
        """The tidy rows of the section, each a mapping of names to numbers or words."""
        return self.tidy[""]()

    def to_pandas(self) -> "pandas.DataFrame":
        """Return `rows` as a data frame.

        Raises:
          ConfigError: if pandas is not installed.
        """
        return text_tables.data_frame(self.rows)

    @property
    def figure(self) -> "NotebookFigure | None":
        """A new figure of matplotlib, which a notebook shows, or None if there is no figure.

        ConfigError is raised if the figure cannot be drawn.
        """
        with drawing():
            return self.draw() if self.draw else None

    def figure_file(self, kind: Format) -> bytes:
        """Return the bytes of a file of the figure in format `kind`, or b"" if there is none."""
        if kind not in self._files:
            with drawing():
                self._files[kind] = image(figure, kind) if (figure := self.figure) else b""
        return self._files[kind]

    def __repr__(self) -> str:
        """Return the heading and the answer, or without an answer the whole report."""
        if not self.answer:
            return self.report()
        return "\n".join(map(one_line, [self.heading, *self.answer]))

    def report(self) -> str:
        """Return the whole section as text: heading, answer, tables, notes and `columns`."""
        answer = "\n".join(map(one_line, self.answer))
        below = map(one_line, [*self.notes, self.columns])
        parts = [one_line(self.heading), answer, *map(text_tables.captioned, self.tables), *below]
        return "\n\n".join(filter(None, parts))

    def _repr_markdown_(self) -> str:
        parts = [self.title(), quoted(self.answer), *self._numbers()]
        return "\n\n".join(filter(None, parts)) + "\n"

    def folded(self) -> list[str]:
        """Return the parts of the section in Markdown.

        The heading, the figure and the first sentence of the answer are shown; everything else
        folds out.
        """
        more = [*map(text_tables.escaped, self.answer[1:]), *self._numbers()]
        parts = [f'<a id="{html.escape(self.name)}"></a>', self.title()]
        parts += [*self.pictured(), quoted(self.answer[:1])]
        words = "All numbers, and how to read them"
        return [*parts, text_tables.details(words, "\n\n".join(more)) if more else ""]

    def title(self, mark: str = "##") -> str:
        """Return the heading in Markdown, after `mark`, which sets its level."""
        return f"{mark} {text_tables.escaped(self.heading)}"

    def pictured(self, file: str = "") -> list[str]:
        """Return the figure and its caption in Markdown, or [] if there is no figure.

        `file` is the path of the figure, by default figures/NAME.svg.
        """
        figure = f"![{text_tables.escaped(self.alt)}]({file or f'<figures/{self.name}.svg>'})"
        return [figure, text_tables.escaped(self.caption)] if self.draw else []

    def _numbers(self) -> list[str]:
        """Return, in Markdown, the tables, how to read them, and the command that makes them."""
        parts = list[str]()
        for table in self.tables:
            if len(table.rows) > LONG:
                short = table._replace(caption=table.caption.rstrip("."))
                parts.append(short.folded(f": {len(table.rows)} rows"))
            else:
                parts += [text_tables.escaped(table.caption), text_tables.markdown_table(table)]
        if self.notes and self.tables:
            parts.append("### How to read it")
        parts += map(text_tables.escaped, self.notes)
        return [*parts, "### Try it", text_tables.fenced(self.command)] if self.command else parts

    def table_files(self, kinds: Sequence[text_tables.Kind]) -> dict[str, str]:
        """Return the texts of files of these `kinds`, by the names of the files.

        csv gives the tidy rows, as NAME.csv, and latex the tables, as NAME.tex. Further files have
        a suffix: NAME-seeds.csv, NAME-2.tex.
        """
        files = dict[str, str]()
        if "csv" in kinds:
            tidy = {f"{self.name}{more}.csv": rows() for more, rows in self.tidy.items()}
            files |= {name: text_tables.csv_text(rows) for name, rows in tidy.items() if rows}
        if "latex" in kinds:
            numbers = ["", *(f"-{i}" for i in range(2, len(self.tables) + 1))]
            tables = zip(numbers, self.tables, strict=False)
            files |= {f"{self.name}{n}.tex": text_tables.latex_text(table) for n, table in tables}
        return files


def quoted(sentences: Sequence[str]) -> str:
    """Return `sentences` as a quotation in Markdown, or "" if there are none."""
    return f"> {text_tables.escaped(' '.join(sentences))}" if sentences else ""


def computed(results: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """Return the sentence that states when and with which versions results were computed.

    `results` has a pair for each result: its date, and the versions of programs by name.
    """
    dates, programs = zip(*results, strict=True)
    versions = {", ".join(f"{name} {v}" for name, v in of.items()) for of in programs if of}
    when = " to ".join(dict.fromkeys([min(dates), max(dates)]))
    return f"Computed on {when}{' with ' if versions else ''}{'; '.join(sorted(versions))}."
