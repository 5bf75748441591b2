"""The page of studies: a section for each, made from its rows, and an introduction. No jax here."""

import dataclasses
import functools
import itertools
import re
from collections.abc import Mapping, Sequence

from echo_jax.echo.studies import study_folder
from echo_jax.echo.studies.catalogue import Study
from echo_jax.echo.studies.result_rows import RESULT_ROWS, ResultRow
from echo_jax.echo.studies.study_folder import StudyFolder
from echo_jax.echo.studies.study_tables import (
    AXIS_NAMES,
    curve_tables,
    drawn,
    figure,
    main_table,
    pair_tables,
    tidy_rows,
)
from echo_jax.report import page
from echo_jax.report.section import Section, computed

INTRODUCTION = [
    "A network sees random integers and must name the one it saw n steps ago: n is the lag. In "
    "part 2 of the tutorial that is the current value (lag 0), in part 3 the one before it (lag "
    "1), fed one value at a time, and in part 4 the same in windows of 5.",
    "Each grid point is trained from several seeds: other random weights and other random "
    "integers. A number is the median over the seeds. The interval in brackets is that of the "
    "median; the caption of a table gives its coverage. It is not the range of the seeds.",
]

SCORE_MEANINGS = (
    "Accuracy is the share of right answers on fresh sequences. Chance, beside it, is that of a "
    "guess: 1/V for V values. Recalled bits are log2 V - loss/ln 2: of log2 V bits, 0 is a guess."
)
"""Explains the columns that nearly every table has."""

OWN = (
    "The values are the user's own, and a network must name the one n steps back: n is the lag. "
    "Accuracy is the share of right answers on held-out values, and majority is the share of the "
    "most common one. Recalled bits are their entropy - loss/ln 2: 0 is that guess. Persistence "
    "repeats the value nearest to the target, and a k-gram predicts from the k nearest ones."
)
"""Explains the columns of a sweep on own values, in the place of `SCORE_MEANINGS`."""

FAILED = "The loss became non-finite in: {}. Each such seed counts as accuracy 0 and 0 bits."

CUT_SHORT = "Open marks: training ended at its limit before every seed had reached 99%."


def section(name: str, study: Study, rows: Sequence[ResultRow], command: str) -> Section:
    """Return the section of a study, from the rows of those of its grid points that were run.

    `command` reproduces it. There is at least one row, and they have the order of the grid points.
    """
    own = rows[0].config.data.file is not None
    chart = study.chart
    shown = drawn(chart, rows)
    over = f" over {AXIS_NAMES.get(chart.x, chart.x)}" if chart.x else ""
    score = AXIS_NAMES.get(chart.y, chart.y).capitalize()
    main = main_table(study, rows)
    return Section(
        name=name,
        heading=study.question,
        draw=functools.partial(figure, chart, rows) if shown else None,
        alt=f"{score}{over}; the tables have the numbers.",
        caption=CUT_SHORT if any(row.cut_short for row in shown) else "",
        tables=[main, *pair_tables(study, rows), *curve_tables(chart, rows)],
        tidy=tidy_rows(study, rows),
        notes=[*study_folder.paragraphs(name)[1:], *_notes(rows, own)],
        columns="" if own else SCORE_MEANINGS,
        command=command,
        results=rows,
    )


def _notes(rows: Sequence[ResultRow], own: bool) -> list[str]:
    failed = [f"{row.point} (seed {seed})" for row in rows for seed in row.failed.seed]
    notes = [FAILED.format(", ".join(failed))] if failed else []
    return [*notes, OWN] if own else notes


def command_of(name: str) -> str:
    """Return the command of a study, as pages have it."""
    return f"echo-jax study {name}"


def sections(folder: StudyFolder, rows: Mapping[str, Sequence[ResultRow]]) -> dict[str, Section]:
    """Return the sections of the studies that have rows, by their names."""
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
    """Write the page of all studies that have rows, over the one generated before."""
    ordered = [sections[name] for name in folder.studies if name in sections]
    every = list(itertools.chain(*rows.values()))
    made = computed((row.date.isoformat(), row.versions) for row in every)
    columns = ordered[0].columns
    introduction = [*INTRODUCTION, columns] if columns else INTRODUCTION[1:]
    shown = [_answered(section, every) for section in ordered]
    text = page.markdown_page(folder.title, introduction, shown, made, folder.remake)
    page.write_page(folder.path / study_folder.PAGE, text, ordered)


def _answered(section: Section, rows: Sequence[ResultRow]) -> Section:
    """Return the section with the published answer, where the rows are the published ones."""
    committed = RESULT_ROWS.read(study_folder.rows_path(study_folder.folder(), section.name))
    if not committed or any(row not in rows for row in committed):
        return section
    answer = study_folder.answer(section.name)
    # in two: the sentence that says it, also after words such as "Yes.", and the rest
    first = re.match(r".{60,}?\.(?= [A-Z]|$)", answer)
    end = first.end() if first else len(answer)
    parts = filter(None, [answer[:end], answer[end:].strip()])
    return dataclasses.replace(section, answer=list(parts))
