"""GitHub's Markdown, of which every text is `escaped`; there is no template."""

import re

from echo_jax.exceptions import one_line
from echo_jax.report.text_tables import Table

NAMED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "~": "&#126;"})


def escaped(text: str) -> str:
    """Text on one line with every character of Markdown escaped, also at the start of a list.

    Python-Markdown shows the backslash before some of them, which are written as HTML names them.
    """
    text = one_line(text).translate(NAMED)
    text = re.sub(r"[\\`*_\[\]]", r"\\\g<0>", text)
    return re.sub(r"^(\d*)([-+#.)])(?=[-#\s]|$)", r"\1\\\2", text)


def details(summary: str, text: str) -> str:
    """Markdown that folds out, also where Markdown in HTML has to be asked for."""
    return f"<details markdown><summary>{summary}</summary>\n\n{text}\n\n</details>"


def markdown_table(table: Table) -> str:
    """The headings and rows of a table, without its caption."""
    rules = ["---:" if numeric else "---" for numeric in table.numeric]
    head, *rows = [[escaped(text) for text in row] for row in table.texts]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *rows))


def fenced(code: str, language: str = "bash") -> str:
    """A code block, whose fence is longer than any run of backticks in it."""
    longest = max(map(len, re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"
