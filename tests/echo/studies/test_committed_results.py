"""The results that are committed: complete, and on a page that says the same."""

import re
from pathlib import Path

import pytest

from echo_jax.echo.studies import study_folder
from echo_jax.echo.studies.catalogue import STUDIES
from echo_jax.echo.studies.result_rows import RESULT_ROWS
from echo_jax.echo.studies.study_call import all_studies
from echo_jax.engine.grid import missing
from echo_jax.report.section import Section

RESULTS = Path(__file__).parents[3] / "docs" / "results"
REMAKE = "run `echo-jax study --all --out docs/results`"


@pytest.fixture(scope="module")
def rows():
    return study_folder.rows_of(RESULTS, STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_every_grid_point_has_a_row_and_every_row_is_found(rows, name):
    assert missing(STUDIES[name].points, rows[name]) == [], REMAKE
    committed = RESULT_ROWS.read(study_folder.rows_path(RESULTS, name))
    assert sorted(row.key for row in rows[name]) == sorted(row.key for row in committed)


@pytest.mark.slow
def test_the_page_says_what_the_rows_say(rows, tmp_path, monkeypatch):
    """Except for the figures, whose lines depend on the version of matplotlib: none is drawn."""
    monkeypatch.setattr(Section, "figure_file", lambda *_: b"<svg/>")
    (tmp_path / "figures").mkdir()
    command = all_studies(Path("docs/results")).remake
    folder = all_studies(tmp_path)._replace(remake=command)
    study_folder.write_folder(folder, rows, study_folder.sections(folder, rows))
    page = study_folder.PAGE
    assert (RESULTS / page).read_text() == (tmp_path / page).read_text(), REMAKE


def test_the_page_of_the_mistake_has_the_numbers_of_its_study(root, rows):
    _, _, section = (RESULTS / study_folder.PAGE).read_text().partition('<a id="mistake">')
    section = section.partition('<a id="state">')[0]  # and of the study keeping
    page = (root / "docs" / "the-mistake.md").read_text()
    numbers = re.findall(r"[\d.]+%(?: \(.*? to .*?\))?", page)
    assert len(numbers) > 10
    known = set(re.findall(r"[\d.]+%(?: \(.*? to .*?\))?", section))
    shares = set(re.findall(r"[\d.]+%", section))
    known |= shares | {f"{float(share[:-1]):.0f}%" for share in shares}
    assert not [number for number in numbers if number not in known]
