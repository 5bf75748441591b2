"""Make examples/exercises.ipynb from exercises.md beside it: a cell for each block.

Usage: python .ci/exercises.py

A comment above a block of code says what it is: `yours` has gaps for the reader, and the solution
of the same exercise, folded in the text below it, fills them. `notebook.py --solutions` does so.
"""

import json
import re
from pathlib import Path
from typing import Any

from address import address
from address import notebook as with_address

ROOT = Path(__file__).parents[1]
PAGE, NOTEBOOK = (ROOT / "examples" / f"exercises.{kind}" for kind in ("md", "ipynb"))
LESSON = ROOT / "examples" / "echo.ipynb"

CODE = re.compile(
    r"^<!-- not run: (yours|in the notebook) -->\n```python\n(.*?)\n```$", re.M | re.S
)
SOLUTION = re.compile(r"^<!-- not run: solution -->\n", re.M)
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\.(?:md|ipynb)(?:#[^)]*)?\)")


def notebook(page: str) -> dict[str, Any]:
    """The notebook of a page; its first cell of code, which installs, is that of echo.ipynb."""
    lesson = json.loads(LESSON.read_text("utf-8"))
    install = next(cell for cell in lesson["cells"] if cell["cell_type"] == "code")
    text = LINK.sub(r"*\1*", SOLUTION.sub("", page))
    parts = CODE.split(text)  # text, then kind, code and text again and again
    first, second = parts[0].strip().rsplit("\n\n", 1)
    cells = [_markdown(first), install, _markdown(second)]
    for kind, code, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        tags = {"tags": ["yours"]} if kind == "yours" else {}
        cells.append(_cell("code", code, tags) | {"execution_count": None, "outputs": []})
        cells += [_markdown(after)] if after.strip() else []
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:02}"
    return lesson | {"cells": cells}


def with_solutions(cells: list[Any]) -> None:
    """Fill the gaps of the cells `yours`, each with the next solution in the text."""
    waiting: list[Any] = []
    for cell in cells:
        if "yours" in cell["metadata"].get("tags", []):
            waiting.append(cell)
        solution = re.search(r"Solution</summary>\n+```python\n(.*?)\n```", _source(cell), re.S)
        if cell["cell_type"] == "markdown" and solution:
            waiting.pop()["source"] = solution[1]
    assert not waiting, "an exercise has no solution"


def _cell(kind: str, source: str, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": metadata or {}, "source": source}


def _markdown(text: str) -> dict[str, Any]:
    return _cell("markdown", text.strip())


def _source(cell: Any) -> str:
    return "".join(cell["source"])


def made() -> str:
    """The text of the notebook, with the public address if there is one."""
    at = address((ROOT / "pyproject.toml").read_text("utf-8"))
    text = json.dumps(notebook(PAGE.read_text("utf-8")))
    return with_address(text, at, NOTEBOOK.relative_to(ROOT).as_posix())


if __name__ == "__main__":
    NOTEBOOK.write_text(made(), "utf-8")
