"""A page as one HTML 5 file that needs no other file and no network, from `templates/`."""

import functools
import re
from typing import TYPE_CHECKING

from echo_jax.report.page import Page

if TYPE_CHECKING:
    import jinja2


def html_page(page: Page) -> str:
    """The page with its style sheet, its figures and, if a table is sortable, its script."""
    figures = [section.name for section in page.sections if section.figure]
    numbers = {name: number for number, name in enumerate(figures, 1)}
    sortable = any(table.sortable for section in page.sections for table in section.tables)
    template = _environment().get_template("page.html")
    return template.render(page=page, figure_numbers=numbers, sortable=sortable)


@functools.cache
def _environment() -> "jinja2.Environment":
    """Templates that escape every text; an undefined name is an error."""
    import jinja2  # takes 0.05 s, which commands that make no page need not spend

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("echo_jax.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["svg_width"] = _svg_width
    return environment


def _svg_width(svg: str) -> str:
    """The width of an `<svg>` element in points, from its view box."""
    found = re.search(r'viewBox="\S+ \S+ (\S+) ', svg)
    return found[1] if found else "518.4"
