"""Pages, sections and tables in GitHub's Markdown.

There is no template: every text must be escaped by `escaped`.
"""

import html
import re
from collections.abc import Sequence

from echo_jax.exceptions import one_line
from echo_jax.report.page import Section, Table

LONG = 24  # rows; a longer table folds out
NAMED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "~": "&#126;"})


def markdown_page(
    title: str, introduction: Sequence[str], sections: Sequence[Section], made: str, command: str
) -> str:
    """A page: each section begins with its figure and one sentence, and all else folds out.

    title         of the page
    introduction  paragraphs
    sections      in reading order; the figures are files, at the path that each of them has
    made          a sentence with the date and the versions of the results, as `computed` makes it
    command       reproduces the page
    """
    numbered = enumerate(sections, 1)
    links = "\n".join(f"{i}. [{escaped(s.heading)}](#{s.name})" for i, s in numbered)
    parts = [f"# {escaped(title)}"]
    parts += [details(f"{len(sections)} questions", links)] * (len(sections) > 1)
    for section in sections:
        more = "\n\n".join([*map(escaped, section.answer[1:]), *_numbers(section)])
        short = section._replace(answer=section.answer[:1])
        parts += [f'<a id="{html.escape(section.name)}"></a>', *_found(short)]
        parts += [details("All of it in numbers, and how to read them", more)] * bool(more)
    again = escaped(f"{made} This command makes the page again:")
    read = [*map(escaped, introduction), again, fenced(command)]
    parts += ["---", details("What is measured, and how the page was made", "\n\n".join(read))]
    return "\n\n".join(parts) + "\n"


def markdown_section(section: Section) -> str:
    """A section alone, its numbers not folded."""
    return "\n\n".join([*_found(section), *_numbers(section)]) + "\n"


def _found(section: Section) -> list[str]:
    """The question of a section, its figure and its answer."""
    parts = [f"## {escaped(section.heading)}"]
    if section.figure:
        parts.append(f"![{escaped(section.figure.alt)}](<{section.figure.path}>)")
        parts += filter(None, [escaped(section.figure.caption)])
    return [*parts, f"> {escaped(' '.join(section.answer))}"] if section.answer else parts


def _numbers(section: Section) -> list[str]:
    """The tables of a section, how to read them, and the command that makes them."""
    parts = []
    for table in section.tables:
        text = markdown_table(table)
        if len(table.rows) > LONG:
            words = f"{' '.join(table.caption.split()).rstrip('.')}: {len(table.rows)} rows"
            parts.append(details(html.escape(words), text))
        else:
            parts += [escaped(table.caption), text]
    parts += ["### How to read it"] * bool(section.notes and section.tables)
    parts += map(escaped, section.notes)
    return [*parts, "### Try it", fenced(section.command)] if section.command else parts


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


def escaped(text: str) -> str:
    """Text on one line with every character of Markdown escaped, also at the start of a list.

    Python-Markdown shows the backslash before some of them, which are written as HTML names them.
    """
    text = one_line(text).translate(NAMED)
    text = re.sub(r"[\\`*_\[\]]", r"\\\g<0>", text)
    return re.sub(r"^(\d*)([-+#.)])(?=[-#\s]|$)", r"\1\\\2", text)
