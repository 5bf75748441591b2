"""Tables for a paper: as tidy CSV for programs, and as LaTeX with the rules of booktabs."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from echo_jax.report.page import Entry, Section, Table

Kind = Literal["csv", "latex"]
SUFFIXES: Mapping[Kind, str] = {"csv": "csv", "latex": "tex"}

LATEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "\u2009": r"\,",
    "\u2265": r"$\geq$", "\u2264": r"$\leq$", "\u00b5": r"\textmu{}", "\u2212": r"$-$",
    "\u00b2": r"\textsuperscript{2}", "\u2013": "--",
}  # fmt: skip
"""The LaTeX of characters that mean something there or are not in its fonts."""


def files(sections: Sequence[Section], kinds: Sequence[Kind]) -> dict[str, str]:
    """The tables of sections by file name: SECTION.csv, SECTION-2.csv, and so on."""
    texts = {}
    for kind in dict.fromkeys(kinds):
        write, suffix = {"csv": csv_text, "latex": latex_text}[kind], SUFFIXES[kind]
        for section in sections:
            for number, table in enumerate(section.tables, 1):
                name = f"{section.name}-{number}" if number > 1 else section.name
                texts[f"{name}.{suffix}"] = write(table)
    return texts


def csv_text(table: Table) -> str:
    """A line of headings and one for each row, of plain numbers without units.

    Fractions are fractions, never is inf, unknown is empty. A column with intervals has two more
    beside it, the lower and the upper bounds.
    """
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.headings)
    tidy = [
        (heading, *values)
        for column_heading, column in zip(table.headings, columns, strict=True)
        for heading, values in _tidy(column_heading, column)
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(zip(*tidy, strict=True))
    return text.getvalue()


def _tidy(heading: str, column: Sequence[str | Entry]) -> Iterator[tuple[str, list[str]]]:
    """The values of a column; of one with intervals also the bounds."""
    numbers = [entry for entry in column if isinstance(entry, Entry)]
    yield heading, [_plain(x.value) if isinstance(x, Entry) else x for x in column]
    if any(entry.low is not None for entry in numbers):
        for bound in ("low", "high"):
            yield f"{heading}, {bound}", [_plain(getattr(entry, bound, None)) for entry in column]


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def latex_text(table: Table) -> str:
    """A tabular with numbers to the right and the caption as a comment; needs booktabs."""
    rows = [[_latex(text) for text in row] for row in table.texts]
    head, *body = (f"{' & '.join(row)} \\\\" for row in rows)
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    begin, caption = f"\\begin{{tabular}}{{{columns}}}", " ".join(table.caption.split())
    lines = [f"% {caption}", begin, "\\toprule", head, "\\midrule", *body, "\\bottomrule"]
    return "\n".join([*lines, "\\end{tabular}\n"])


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in " ".join(text.split("\n")))
