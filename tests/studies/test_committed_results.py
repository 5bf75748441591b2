"""The results that are committed: complete, as their rows say, on a page that a browser shows."""

import re
from pathlib import Path

import browser
import pytest

from echo_jax import atomic_files
from echo_jax.report.html_page import html_page
from echo_jax.report.markdown_page import markdown_page, markdown_summary
from echo_jax.studies import records, study_pages
from echo_jax.studies.catalogue import STUDIES

RESULTS = Path(__file__).parents[2] / "docs" / "results"
REMAKE = "run `python scripts/study.py --all --out docs/results --readme README.md`"


@pytest.fixture(scope="module")
def sections():
    return study_pages.sections(RESULTS, STUDIES, "python scripts/study.py {name}")


def test_every_cell_of_every_study_has_its_row():
    missing = {name: study_pages.missing(RESULTS, name, study) for name, study in STUDIES.items()}
    assert not any(missing.values()), REMAKE


def test_no_cell_has_two_rows():
    for name in STUDIES:
        keys = [records.key(row) for row in study_pages.read(RESULTS, name)]
        assert len(keys) == len(set(keys))


def test_the_readme_says_what_the_rows_say(root, sections):
    _, shown, _ = atomic_files.between(root / "README.md", study_pages.SUMMARY)
    assert shown.strip() == markdown_summary(sections, "docs/results/README.md"), REMAKE


def test_the_page_says_what_the_rows_say(sections):
    """But for the figures, whose lines depend on the version of matplotlib."""
    found = study_pages.shown(RESULTS, STUDIES)
    command = "python scripts/study.py --all --out docs/results"
    page = study_pages.page_of("How long does a network remember?", found, sections, command)
    markdown = (RESULTS / study_pages.MARKDOWN).read_text()
    assert markdown.startswith(markdown_page(page)), REMAKE

    def without_figures(text):
        return re.sub(r"<svg.*?</svg>", "<svg>", text, flags=re.S)

    shown = without_figures((RESULTS / study_pages.PAGE).read_text())
    assert shown.startswith(without_figures(html_page(page))), REMAKE


def test_every_figure_of_the_markdown_is_there():
    named = re.findall(r"!\[.*?\]\(<(.*?)>\)", (RESULTS / study_pages.MARKDOWN).read_text())
    assert len(named) == len(STUDIES)
    assert all((RESULTS / path).is_file() for path in named)


def test_the_results_take_less_than_two_megabytes():
    assert sum(path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()) < 2e6


@pytest.mark.timeout(60)
def test_a_browser_finds_every_study_and_no_missing_picture(tmp_path):
    content = (RESULTS / study_pages.PAGE).read_text()
    for width, seen in browser.measured(content, tmp_path).items():
        assert seen.scroll_width == seen.width == width
        assert (seen.sections, seen.figures, seen.broken) == (len(STUDIES), len(STUDIES), 0)
