"""The folder of studies or of a sweep, whose files docs/formats.md lists; what is published."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from echo_jax import atomic_files
from echo_jax.exceptions import StorageError, shown
from echo_jax.studies import result_rows, seed_parts
from echo_jax.studies.catalogue import Study
from echo_jax.studies.result_rows import ResultRow

PAGE, KIND = "README.md", "folder.json"


def claim(out: Path, kind: str, tables: bool) -> None:
    """Make the folder, or check that it is of this kind, before anything is run.

    StorageError where it cannot be made, is of another kind or has files of another kind, or has a
    page, a figure or, where `tables` are asked for, a table that was edited since it was generated
    or is somebody else's.
    """
    if os.path.abspath(out) == os.getcwd():
        fix = "name a folder of their own with {out}"
        raise StorageError(None, "the current folder", "is no place for rows and pages", fix)
    _check_content(out)
    inside = [out / name for name in ("rows", "figures", *["tables"] * tables)]
    for folder in inside:
        atomic_files.check_no_link(folder)
    for folder in (out, *inside):
        atomic_files.make_folder(folder)
    for path in (out / PAGE, *(path for folder in inside[1:] for path in folder.glob("[!.]*"))):
        atomic_files.check_generated(path)
    if not os.path.lexists(out / KIND):
        atomic_files.write_json(out / KIND, {"kind": kind})
    other = atomic_files.read_json(out / KIND, fix=f"use another folder than {out}").get("kind")
    if other != kind:
        rule = f"is of {other}, and this is {kind}"
        raise StorageError(None, out, rule, "use another folder for it")


def _check_content(out: Path) -> None:
    """Raise StorageError for a folder with files that are not of studies, and no `folder.json`."""
    if not out.is_dir() or os.path.lexists(out / KIND) or not os.access(out, os.R_OK):
        return
    for name in sorted(set(os.listdir(out)) - {"rows", "figures", "tables", PAGE}):
        if not name.startswith("."):  # one that is half written
            rule = f"has {shown(name)} in it and is no folder of studies"
            raise StorageError(None, out, rule, "use a new folder")


def published() -> Path:
    """The folder of the rows that belong to this version."""
    return _documents() / "results"


def published_answer(name: str) -> str:
    """The answer to a study in docs/studies.md: the paragraph under its heading."""
    return next(iter(published_paragraphs(name)), "")


def published_paragraphs(name: str) -> list[str]:
    """The answer to a study in docs/studies.md, notes, and its command; none of a sweep."""
    text = (_documents() / "studies.md").read_text("utf-8")
    _, _, part = text.partition(f"\n### {name}: ")
    paragraphs = re.split(r"\n##", part)[0].strip().split("\n\n")[1:]
    return [" ".join(paragraph.split()) for paragraph in paragraphs]


def _documents() -> Path:
    """The published documents: in a wheel, or in a checkout."""
    installed = Path(__file__).parent / "published"
    return installed if installed.exists() else Path(__file__).parents[2] / "docs"


def rows_path(out: Path, name: str) -> Path:
    """The file of the rows of a study."""
    return out / "rows" / f"{name}.jsonl"


def rows_of(out: Path, studies: Mapping[str, Study]) -> dict[str, list[ResultRow]]:
    """The rows of each study, in the order of its grid points, as far as they were run."""
    return {
        name: seed_parts.finished(study.points, result_rows.read(rows_path(out, name)))
        for name, study in studies.items()
    }
