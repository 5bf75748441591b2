"""Write tables for a terminal, as CSV, LaTeX with booktabs, GitHub's Markdown or a data frame.

`rich.table` is not used in a terminal, because it wraps or cuts entries at the width of the
terminal, or at 80 columns if the output goes to a file. A result must be printed whole. In
Markdown, `escaped` escapes every text.
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
"""A pattern of the words that may stand in a column of numbers.

They are digits after any signs, signs alone, the words of `8 to 20` and `3 of 4`, and inf. The
last signs are minus, en dash, plus-minus and comparisons.
"""


class Table(NamedTuple):
    """A table of texts.

    caption   the text above the table
    headings  the headings of the columns
    rows      the rows, with an entry for each heading
    note      the text that explains the table in a paper, or ""
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    @property
    def texts(self) -> list[Sequence[str]]:
        """The headings, followed by the rows."""
        return [self.headings, *self.rows]

    def without(self, headings: Collection[str]) -> "Table":
        """Return the table without the columns whose heading is in `headings`."""
        kept = [i for i, heading in enumerate(self.headings) if heading not in headings]
        rows = [[row[i] for i in kept] for row in self.rows]
        return self._replace(headings=[self.headings[i] for i in kept], rows=rows)

    def folded(self, more: str = "") -> str:
        """Return the table in Markdown, which folds out below the caption followed by `more`."""
        return details(html.escape(one_line(self.caption + more)), markdown_table(self))

    @property
    def numeric(self) -> list[bool]:
        """For each column, True if its entries are numbers, which are aligned to the right.

        A column without a digit gives False.
        """
        columns = [" ".join(entries) for _, *entries in zip(*self.texts, strict=True)]
        return [
            bool(re.search(r"\d", column))
            and all(NUMERIC_WORD.fullmatch(word.strip("()")) for word in column.split())
            for column in columns
        ]


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Return `rows` as text in aligned columns.

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
    """Return the table `of` as text below its caption; numbers are aligned to the right."""
    left = [column for column, numeric in enumerate(of.numeric) if not numeric]
    return f"{one_line(of.caption)}\n{table(of.texts, left)}"


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return `rows` as CSV: a line with all names in the rows, and a line for each row.

    A value that a row lacks is empty.
    """
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines: list[list[Any]] = [names, *([row.get(name) for name in names] for row in rows)]
    csv.writer(text, lineterminator="\n").writerows(map(_csv_cell, line) for line in lines)
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    """Return `value` as it is written into CSV.

    In a text, unprintable characters are escaped; a text that a spreadsheet would take for a
    formula gets an apostrophe in front. Other values stay as they are.
    """
    if not isinstance(value, str):
        return value
    return ("'" if FORMULA.match(value) else "") + printable(value)


def latex_text(table: Table) -> str:
    """Return `table` as a LaTeX tabular, which needs the package booktabs.

    The caption is a comment above, and the note is a paragraph below.
    """
    rows = [[one_line(text).translate(LATEX) for text in row] for row in table.texts]
    head, *body = (f"{' & '.join(row)} \\\\" for row in rows)
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    begin = f"% {one_line(table.caption)}\n\\begin{{tabular}}{{{columns}}}"
    lines = [begin, "\\toprule", head, "\\midrule", *body, "\\bottomrule", "\\end{tabular}"]
    if table.note:
        lines.append(f"\\par{{\\footnotesize {one_line(table.note).translate(LATEX)}}}")
    return "\n".join(lines) + "\n"


def data_frame(rows: Sequence[Mapping[str, Any]]) -> "pandas.DataFrame":
    """Return a data frame with a row for each of `rows`.

    Raises ConfigError if pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        fix = "run pip install pandas, or use the plain dictionaries of rows"
        raise ConfigError(None, "pandas", "is not installed", fix) from error
    return pandas.DataFrame(rows)


NAMED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "~": "&#126;"})


def escaped(text: str) -> str:
    """Return `text` on one line, with every character that has a meaning in Markdown escaped.

    Characters before which Python-Markdown would show the backslash are written as HTML entities.
    """
    text = one_line(text).translate(NAMED)
    text = re.sub(r"[\\`*_\[\]]", r"\\\g<0>", text)
    return re.sub(r"^(\d*)([-+#.)])(?=[-#\s]|$)", r"\1\\\2", text)


def details(summary: str, text: str) -> str:
    """Return an HTML element in which `text`, in Markdown, folds out below `summary`, in HTML.

    Some readers of Markdown need the attribute `markdown` to read Markdown within HTML.
    """
    return f"<details markdown><summary>{summary}</summary>\n\n{text}\n\n</details>"


def markdown_table(table: Table) -> str:
    """Return the headings and rows of a table in Markdown, without its caption."""
    rules = ["---:" if numeric else "---" for numeric in table.numeric]
    head, *rows = [[escaped(text) for text in row] for row in table.texts]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *rows))


def fenced(code: str, language: str = "bash") -> str:
    """Return `code`, in `language`, as a block in Markdown.

    The fence is longer than any run of backticks in the code.
    """
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"
