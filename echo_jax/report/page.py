"""Studies as one page: HTML that needs no other file and no network, and the same as Markdown."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Table(NamedTuple):
    """A table whose first column names its rows; a column of numbers stands to the right."""

    caption: str
    headings: list[str]
    rows: list[list[str]]


class Section(NamedTuple):
    """A study: its question and what answers it. Every text is plain, with no markup.

    Args:
      name: of the study, and what a link to it ends with: letters, digits, `-` and `_`.
      question: its heading.
      answer: the sentences to be read first.
      tables: what was measured.
      figure: an `<svg>` element whose ids no other figure has; empty where there is none.
      alt: what the figure shows, for those who do not see it.
      command: what makes this study again.
      notes: seeds, intervals and explanations, a paragraph each.
      caption: of the figure; where there is none it is the question.
    """

    name: str
    question: str
    answer: list[str]
    tables: list[Table]
    figure: str
    alt: str
    command: str
    notes: list[str]
    caption: str = ""


class Head(NamedTuple):
    """What is said once for all studies.

    Args:
      title: of the page.
      introduction: paragraphs.
      versions: of the programs that computed it.
      date: on which it was computed.
      command: what makes the page again.
    """

    title: str
    introduction: list[str]
    versions: str
    date: str
    command: str


BESIDE_NUMBERS = {
    "to",
    "of",
    "never",
    "infinite",
    "none",
    "s",
    "ms",
    "nats",
    "-",
    "\u2013",
    "\u00b1",
}
"""Words, dashes and a plus-minus sign that leave a cell a number."""

SIGNS = "-+(<>.\u2212\u00b1\u2264\u2265\u2248"
"""What a number may begin with: the last are minus, plus-minus, at most, at least and about."""

STYLE = """\
:root {
  --ink: #1a1a1a; --quiet: #595959; --link: #00588a; --rule: #d9d9d9; --wash: #f5f7f9;
  --serif: Charter, "Bitstream Charter", "Iowan Old Style", Georgia, "Noto Serif",
    "Liberation Serif", serif;
  --sans: "Helvetica Neue", Arial, "Liberation Sans", "DejaVu Sans", sans-serif;
  --mono: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
* { box-sizing: border-box; }
html { color-scheme: light; scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: #ffffff; color: var(--ink); overflow-wrap: break-word;
  font: 1.125rem/1.6 var(--sans);
}
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
figure, nav { max-width: 54rem; }
header { padding-top: 3.5rem; }
h1, h2, .answer { font-family: var(--serif); text-wrap: balance; }
h1 { margin: 0 0 1.5rem; font-size: clamp(2rem, 6vw, 3rem); line-height: 1.15; }
h2 { margin: 0; font-size: clamp(1.6rem, 4.5vw, 2.2rem); line-height: 1.25; }
h3 { margin: 2.25rem 0 0.5rem; color: var(--quiet); font-size: 1.0625rem; }
p { max-width: 40rem; margin: 0 0 0.9rem; }
a { color: var(--link); text-underline-offset: 0.15em; }
a:hover { text-decoration-thickness: 0.14em; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 3px; border-radius: 2px; }
.skip { position: absolute; left: -100vw; padding: 0.6rem 1rem; background: #ffffff; }
.skip:focus { left: 1rem; top: 0.75rem; }
nav { margin-top: 2rem; padding: 1.25rem 1.5rem; background: var(--wash); border-radius: 0.5rem; }
nav ol { margin: 0; padding-left: 1.6rem; }
nav li { padding: 0.25rem 0 0.25rem 0.25rem; }
nav li::marker { color: var(--quiet); font-variant-numeric: tabular-nums; }
section { margin-top: 3.5rem; padding-top: 3rem; border-top: 1px solid var(--rule); }
.answer { margin-top: 1.5rem; padding-left: 1.25rem; border-left: 0.3rem solid #0072b2; }
.answer h3 { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
.answer p { max-width: 44rem; margin: 0 0 0.6rem; font-size: clamp(1.25rem, 3.4vw, 1.6rem);
  line-height: 1.45; text-wrap: pretty; }
.answer p:last-child { margin-bottom: 0; }
figure { margin: 2.25rem 0 0; }
figcaption, caption { color: var(--quiet); font-size: 1.0625rem; text-align: left; }
figcaption { margin-top: 0.5rem; }
.scroll { overflow-x: auto; }
figure svg { display: block; width: 100%; min-width: 40rem; height: auto; }
.table { margin-top: 2.25rem; }
table { border-collapse: separate; border-spacing: 0; line-height: 1.4;
  font-variant-numeric: tabular-nums; }
caption { max-width: min(40rem, 100vw - 2.5rem); padding-bottom: 0.5rem; }
th, td { padding: 0.45rem 1.5rem 0.45rem 0; text-align: left; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0.25rem; }
thead th { border-bottom: 2px solid var(--ink); vertical-align: bottom; font-weight: 600; }
tbody th { position: sticky; left: 0; background: #ffffff; font-weight: 400; }
.long tbody th { min-width: min(20ch, 40vw); }
tbody tr > * { border-bottom: 1px solid var(--rule); }
.number { text-align: right; }
td.number { white-space: nowrap; }
pre { width: max-content; min-width: 100%; margin: 0; padding: 0.75rem 1rem;
  background: var(--wash); border-radius: 0.375rem; font: 1.0625rem/1.5 var(--mono); }
.back { margin-top: 1.5rem; font-size: 1.0625rem; }
footer { margin-top: 4rem; padding-top: 2rem; padding-bottom: 4rem; }
footer p { color: var(--quiet); font-size: 1.0625rem; }
@media (max-width: 40rem) {
  header { padding-top: 2rem; }
  section { margin-top: 2.5rem; padding-top: 2rem; }
  .answer { padding-left: 1rem; }
  th, td { padding-right: 1rem; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print {
  @page { margin: 18mm; }
  body { font-size: 10.5pt; }
  .answer p { font-size: 13pt; }
  h1 { font-size: 24pt; }
  h2 { font-size: 17pt; }
  h3, figcaption, caption, pre, footer p { font-size: 10pt; }
  header, main, footer { max-width: none; padding-left: 0; padding-right: 0; }
  .skip, .back { display: none; }
  .scroll { overflow: visible; }
  figure svg { min-width: 0; }
  pre { width: auto; white-space: pre-wrap; }
  h2, h3 { break-after: avoid; }
  .answer, figure, tr, pre { break-inside: avoid; }
}
"""
"""Of the HTML page; colours of words have a contrast of 4.5 to 1 or more on what is behind them."""


def html_page(head: Head, sections: Sequence[Section]) -> str:
    """The whole page as HTML 5, with its style and its figures in it.

    Args:
      head: what is said once.
      sections: in the order in which they are read; no two have the same name.
    """
    links = {section.name: section.question for section in sections}
    body = f"""\
<a class="skip" href="#all-answers">To the answers</a>
<header>
<h1>{escaped(head.title)}</h1>
{paragraphs(head.introduction)}
<nav id="all-questions" aria-label="Questions">
{link_list(links)}
</nav>
</header>
<main id="all-answers" tabindex="-1">
{_lines(_section(number, section) for number, section in enumerate(sections, 1))}
</main>
<footer>
<p>Computed on {escaped(head.date)} with {escaped(head.versions)}. This makes the page again:</p>
{command_block(head.command, "Command that makes the page")}
</footer>"""
    return document(head.title, body)


def document(title: str, body: str, style: str = "", script: str = "") -> str:
    """A file of HTML 5 that needs no other.

    Args:
      title: of its window, plain text.
      body: HTML.
      style: what its style sheet has beside STYLE.
      script: JavaScript, run when all of the body is there; empty where there is none.
    """
    script = f"<script>\n{script}</script>\n" if script else ""
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escaped(title)}</title>
<style>
{STYLE}{style}</style>
</head>
<body>
{body}
{script}</body>
</html>
"""


def link_list(links: Mapping[str, str]) -> str:
    """An ordered list of links: what each says, by the name of its target."""
    items = [
        f'<li><a href="#{escaped(name)}">{escaped(says)}</a></li>' for name, says in links.items()
    ]
    return f"<ol>\n{_lines(items)}\n</ol>"


def _section(number: int, section: Section) -> str:
    name = escaped(section.name)
    notes = f"<h3>How to read it</h3>\n{paragraphs(section.notes)}\n" if section.notes else ""
    return f"""\
<section aria-labelledby="{name}">
<h2 id="{name}">{escaped(section.question)}</h2>
<div class="answer">
<h3>Answer</h3>
{paragraphs(section.answer)}
</div>
{_figure(number, section)}{"".join(map(_table, section.tables))}{notes}\
<h3>Try it</h3>
{command_block(section.command, f"Command of study {section.name}")}
<p class="back"><a href="#all-questions">All questions</a></p>
</section>"""


def _figure(number: int, section: Section) -> str:
    """The figure of a section, empty where there is none."""
    if not section.figure:
        return ""
    return figure_block(number, section.figure, section.alt, section.caption or section.question)


def figure_block(number: int, drawing: str, alt: str, caption: str) -> str:
    """A figure as one picture with one name, whose parts are not read out one by one.

    Args:
      number: of the figure on its page.
      drawing: an `<svg>` element whose ids no other figure has.
      alt: what it shows, for those who do not see it.
      caption: below it.
    """
    picture = f'<svg role="img" aria-label="{escaped(alt)}"'
    return f"""\
<figure>
{scrolled(drawing.replace("<svg", picture, 1), f"Figure {number}")}
<figcaption>Figure {number}. {escaped(caption)}</figcaption>
</figure>
"""


def _table(table: Table) -> str:
    numbers = number_columns(table)
    headings = [
        f'<th scope="col"{_aligned(number)}>{escaped(heading)}</th>'
        for heading, number in zip(table.headings, numbers, strict=True)
    ]
    long = any(len(row[0]) > 16 for row in table.rows)
    content = f"""\
<table{' class="long"' * long}>
<caption>{escaped(table.caption)}</caption>
<thead>
<tr>{"".join(headings)}</tr>
</thead>
<tbody>
{_lines(_row(row, numbers) for row in table.rows)}
</tbody>
</table>"""
    return f'<div class="table">\n{scrolled(content, f"Table: {table.caption}")}\n</div>\n'


def _row(row: Sequence[str], numbers: Sequence[bool]) -> str:
    first, *rest = zip(row, numbers, strict=True)
    cells = [f'<th scope="row"{_aligned(first[1])}>{escaped(first[0])}</th>']
    cells += [f"<td{_aligned(number)}>{escaped(cell)}</td>" for cell, number in rest]
    return f"<tr>{''.join(cells)}</tr>"


def _aligned(number: bool) -> str:
    return ' class="number"' if number else ""


def command_block(command: str, label: str) -> str:
    """A command as a block of its own, whose name is the label."""
    return scrolled(f"<pre><code>{escaped(command)}</code></pre>", label)


def scrolled(content: str, label: str) -> str:
    """Content that may be wider than a phone: it is moved sideways, with a key too, by itself."""
    region = f'<div class="scroll" role="region" tabindex="0" aria-label="{escaped(label)}">'
    return f"{region}\n{content}\n</div>"


def paragraphs(texts: Iterable[str]) -> str:
    """A paragraph each, of plain text."""
    return _lines(f"<p>{escaped(text)}</p>" for text in texts)


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(parts)


def escaped(text: str) -> str:
    """Text that stands for itself in HTML, also as the value of an attribute."""
    return html.escape(text)


def markdown_page(head: Head, sections: Sequence[Section], figures: Mapping[str, str]) -> str:
    """The same page in GitHub's Markdown.

    Args:
      head: what is said once.
      sections: in the order in which they are read.
      figures: path of the figure, from the folder of the page, by the name of the section.
    """
    contents = [f"{i}. [{plain(s.question)}](#{s.name})" for i, s in enumerate(sections, 1)]
    made = f"Computed on {plain(head.date)} with {plain(head.versions)}. This makes it again:"
    parts = [f"# {plain(head.title)}", *map(plain, head.introduction), "\n".join(contents)]
    for section in sections:
        parts += _markdown_section(section, figures.get(section.name))
    return "\n\n".join([*parts, "---", made, fenced(head.command)]) + "\n"


def _markdown_section(section: Section, figure: str | None) -> list[str]:
    """The paragraphs of a study; its name is the target of links to it."""
    parts = [f'<a id="{escaped(section.name)}"></a>', f"## {plain(section.question)}"]
    parts += [f"> {plain(' '.join(section.answer))}"]
    if figure:
        parts.append(f"![{plain(section.alt)}](<{figure}>)")
    for table in section.tables:
        parts += [plain(table.caption), markdown_table(table)]
    if section.notes:
        parts += ["### How to read it", *map(plain, section.notes)]
    return [*parts, "### Try it", fenced(section.command)]


def markdown_table(table: Table) -> str:
    """The headings and the rows of a table in GitHub's Markdown, without its caption."""
    rules = ["---:" if number else "---" for number in number_columns(table)]
    rows = [[plain(cell) for cell in row] for row in (table.headings, *table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rules, *rows[1:]))


def markdown_summary(sections: Sequence[Section], path: str) -> str:
    """A line a study: its question, linked to the page at `path`, and the first of its answer."""
    lines = ["| question | answer | how |", "|---|---|---|"]
    for section in sections:
        anchor = re.sub(r"[^\w\- ]", "", section.question.lower()).replace(" ", "-")
        question, answer = plain(section.question), plain(section.answer[0])
        lines.append(f"| [{question}]({path}#{anchor}) | {answer} | `{section.command}` |")
    return "\n".join(lines)


def fenced(command: str) -> str:
    """A command as a block of Markdown."""
    return f"```bash\n{command}\n```"


def plain(text: str) -> str:
    """Text that stands for itself in Markdown, on one line, also where a list could begin."""
    text = re.sub(r"[\\`*_\[\]<>|~&]", r"\\\g<0>", " ".join(text.split()))
    return re.sub(r"^(\d*)([-+#=.)])(?=[-#=\s]|$)", r"\1\\\2", text)


def number_columns(table: Table) -> list[bool]:
    """Which columns hold nothing but numbers, and at least one: they stand to the right."""
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.headings)
    return [
        all(map(_is_number, column)) and any(re.search(r"\d", cell) for cell in column)
        for column in columns
    ]


def _is_number(cell: str) -> bool:
    """Whether each word begins with a digit, perhaps after a sign, or may stand beside numbers."""
    words = cell.split()
    return all(
        word.strip("()") in BESIDE_NUMBERS or word.lstrip(SIGNS)[:1].isdecimal() for word in words
    )
