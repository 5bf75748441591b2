"""The folder of studies or of a sweep, whose files docs/formats.md lists, and the published one.

No jax. The published folder has rows, and the answers of docs/results/answers.md.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from echo_jax.echo.studies.catalogue import Study
from echo_jax.echo.studies.result_rows import RESULT_ROWS, ResultRow, finished
from echo_jax.exceptions import StorageError, shown
from echo_jax.storage import atomic_files

PAGE = "README.md"
KIND = "folder.json"


class StudyFolder(NamedTuple):
    """A folder of studies, and how its page shows them."""

    path: Path
    kind: str  # "all studies" or "a sweep"
    title: str  # of the page
    studies: Mapping[str, Study]  # by name, in the order of the page
    command: Callable[[str], str]  # that makes the section of a study, by its name
    remake: str  # the command that makes the page

    @contextlib.contextmanager
    def claimed(self, tables: bool = False) -> Iterator[None]:
        """Return the folder is made and locked, before anything is run.

        Raises StorageError if it cannot be made, is or has something of another kind, or has a file
        in the way that was edited since it was generated or is somebody else's.
        """
        out = self.path
        atomic_files.check_not_current(out)
        _check_content(out)
        made = ["figures", "tables"] if tables else ["figures"]
        pages = [path for name in made for path in (out / name).glob("[!.]*")]
        with atomic_files.claimed(out, ["rows", *made], [out / PAGE, *pages]):
            path = out / KIND
            if not os.path.lexists(path):
                atomic_files.write_json(path, {"kind": self.kind})
            kind = atomic_files.read_json(path, fix=f"use another folder than {out}").get("kind")
            if kind != self.kind:
                rule = f"is of {kind}, and this is {self.kind}"
                raise StorageError(None, out, rule, "use another folder for it")
            yield


def _check_content(out: Path) -> None:
    """Raise StorageError for a folder with files that are not of studies, and no `folder.json`."""
    if not out.is_dir() or os.path.lexists(out / KIND) or not os.access(out, os.R_OK):
        return
    for name in sorted(set(os.listdir(out)) - {"rows", "figures", "tables", PAGE}):
        if not name.startswith("."):  # one that is half written
            rule = f"has {shown(name)} in it and is no folder of studies"
            raise StorageError(None, out, rule, "use a new folder")


def rows_path(out: Path, name: str) -> Path:
    """Return the file of the rows of a study."""
    return out / "rows" / f"{name}.jsonl"


def rows_of(out: Path, studies: Mapping[str, Study]) -> dict[str, list[ResultRow]]:
    """Return the rows of each study, in the order of its grid points, as far as they were run."""
    return {
        name: finished(study.points, RESULT_ROWS.read(rows_path(out, name)))
        for name, study in studies.items()
    }


def folder() -> Path:
    """Return the folder of the rows and answers of this version: in a wheel, or in a checkout."""
    installed = Path(__file__).parent / "published"
    documents = installed if installed.exists() else Path(__file__).parents[3] / "docs"
    return documents / "results"


def answer(name: str) -> str:
    """Return the answer to a study: the paragraph under its heading; empty for a sweep."""
    return next(iter(paragraphs(name)), "")


def paragraphs(name: str) -> list[str]:
    """Return the answer to a study, and its notes; none of a sweep."""
    text = (folder() / "answers.md").read_text("utf-8")
    _, _, part = text.partition(f"\n### {name}: ")
    paragraphs = re.split(r"\n##", part)[0].strip().split("\n\n")[1:]
    return [" ".join(paragraph.split()) for paragraph in paragraphs]
