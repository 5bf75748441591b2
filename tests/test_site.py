"""The site that mkdocs builds: strict, whole, with nothing from elsewhere; the public address."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import browser
import pytest
from running import ROOT

from echo_jax.report import styles
from echo_jax.studies import study_figures, study_folder
from echo_jax.studies.catalogue import STUDIES

LOADED = re.compile(
    r"<(?:script|img|iframe|source|link)\b(?![^>]*rel=\"?canonical)[^>]*(?:src|href)=\"?(?:https?:)?//"
    r"|@import|url\(\"?(?:https?:)?//"
    r"|data-md-component=\"?source\b"  # the theme asks the code host for stars
)

LINKS = """[...document.querySelectorAll("[href], [src]")]
    .map((each) => new URL(each.getAttribute("href") ?? each.getAttribute("src"), location))
    .filter(({ protocol }) => protocol === "file:").map(({ pathname }) => pathname)"""

WORDS = """(() => {
    const page = document.body.cloneNode(true);
    page.querySelectorAll("code, script, style").forEach((each) => each.remove());
    return page.textContent + [...page.querySelectorAll("[alt]")].map(({ alt }) => alt); })()"""

OUT_OF_REACH = """[...document.querySelectorAll(".md-content *")].some((each) =>
    each.scrollWidth > each.clientWidth && each.clientWidth && each.tabIndex < 0
    && /auto|scroll/.test(getComputedStyle(each).overflowX))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A link or an anchor that leads nowhere is an error of the strict build."""
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_site_is_whole_and_loads_nothing_from_elsewhere(site):
    pages = [*site.rglob("*.html")]
    assert {"index", "README", "the-mistake", "CHANGELOG", "404"} <= {path.stem for path in pages}
    for path in [*pages, *site.rglob("*.css")]:
        assert not LOADED.search(path.read_text()), path
    code = "examples/echo_in_100_lines.py"
    assert f'href="{code}"' in (site / "README.html").read_text()
    assert (site / code).read_bytes() == (ROOT / code).read_bytes()
    shared = '<meta property="og:description" content="Row 6 starts from the state of row 0, '
    assert shared in (site / "the-mistake.html").read_text()
    core = (site / "reference" / "core.html").read_text()
    assert 'id="echo_jax.core.data.sequence_batches"' in core  # the docstrings are there


def one_card(paths):
    """Some paths, with that of one card in the place of all cards."""
    paths = {*paths}
    cards = {path for path in paths if path.stem == "card" and path.parent.parent.stem == "cards"}
    return paths - cards | {min(cards)}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_pages_are_short_and_lead_to_files_and_the_home_page_fits_a_window(site, tmp_path):
    with browser.tab(tmp_path) as tab:
        pages = one_card(site.rglob("*.html")) - {site / "404.html"}  # made for a server
        for path in pages.union((ROOT / "docs").rglob("*.html")):
            tab.open(path)
            assert tab.run("document.documentElement.scrollHeight") <= 12_000, path
            loaded = tab.run("performance.getEntriesByType('resource').map((each) => each.name)")
            assert [name for name in loaded if not name.startswith("file:")] == []
            links = tab.run(LINKS)
            assert [each for each in links if not Path(each).is_file()] == [], path
            assert "\\" not in tab.run(WORDS), path
            tab.resize(390)
            assert tab.run("document.documentElement.scrollWidth") <= 390, path
            tab.wait(f"!({OUT_OF_REACH})")  # the keys reach what scrolls
        tab.open(site / "the-mistake.html", 390)
        assert tab.run("document.images[0].currentSrc").endswith("-narrow.svg")
        for width, height in ((1280, 800), (390, 844)):
            tab.open(site / "index.html", width)
            last = "[...document.querySelectorAll('.doors a')].at(-1).getBoundingClientRect()"
            assert tab.run(f"{last}.bottom") <= height


LOOKED_AT = "index README exercises lesson-plan the-mistake memory-card cards/index results/index"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_axe_finds_nothing_on_pages_of_every_kind(site, tmp_path):
    with browser.tab(tmp_path) as tab:
        names = [*LOOKED_AT.split(), "your-own-cell", "glossary", "probe", "reference/calls"]
        code = ["README", "exercises", "reference/calls"]  # whose colors differ in the dark
        for name, dark in [*((name, False) for name in names), *((name, True) for name in code)]:
            tab.open(site / f"{name}.html", dark=dark)
            tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            tab.wait(f"!({OUT_OF_REACH})")  # the theme makes these reachable after a while
            assert tab.violations() == [], (name, dark)


def words(figure):
    root = ElementTree.fromstring(styles.image(figure, "svg"))
    texts = " ".join(root.itertext()).split()
    return {word for word in texts if word[0].isalpha()}, root.get("width")


@pytest.mark.parametrize("name", ["state", "lags"])
def test_a_figure_for_a_phone_is_narrow_and_has_the_same_words(name):
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    hooks, study = loaded(ROOT / "mkdocs_hooks.py"), STUDIES[name]
    rows = study_folder.rows_of(ROOT / "docs" / "results", {name: study})[name]
    with styles.drawing():
        wide = words(study_figures.figure(study.chart, rows))
        narrow = words(study_figures.figure(study.chart, rows, hooks.PHONE))
    assert narrow == (wide[0], f"{72 * hooks.PHONE:g}pt")


@pytest.fixture(scope="module")
def writer():
    return loaded(ROOT / ".ci" / "address.py")


def loaded(path):
    """The module in a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_public_address_stands_in_one_place(writer):
    here = writer.address((ROOT / "pyproject.toml").read_text())
    assert {path: path.read_text() for path in writer.made(ROOT, here)} == writer.made(ROOT, here)
