"""Tables for a paper: as CSV for programs, and as LaTeX with the rules of booktabs."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Literal

from echo_jax.report.page import Section, Table

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
    found = {}
    for kind in dict.fromkeys(kinds):
        write, suffix = {"csv": csv_text, "latex": latex_text}[kind], SUFFIXES[kind]
        for section in sections:
            for number, table in enumerate(section.tables, 1):
                name = f"{section.name}-{number}" if number > 1 else section.name
                found[f"{name}.{suffix}"] = write(table)
    return found


def csv_text(table: Table) -> str:
    """A line of headings and one for each row, as the page shows them, without the caption."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([table.headings, *table.rows])
    return text.getvalue()


def latex_text(table: Table) -> str:
    """A tabular with numbers to the right and the caption as a comment; needs booktabs."""
    rows = [[_latex(str(entry)) for entry in row] for row in (table.headings, *table.rows)]
    head, *body = (f"{' & '.join(row)} \\\\" for row in rows)
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    begin, caption = f"\\begin{{tabular}}{{{columns}}}", " ".join(table.caption.split())
    lines = [f"% {caption}", begin, "\\toprule", head, "\\midrule", *body, "\\bottomrule"]
    return "\n".join([*lines, "\\end{tabular}\n"])


def _latex(text: str) -> str:
    return "".join(LATEX.get(each, each) for each in " ".join(text.split("\n")))
