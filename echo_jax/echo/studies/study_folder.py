"""Read and write a folder of studies or of a sweep: its rows, its sections and its page.

docs/formats.md lists the files. The published folder, docs/results, also has the answers, in
answers.md. No jax here.
"""

import contextlib
import dataclasses
import functools
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from echo_jax.echo.studies import study_tables
from echo_jax.echo.studies.catalogue import Study
from echo_jax.echo.studies.result_rows import RESULT_ROWS, ResultRow, finished
from echo_jax.exceptions import StorageError, shown
from echo_jax.report import page
from echo_jax.report.section import Section, computed
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
        """Make the folder and lock it for the `with` block, before anything is run.

        With `tables`, a folder for the tables of a paper is made too. Raises StorageError if the
        folder cannot be made, is of another kind or is in use, or if it is the current folder. The
        error is also raised if a page, figure or table in it was edited or was not generated.
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
                rule = f"is the folder of {kind}, not of {self.kind}"
                raise StorageError(None, out, rule, f"use another folder for {self.kind}")
            yield


def _check_content(out: Path) -> None:
    """Raise StorageError if the folder `out` has no `folder.json` but files that no study makes."""
    if not out.is_dir() or os.path.lexists(out / KIND) or not os.access(out, os.R_OK):
        return
    for name in sorted(set(os.listdir(out)) - {"rows", "figures", "tables", PAGE}):
        if not name.startswith("."):  # one that is half written
            rule = f"contains {shown(name)} and is not a folder of studies"
            raise StorageError(None, out, rule, "use a new folder")


def rows_path(out: Path, name: str) -> Path:
    """Return the path of the rows of the study `name` in the folder `out`."""
    return out / "rows" / f"{name}.jsonl"


def rows_of(out: Path, studies: Mapping[str, Study]) -> dict[str, list[ResultRow]]:
    """Return, for each of `studies` by name, its rows in the folder `out`.

    The rows are in the order of the grid points; points that were not run have none. Raises
    StorageError if a row is damaged.
    """
    return {
        name: finished(study.points, RESULT_ROWS.read(rows_path(out, name)))
        for name, study in studies.items()
    }


def folder() -> Path:
    """Return the folder of the published rows and answers, in a wheel or in a checkout."""
    installed = Path(__file__).parent / "published"
    documents = installed if installed.exists() else Path(__file__).parents[3] / "docs"
    return documents / "results"


def answer(name: str) -> str:
    """Return the published answer to the study `name`, a paragraph; "" for a sweep."""
    return next(iter(paragraphs(name)), "")


def paragraphs(name: str) -> list[str]:
    """Return the published answer to the study `name` and its notes; an empty list for a sweep."""
    text = (folder() / "answers.md").read_text("utf-8")
    _, _, part = text.partition(f"\n### {name}: ")
    paragraphs = re.split(r"\n##", part)[0].strip().split("\n\n")[1:]
    return [" ".join(paragraph.split()) for paragraph in paragraphs]


INTRODUCTION = [
    "A network sees random integers and must name the integer that it saw n steps ago: n is the "
    "lag. Part 2 of the tutorial asks for the current value (lag 0). Part 3 asks for the value "
    "before it (lag 1) and feeds one value at a time. Part 4 also asks for the previous value, "
    "but feeds windows of 5 values.",
    "Each grid point is trained with several seeds, each with its own random weights and "
    "integers. A number is the median over the seeds. The interval in brackets is not their "
    "range but an interval of the median; the caption of a table gives its coverage.",
]

SCORE_MEANINGS = (
    "Accuracy is the share of right answers on fresh sequences. Chance is the accuracy of a guess: "
    "1/V for V values. Recalled bits are log2 V - loss/ln 2: 0 for a guess, and log2 V at most."
)
"""The text that explains the columns of nearly every table."""

OWN = (
    "The values are the user's own, and a network must name the value n steps back: n is the lag. "
    "Accuracy is the share of right answers on held-out values, and majority is the share of the "
    "most common value. Recalled bits are the entropy - loss/ln 2: 0 for a guess by frequency. "
    "Persistence repeats the value in the window nearest to the target, and a k-gram predicts from "
    "the k nearest ones."
)
"""The text that explains the columns of a sweep on own values, instead of `SCORE_MEANINGS`."""

FAILED = "The loss became non-finite in: {}. Each such seed counts as accuracy 0 and 0 bits."

CUT_SHORT = "Open marks: training ended at its limit before every seed had reached 99%."


def section(name: str, study: Study, rows: Sequence[ResultRow], command: str) -> Section:
    """Return the section of `study`, whose name is `name`, from the rows that were run.

    There is at least one row, and `rows` have the order of the grid points. The section shows
    `command`, the command line that reproduces it.
    """
    own = rows[0].config.data.file is not None
    chart = study.chart
    shown = study_tables.drawn(chart, rows)
    over = f" over {study_tables.AXIS_NAMES.get(chart.x, chart.x)}" if chart.x else ""
    score = study_tables.AXIS_NAMES.get(chart.y, chart.y).capitalize()
    main = study_tables.main_table(study, rows)
    pairs = study_tables.pair_tables(study, rows)
    return Section(
        name=name,
        heading=study.question,
        draw=functools.partial(study_tables.figure, chart, rows) if shown else None,
        alt=f"{score}{over}; the tables have the numbers.",
        caption=CUT_SHORT if any(row.cut_short for row in shown) else "",
        tables=[main, *pairs, *study_tables.curve_tables(chart, rows)],
        tidy=study_tables.tidy_rows(study, rows),
        notes=[*paragraphs(name)[1:], *_notes(rows, own)],
        columns="" if own else SCORE_MEANINGS,
        command=command,
        results=rows,
    )


def _notes(rows: Sequence[ResultRow], own: bool) -> list[str]:
    failed = [f"{row.point} (seed {seed})" for row in rows for seed in row.failed.seed]
    notes = [FAILED.format(", ".join(failed))] if failed else []
    return [*notes, OWN] if own else notes


def command_of(name: str) -> str:
    """Return the command line that runs the study `name`, as pages show it."""
    return f"echo-jax study {name}"


def sections(folder: StudyFolder, rows: Mapping[str, Sequence[ResultRow]]) -> dict[str, Section]:
    """Return, by name, the sections of the studies of `folder` that have `rows`."""
    return {
        name: section(name, folder.studies[name], some, folder.command(name))
        for name, some in rows.items()
        if some
    }


def write_folder(
    folder: StudyFolder,
    rows: Mapping[str, Sequence[ResultRow]],
    sections: Mapping[str, Section],
) -> None:
    """Write the page of `sections` and its figures into `folder`, over its generated page if any.

    `rows` has the rows of all studies by name; the page states their dates and versions.
    """
    ordered = [sections[name] for name in folder.studies if name in sections]
    every = list(itertools.chain(*rows.values()))
    made = computed((row.date.isoformat(), row.versions) for row in every)
    columns = ordered[0].columns
    introduction = [*INTRODUCTION, columns] if columns else INTRODUCTION[1:]
    shown = [_answered(section, every, folder.studies[section.name]) for section in ordered]
    text = page.markdown_page(folder.title, introduction, shown, made, folder.remake)
    page.write_page(folder.path / PAGE, text, ordered)


def _answered(section: Section, rows: Sequence[ResultRow], study: Study) -> Section:
    """Return `section`, with the published answer if `rows` include all its published rows.

    `study` is the study of the section. Without published rows, no answer is added.
    """
    committed = rows_of(folder(), {section.name: study})[section.name]
    if not committed or any(row not in rows for row in committed):
        return section
    words = answer(section.name)
    # in two: the sentence that says it, also after words such as "Yes.", and the rest
    first = re.match(r".{60,}?\.(?= [A-Z]|$)", words)
    end = first.end() if first else len(words)
    parts = filter(None, [words[:end], words[end:].strip()])
    return dataclasses.replace(section, answer=list(parts))
