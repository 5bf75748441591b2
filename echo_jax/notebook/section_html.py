"""A section of a page in the output of a notebook's cell: no style sheet, no script."""

import base64
import html

from echo_jax.report.page import Section, Table


def section_html(section: Section) -> str:
    """The heading, the answer, the figure, and the tables and notes to fold out."""
    figure = ""
    if section.figure:
        svg = base64.b64encode(section.figure.svg.encode()).decode()
        alt, caption = map(html.escape, (section.figure.alt, section.figure.caption))
        figure = (
            f'<img src="data:image/svg+xml;base64,{svg}" alt="{alt}" '
            f'style="max-width: 720px; width: 100%; background: white"><p>{caption}</p>'
        )
    answer = "".join(f"<p>{html.escape(each)}</p>" for each in section.answer)
    tables = "".join(map(_table, section.tables))
    notes = "".join(f"<p>{html.escape(each)}</p>" for each in section.notes)
    return (
        f"<p><b>{html.escape(section.heading)}</b></p>{answer}{figure}"
        f"<details><summary>Numbers and notes</summary>{tables}{notes}</details>"
    )


def _table(table: Table) -> str:
    """A table in HTML."""
    rows = [[html.escape(str(entry)) for entry in row] for row in (table.headings, *table.rows)]
    head, *body = (
        "".join(f"<{tag}>{entry}</{tag}>" for entry in row)
        for row, tag in zip(rows, ["th", *["td"] * len(table.rows)], strict=True)
    )
    lines = "".join(f"<tr>{line}</tr>" for line in body)
    return (
        f"<table><caption>{html.escape(table.caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    )
