"""What is published of the studies: rows, and the answers of docs/results/answers.md. No jax."""

import re
from pathlib import Path


def folder() -> Path:
    """The folder of the rows and answers of this version: in a wheel, or in a checkout."""
    installed = Path(__file__).parent / "published"
    documents = installed if installed.exists() else Path(__file__).parents[2] / "docs"
    return documents / "results"


def answer(name: str) -> str:
    """The answer to a study: the paragraph under its heading; empty for a sweep."""
    return next(iter(paragraphs(name)), "")


def paragraphs(name: str) -> list[str]:
    """The answer to a study, and its notes; none of a sweep."""
    text = (folder() / "answers.md").read_text("utf-8")
    _, _, part = text.partition(f"\n### {name}: ")
    paragraphs = re.split(r"\n##", part)[0].strip().split("\n\n")[1:]
    return [" ".join(paragraph.split()) for paragraph in paragraphs]
