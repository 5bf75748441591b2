"""The README and the pages under docs name what exists; test_pages_run runs them."""

import re

import pytest

import echo_jax


def test_the_version_to_cite_is_the_one_that_is_there(root):
    cited = re.findall(r"^version: (.*)$", (root / "CITATION.cff").read_text(), re.M)
    assert cited == [echo_jax.__version__]


@pytest.mark.parametrize(
    "page",
    ["docs/development.md", "docs/how-we-test.md", "docs/your-own-cell.md", "docs/studies.md"],
)
def test_every_file_of_ours_that_a_page_names_exists(root, page):
    named = re.findall(r"\b(?:echo_jax|tests|docs|examples)/[\w/.-]*\w", (root / page).read_text())
    assert named
    assert not [path for path in named if not (root / path).exists()]
