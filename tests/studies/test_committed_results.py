"""The results that are committed: complete, as their rows say, on a page that a browser shows."""

import re
from pathlib import Path

import browser
import pytest

from echo_jax import atomic_files
from echo_jax.commands import study as command
from echo_jax.report.markdown_page import markdown_summary
from echo_jax.studies import result_rows, study_folder, study_pages
from echo_jax.studies.catalogue import STUDIES

RESULTS = Path(__file__).parents[2] / "docs" / "results"
REMAKE = "run `echo-jax study --all --out docs/results --readme docs/studies.md`"


@pytest.fixture(scope="module")
def rows():
    return study_folder.rows_of(RESULTS, STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_every_grid_point_has_a_row_and_every_row_is_found(rows, name):
    assert result_rows.missing(STUDIES[name].points, rows[name]) == [], REMAKE
    committed = result_rows.read(study_folder.rows_path(RESULTS, name))
    assert sorted(row.digest for row in rows[name]) == sorted(row.digest for row in committed)


@pytest.mark.slow
def test_the_pages_say_what_the_rows_say(root, rows, tmp_path, monkeypatch):
    """Except for the figures, whose lines depend on the version of matplotlib: none is drawn."""
    monkeypatch.setattr(study_pages, "svg", lambda *_: '<svg viewBox="0 0 518.4 9"></svg>')
    monkeypatch.setattr(study_pages, "figure", lambda *_: None)

    def text(folder, name):
        said = (folder / name).read_text()
        return re.sub(r"<svg.*?</svg>", "<svg>", said, flags=re.S)

    asked = command.StudyCommand(all=True)
    sections = [command.section(asked, name, found) for name, found in rows.items()]
    every = [row for found in rows.values() for row in found]
    again = f"{command.COMMAND} --all --out docs/results"
    (tmp_path / "figures").mkdir()
    study_pages.write(tmp_path, command.TITLE, every, sections, again)
    for name in (study_folder.PAGE, study_folder.MARKDOWN):
        assert text(RESULTS, name) == text(tmp_path, name), REMAKE
    _, shown, _ = atomic_files.between(root / "docs" / "studies.md", study_pages.SUMMARY)
    assert shown.strip() == markdown_summary(sections, "results/README.md"), REMAKE


def test_the_page_of_the_mistake_has_the_numbers_of_its_study(root):
    _, _, section = (RESULTS / study_folder.MARKDOWN).read_text().partition('<a id="mistake">')
    section = section.partition("<a id=")[0]
    page = (root / "docs" / "the-mistake.md").read_text()
    numbers = re.findall(r"[\d.]+%(?: \(.*? to .*?\))?", page)
    assert len(numbers) > 10
    known = set(re.findall(r"[\d.]+%(?: \(.*? to .*?\))?", section))
    shares = set(re.findall(r"[\d.]+%", section))
    known |= shares | {f"{float(share[:-1]):.0f}%" for share in shares}
    assert not [number for number in numbers if number not in known]


def test_every_figure_of_the_markdown_is_there_and_all_files_are_small():
    named = re.findall(r"!\[.*?\]\(<(.*?)>\)", (RESULTS / study_folder.MARKDOWN).read_text())
    assert len(named) == len(STUDIES)
    assert all((RESULTS / path).is_file() for path in named)
    assert sum(path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()) < 2.5e6


@pytest.mark.slow
@pytest.mark.timeout(100)
def test_a_browser_finds_every_study_and_all_can_be_read(tmp_path):
    page = RESULTS / study_folder.PAGE
    assert page.stat().st_size < 2e6
    with browser.tab(tmp_path) as tab:
        for folded, _ in browser.audits(tab, page):
            assert (folded["sections"], folded["figures"]) == (len(STUDIES), len(STUDIES))
            assert folded["height"] < 15_000
