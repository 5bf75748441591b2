"""A page as one HTML 5 file that needs no other file and no network, from `templates/`."""

import functools
import re
from typing import Any

from echo_jax.report.page import Page


def html_page(page: Page) -> str:
    """The page with its style sheet, its figures and, if a table is sortable, its script."""
    drawings = {section.name: section.figure.svg for section in page.sections if section.figure}
    figures = {
        name: (number, re.findall(r'viewBox="\S+ \S+ (\S+) ', svg)[0])
        for number, (name, svg) in enumerate(drawings.items(), 1)
    }
    sortable = any(table.sortable for section in page.sections for table in section.tables)
    return _template().render(page=page, figures=figures, sortable=sortable)


@functools.cache
def _template() -> Any:
    """The template, which escapes every text; an undefined name is an error."""
    import jinja2  # takes 0.05 s, which commands that make no page need not spend

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("echo_jax.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html")
