"""A page as one HTML 5 file that needs no other file and no network, from `templates/`."""

import functools
import re
from collections.abc import Mapping
from typing import Any

from echo_jax.report.page import Page
from echo_jax.report.styles import COLOURS


def html_page(page: Page) -> str:
    """The page with its style sheet, its script and its figures, light or dark as readers like."""
    return _template().render(page=page)


def _in_page(svg: str) -> str:
    """A figure with the colours of the style sheet, which has other ones for a dark page."""
    return re.sub(r"#[0-9a-f]{6}(?=[;\"])", lambda hex_: COLOURS.get(hex_[0], hex_[0]), svg)


def _points(svg: str) -> str:
    """The width of a figure, in points."""
    return re.findall(r'viewBox="\S+ \S+ (\S+) ', svg)[0]


def _linked(text: str, links: Mapping[str, str]) -> Any:
    """A text with some of its words linked to their addresses, which nothing loads."""
    from markupsafe import Markup, escape

    whole = escape(text)
    for words, address in links.items():
        link = Markup('<a href="{}">{}</a>').format(address, words)
        whole = whole.replace(escape(words), link)
    return whole


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
    environment.filters |= {"in_page": _in_page, "points": _points, "linked": _linked}
    return environment.get_template("page.html")
