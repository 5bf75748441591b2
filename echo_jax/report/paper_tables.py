"""Tables for a paper, as LaTeX with booktabs; `text_tables` has tidy rows as CSV."""

from collections.abc import Sequence
from typing import Literal

from echo_jax.report.page import Table

Kind = Literal["csv", "latex"]

LATEX = str.maketrans({
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "\u2009": r"\,",
    "\u2265": r"$\geq$", "\u2264": r"$\leq$", "\u00b5": r"\textmu{}", "\u2212": r"$-$",
    "\u00b2": r"\textsuperscript{2}", "\u2013": "--",
})  # fmt: skip
"""The LaTeX of characters that mean something there or are not in its fonts."""


def latex_files(name: str, tables: Sequence[Table]) -> dict[str, str]:
    """Tables in LaTeX by file name: NAME.tex, NAME-2.tex, and so on."""
    return {
        f"{name}-{i}.tex" if i > 1 else f"{name}.tex": latex_text(table)
        for i, table in enumerate(tables, 1)
    }


def latex_text(table: Table) -> str:
    """A tabular with numbers to the right and the caption as a comment; needs booktabs."""
    rows = [[text.replace("\n", " ").translate(LATEX) for text in row] for row in table.texts]
    head, *body = (f"{' & '.join(row)} \\\\" for row in rows)
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    begin, caption = f"\\begin{{tabular}}{{{columns}}}", " ".join(table.caption.split())
    lines = [f"% {caption}", begin, "\\toprule", head, "\\midrule", *body, "\\bottomrule"]
    return "\n".join([*lines, "\\end{tabular}\n"])
