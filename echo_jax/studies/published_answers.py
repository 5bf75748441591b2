"""What is published of the studies: their rows, and the answers of docs/studies.md. No jax."""

import re
from pathlib import Path


def folder() -> Path:
    """The folder of the rows that belong to this version."""
    return _documents() / "results"


def answer(name: str) -> str:
    """The answer to a study in docs/studies.md: the paragraph under its heading."""
    return next(iter(paragraphs(name)), "")


def paragraphs(name: str) -> list[str]:
    """The answer to a study in docs/studies.md, notes, and its command; none of a sweep."""
    text = (_documents() / "studies.md").read_text("utf-8")
    _, _, part = text.partition(f"\n### {name}: ")
    paragraphs = re.split(r"\n##", part)[0].strip().split("\n\n")[1:]
    return [" ".join(paragraph.split()) for paragraph in paragraphs]


def _documents() -> Path:
    """The published documents: in a wheel, or in a checkout."""
    installed = Path(__file__).parent / "published"
    return installed if installed.exists() else Path(__file__).parents[2] / "docs"
