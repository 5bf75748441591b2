"""An interactive page: one HTML file without a library, a request or a server."""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def assembled(page: Path, parts: Mapping[str, Sequence[str]], data: Mapping[str, Any]) -> str:
    """A page in which `<!-- NAME -->` is the text of the files of the part NAME beside it.

    `<!-- style -->` begins with what all pages share, `<!-- data -->` is the data as JSON, and
    `<!-- title -->` their title.
    """
    in_script = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":  # which might close a script element, or start another
        in_script = in_script.replace(letter, f"\\u{ord(letter):04x}")
    texts = {"title": html.escape(data["title"]), "data": in_script}
    for name, files in parts.items():
        paths = [page.with_name(file) for file in files]
        if name == "style":
            paths.insert(0, Path(__file__).with_suffix(".css"))
        texts[name] = "\n".join(path.read_text("utf-8") for path in paths).rstrip("\n")
    text = page.read_text("utf-8")
    for name, content in texts.items():
        text = text.replace(f"<!-- {name} -->", content)
    return text
