"""Pages, sections and tables in GitHub's Markdown.

There is no template: every text must be escaped by `escaped`.
"""

import html
import re

from echo_jax.report.page import Page, Section, Table

LONG = 24  # rows; a longer table folds out
NAMED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "~": "&#126;"})


def markdown_page(page: Page) -> str:
    """The page; its figures are files, at the path that each of them has."""
    contents = [f"{i}. [{escaped(s.heading)}](#{s.name})" for i, s in enumerate(page.sections, 1)]
    parts = [f"# {escaped(page.title)}", *map(escaped, page.introduction), "\n".join(contents)]
    for section in page.sections:
        parts += [f'<a id="{html.escape(section.name)}"></a>', *_parts(section)]
    made = escaped(f"{page.made} This command makes it again:")
    return "\n\n".join([*parts, "---", made, _fenced(page.command)]) + "\n"


def markdown_section(section: Section) -> str:
    """A section alone."""
    return "\n\n".join(_parts(section)) + "\n"


def _parts(section: Section) -> list[str]:
    """The paragraphs of a section."""
    parts = [f"## {escaped(section.heading)}"]
    if section.answer:
        parts.append(f"> {escaped(' '.join(section.answer))}")
    if section.figure:
        parts.append(f"![{escaped(section.figure.alt)}](<{section.figure.path}>)")
        parts += filter(None, [escaped(section.figure.caption)])
    for table in section.tables:
        parts += _folded(table) if len(table.rows) > LONG else _captioned(table)
    if section.meanings:
        meanings = section.meanings.items()
        parts.append("\n".join(f"- **{escaped(w)}**: {escaped(m)}" for w, m in meanings))
    if section.notes:
        parts += ["### How to read it"] * bool(section.tables)
        parts += map(escaped, section.notes)
    if section.command:
        parts += ["### Try it", _fenced(section.command)]
    return parts


def _captioned(table: Table) -> list[str]:
    return [escaped(table.caption), markdown_table(table)]


def _folded(table: Table) -> list[str]:
    """A table that folds out, also where Markdown in HTML has to be asked for."""
    words = html.escape(f"{table.caption.rstrip('.')}: {len(table.rows)} rows")
    begin = f"<details markdown><summary>{words}</summary>"
    return [begin, markdown_table(table), "</details>"]


def markdown_table(table: Table) -> str:
    """The headings and rows of a table, without its caption."""
    rules = ["---:" if numeric else "---" for numeric in table.numeric]
    head, *rows = [[escaped(text) for text in row] for row in table.texts]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rules, *rows))


def _fenced(command: str) -> str:
    """A command as a code block, whose fence is longer than any run of backticks in it."""
    longest = max(map(len, re.findall("`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}bash\n{command}\n{fence}"


def escaped(text: str) -> str:
    """Text on one line with every character of Markdown escaped, also at the start of a list.

    Python-Markdown shows the backslash before some of them, which are written as HTML names them.
    """
    text = " ".join(text.split()).translate(NAMED)
    text = re.sub(r"[\\`*_\[\]]", r"\\\g<0>", text)
    return re.sub(r"^(\d*)([-+#.)])(?=[-#\s]|$)", r"\1\\\2", text)
