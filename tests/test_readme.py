"""The README and the pages under docs name what exists; test_pages_run runs them."""

import importlib
import re

import pytest

from echo_jax.studies import catalogue


def test_the_readme_has_at_most_250_lines(root):
    assert len((root / "README.md").read_text().splitlines()) <= 250


@pytest.mark.parametrize(
    "page",
    ["docs/development.md", "docs/how-we-test.md", "docs/your-own-cell.md", "docs/studies.md"],
)
def test_every_file_of_ours_that_a_page_names_exists(root, page):
    named = re.findall(r"\b(?:echo_jax|tests|docs|examples)/[\w/.-]*\w", (root / page).read_text())
    assert named
    assert not [path for path in named if not (root / path).exists()]


def test_the_study_that_a_page_adds_has_all_that_the_others_have(root, monkeypatch):
    text = (root / "docs" / "studies.md").read_text()
    (example,) = re.findall(r"```python\n(from echo_jax.studies.catalogue.*?)```", text, re.S)
    monkeypatch.setattr(catalogue, "STUDIES", dict(catalogue.STUDIES))
    exec(example, {})
    added = catalogue.STUDIES["three-cells"]
    assert [point.config.network.cell for point in added.points] == ["lstm", "gru", "simple"]
    script = importlib.import_module("echo_jax.commands.study")
    monkeypatch.setattr(script, "STUDIES", catalogue.STUDIES)
    assert added.question in script.listing()
