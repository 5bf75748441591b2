"""Rows become sections: complete for every study."""

import dataclasses

import pytest
from fabricated import study_rows

from echo_jax.config import changed
from echo_jax.studies import study_pages
from echo_jax.studies.catalogue import STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_rows_become_a_section_with_all_there_is(name):
    """A line for each grid point and for each pair in each score; all seeds reach 99%."""
    study = dataclasses.replace(STUDIES[name], points=tuple(map(of_8_seeds, STUDIES[name].points)))
    made = study_pages.section("a", study, study_rows(study, reached=90), "python x")
    labels = list(dict.fromkeys(label for point in study.points for label in point.labels))
    main, *others = made.tables
    assert main.headings == [*labels, *study.columns]
    assert [line[: len(labels)] for line in main.rows] == [
        [str(point.labels.get(label, "")) for label in labels] for point in study.points
    ]
    pairs = len(study.pairs) * len(study.compared)
    assert len(others) == bool(pairs) + (study.chart.kind == "curves")
    assert not pairs or len(others[0].rows) == pairs
    entries = [text for table in made.tables for line in table.texts for text in line]
    assert not {"nan", "inf", "None", "unknown"} & set(" ".join(entries).split())


def of_8_seeds(point):
    return dataclasses.replace(
        point, config=changed(point.config, seeds=min(point.config.seeds, 8))
    )
