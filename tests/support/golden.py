"""Texts compared with files that hold them as they should be."""

import os
from pathlib import Path

REMAKE = "REMAKE_GOLDEN"
"""An environment variable: if it is set, the files are written anew instead."""


def assert_golden(text: str, path: Path) -> None:
    """The text is that of the file, which was read by a person before it was committed."""
    if os.environ.get(REMAKE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"if this is meant, run with {REMAKE}=1 and read {path.name}"
