"""An interactive page: one HTML file without a library, a request or a server."""

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHARED = Path(__file__).with_suffix(".html")
"""What stands around the body of each page."""


def assembled(page: Path, data: Mapping[str, Any]) -> str:
    """A page of the body `page`, its style beside it, and data, of which `title` is the title.

    `<!-- FILE -->` is replaced by the text of a file beside `page` or beside this module.
    """
    in_script = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":  # which might close a script element, or start another
        in_script = in_script.replace(letter, f"\\u{ord(letter):04x}")
    text = with_files(SHARED.read_text("utf-8").replace("PAGE", page.stem), page)
    text = text.replace("<!-- title -->", html.escape(data["title"]))
    return text.replace("<!-- data -->", in_script)


def with_files(text: str, page: Path) -> str:
    """A text with the files that it names, and those that they name."""

    def content(named: re.Match[str]) -> str:
        """The text of the file that a mark names, beside the page or shared by all pages."""
        own = page.with_name(named[1])
        path = own if own.is_file() else SHARED.with_name(named[1])
        return with_files(path.read_text("utf-8").rstrip("\n"), page)

    return re.sub(r"<!-- (\w+\.\w+) -->", content, text)
