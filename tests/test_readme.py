"""The README and the pages under docs: their links, files and tables; test_pages_run runs them."""

import importlib
import importlib.util
import re

import pytest
from running import ROOT

from echo_jax.studies import catalogue

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/reference/*.md"))
)
COMMAND = re.compile(r"(?:python scripts/(\w+)\.py|echo-jax (\w+))([^`\n|#\")]*)")
LINK = re.compile(r"(!?)\[([^]]*)\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text()


@pytest.fixture(scope="module")
def page_example(root):
    """The one Python block of a page that begins with the given words."""

    def find(page, beginning):
        text = (root / page).read_text()
        (example,) = re.findall(rf"```python\n({re.escape(beginning)}.*?)```", text, re.S)
        return example

    return find


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.S))


def anchors(path):
    """The anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_has_at_most_250_lines_and_names_every_section(readme):
    assert len(readme.splitlines()) <= 250
    contents = readme[readme.index("**Contents:**") :].split("\n\n")[0]
    sections = re.findall(r"^## (.*)$", readme, re.M)
    named = re.findall(r"\(#(.*?)\)", contents)
    assert named == [section.lower().replace(" ", "-") for section in sections]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_figure_exists_and_every_figure_is_described(root, page):
    here = (root / page).parent
    for figure, text, target in LINK.findall(without_code((root / page).read_text())):
        path, _, anchor = target.partition("#")
        if not path.startswith("https://"):
            file = here / path if path else root / page
            assert file.exists(), target
            assert not anchor or file.suffix != ".md" or anchor in anchors(file), target
        assert not figure or len(text) > 30


@pytest.mark.parametrize(
    "page",
    ["docs/development.md", "docs/how-we-test.md", "docs/your-own-cell.md", "docs/studies.md"],
)
def test_every_file_of_ours_that_a_page_names_exists(root, page):
    named = re.findall(r"\b(?:echo_jax|tests|docs|examples)/[\w/.-]*\w", (root / page).read_text())
    assert named
    assert not [path for path in named if not (root / path).exists()]


def test_every_new_module_of_the_changelog_exists(root):
    text = (root / "CHANGELOG.md").read_text()
    rows = re.findall(r"^\| `(echo_jax\.\w+|scripts/.*?)`.* \| (.*) \|$", text, re.M)
    assert len(rows) > 50
    modules = {module for _, new in rows for module in re.findall(r"`(echo_jax[\w.]*)`", new)}
    assert not [module for module in modules if not importlib.util.find_spec(module)]


def test_every_file_of_a_run_folder_has_its_row(root):
    text = (root / "docs" / "formats.md").read_text().split("| file | contents |")[1]
    rows = re.findall(r"^\| (`.*?`) \|", text, re.M)
    files = "config.json vocabulary.json tokens.bin checkpoint.msgpack metrics.csv seeds.csv"
    named = [name.strip("`") for row in rows for name in row.split(", ")]
    assert named == [*files.split(), "result.json", "curve.png"]


def test_the_study_that_a_page_adds_has_all_that_the_others_have(page_example, monkeypatch):
    monkeypatch.setattr(catalogue, "STUDIES", dict(catalogue.STUDIES))
    exec(page_example("docs/studies.md", "from echo_jax.studies.catalogue"), {})
    added = catalogue.STUDIES["three-cells"]
    assert [point.config.network.cell for point in added.points] == ["lstm", "gru", "simple"]
    script = importlib.import_module("echo_jax.commands.study")
    monkeypatch.setattr(script, "STUDIES", catalogue.STUDIES)
    assert added.question in script.listing(script.StudyCommand())
