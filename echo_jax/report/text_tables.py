"""Write tables for a terminal, as CSV, LaTeX with booktabs, GitHub's Markdown or a data frame.

In a terminal `rich.table` is not used: it wraps or cuts entries at the width of the terminal, 80
columns where output goes to a file, and a result must come through whole. In Markdown every text
is `escaped`; there is no template.
"""

import csv
import html
import io
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from echo_jax.exceptions import ConfigError, one_line, printable

if TYPE_CHECKING:
    import pandas

Kind = Literal["csv", "latex"]  # the files of tables for a paper

LATEX = str.maketrans({
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "\u2265": r"$\geq$", "\u2264": r"$\leq$", "\u00b5": r"\textmu{}", "\u2212": r"$-$",
    "\u00b2": r"\textsuperscript{2}", "\u2013": "--",
})  # fmt: skip
"""The LaTeX for characters that have a meaning in LaTeX or are missing in its fonts."""

FORMULA = re.compile(r"(?![-+]?[\d.]+$)[-=+@]")
"""The start of a text, other than a number, that a spreadsheet takes for a formula."""

NUMERIC_WORD = re.compile(r"[-+(<>.~\u2212\u2013\u00b1\u2264\u2265\u2248]*(\d.*)?|to|of|inf")
"""A word that may stand in a column of numbers: digits after any signs (the last are minus, en
dash, plus-minus and comparisons), signs alone, or a word of `8 to 20` and `3 of 4`."""


class Table(NamedTuple):
    """A table whose rows have one entry per heading; the note explains the table in a paper."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    @property
    def texts(self) -> list[Sequence[str]]:
        """The headings and the rows."""
        return [self.headings, *self.rows]

    def without(self, headings: Collection[str]) -> "Table":
        """Return the table without the columns of these `headings`."""
        kept = [i for i, heading in enumerate(self.headings) if heading not in headings]
        rows = [[row[i] for i in kept] for row in self.rows]
        return self._replace(headings=[self.headings[i] for i in kept], rows=rows)

    def folded(self, more: str = "") -> str:
        """Return the table in Markdown, which folds out below its caption and the words `more`."""
        return details(html.escape(one_line(self.caption + more)), markdown_table(self))

    @property
    def numeric(self) -> list[bool]:
        """For each column, True if it has only numbers and is therefore aligned to the right."""
        columns = [" ".join(entries) for _, *entries in zip(*self.texts, strict=True)]
        return [
            bool(re.search(r"\d", column))
            and all(NUMERIC_WORD.fullmatch(word.strip("()")) for word in column.split())
            for column in columns
        ]


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Return rows as text in aligned columns.

    Columns whose index is in `left` are aligned to the left, all others to the right.
    """
    rows = [[printable(entry) for entry in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "   ".join(
            entry.ljust(width) if column in left else entry.rjust(width)
            for column, (entry, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def captioned(of: Table) -> str:
    """Return the table `of` as text below its caption, with columns of numbers to the right."""
    left = [column for column, numeric in enumerate(of.numeric) if not numeric]
    return f"{one_line(of.caption)}\n{table(of.texts, left)}"


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV: a line of all names, and a line per row; a missing value is empty."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines: list[list[Any]] = [names, *([row.get(name) for name in names] for row in rows)]
    csv.writer(text, lineterminator="\n").writerows(map(_csv_cell, line) for line in lines)
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    """Return `value` for CSV: a text is made `printable`, with an apostrophe before a formula."""
    if not isinstance(value, str):
        return value
    return ("'" if FORMULA.match(value) else "") + printable(value)


def latex_text(table: Table) -> str:
    """Return a LaTeX tabular with its note below and its caption as a comment; needs booktabs."""
    rows = [[one_line(text).translate(LATEX) for text in row] for row in table.texts]
    head, *body = (f"{' & '.join(row)} \\\\" for row in rows)
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    begin = f"% {one_line(table.caption)}\n\\begin{{tabular}}{{{columns}}}"
    lines = [begin, "\\toprule", head, "\\midrule", *body, "\\bottomrule", "\\end{tabular}"]
    if table.note:
        lines.append(f"\\par{{\\footnotesize {one_line(table.note).translate(LATEX)}}}")
    return "\n".join(lines) + "\n"


def data_frame(rows: Sequence[Mapping[str, Any]]) -> "pandas.DataFrame":
    """Return a data frame of `rows`; raise ConfigError if pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        fix = "run pip install pandas, or use the plain dictionaries of rows"
        raise ConfigError(None, "pandas", "is not installed", fix) from error
    return pandas.DataFrame(rows)


NAMED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "~": "&#126;"})


def escaped(text: str) -> str:
    """Return `text` on one line, with every character that has a meaning in Markdown escaped.

    Python-Markdown shows the backslash before some characters, which are therefore written as HTML
    entities.
    """
    text = one_line(text).translate(NAMED)
    text = re.sub(r"[\\`*_\[\]]", r"\\\g<0>", text)
    return re.sub(r"^(\d*)([-+#.)])(?=[-#\s]|$)", r"\1\\\2", text)


def details(summary: str, text: str) -> str:
    """Return `text`, in Markdown, so that it folds out below `summary`, in HTML.

    The attribute `markdown` asks for Markdown within HTML, which some readers need.
    """
    return f"<details markdown><summary>{summary}</summary>\n\n{text}\n\n</details>"


def markdown_table(table: Table) -> str:
    """Return the headings and rows of a table in Markdown, without its caption."""
    rules = ["---:" if numeric else "---" for numeric in table.numeric]
    head, *rows = [[escaped(text) for text in row] for row in table.texts]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *rows))


def fenced(code: str, language: str = "bash") -> str:
    """Return `code` as a block in Markdown, with a fence longer than its runs of backticks."""
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"
