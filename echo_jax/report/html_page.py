"""An interactive page: one HTML file without a library, a request or a server."""

import json
from pathlib import Path
from typing import Any


def assembled(parts: Path, data: dict[str, Any]) -> str:
    """The page of a folder's NAME.html, NAME.css and NAME.js, NAME that of the folder, with data.

    They and the data, JSON, take the places of `<!-- style -->` and so on.
    """
    files = {end: (parts / f"{parts.name}.{end}").read_text("utf-8") for end in ("css", "js")}
    html = (parts / f"{parts.name}.html").read_text("utf-8")
    in_script = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":  # which might close a script element, or start another
        in_script = in_script.replace(letter, f"\\u{ord(letter):04x}")
    for field, text in {"style": files["css"], "script": files["js"], "data": in_script}.items():
        html = html.replace(f"<!-- {field} -->", text.rstrip("\n"))
    return html
