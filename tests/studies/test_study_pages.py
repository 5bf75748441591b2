"""Rows become sections: complete for every study."""

import dataclasses
import functools

import pytest
from fabricated import study_rows

from echo_jax.config import changed
from echo_jax.studies import study_pages
from echo_jax.studies.catalogue import STUDIES
from echo_jax.studies.scores import scores


@functools.cache
def small(name):
    """A study with 8 seeds a grid point, and rows in which all seeds reach 99%."""
    points = tuple(
        dataclasses.replace(point, config=changed(point.config, seeds=min(point.config.seeds, 8)))
        for point in STUDIES[name].points
    )
    study = dataclasses.replace(STUDIES[name], points=points)
    return study, study_rows(study, reached=90)


def assert_complete(study, rows):
    """The section has a line for each grid point, and the tables and notes of its study."""
    made = study_pages.section("a", study, rows, "python x")
    labels = list(dict.fromkeys(label for point in study.points for label in point.labels))
    main, *others = made.tables
    assert main.headings == [*labels, *study.columns]
    assert [line[: len(labels)] for line in main.rows] == [
        [str(point.labels.get(label, "")) for label in labels] for point in study.points
    ]
    pairs = pair_lines(study, rows)
    assert len(others) == bool(pairs) + (study.chart.kind == "curves")
    assert not pairs or len(others[0].rows) == pairs
    entries = [text for table in made.tables for line in table.texts for text in line]
    assert not {"nan", "inf", "None", "unknown"} & set(" ".join(entries).split())


def pair_lines(study, rows):
    """How many lines the table of pairs must have: none of a score that a seed lacks."""
    by_name = {each.point: each for each in rows}
    return sum(
        all(None not in scores(by_name[name], score) for name in pair)
        for pair in study.pairs
        for score in study.compared
    )


def test_an_answer_is_cut_after_the_first_sentence_that_says_something():
    said, more = f"No. {'x' * 60} (p (Holm) 0.5) and 0.3.", "Then more."
    assert study_pages.sentences(f"{said} {more}") == [said, more]
    assert study_pages.sentences("Yes. It does.") == ["Yes. It does."]


@pytest.mark.parametrize("name", STUDIES)
def test_rows_become_a_section_with_all_there_is(name):
    study, rows = small(name)
    assert_complete(study, rows)
    assert pair_lines(study, rows) == len(study.pairs) * len(study.compared)
