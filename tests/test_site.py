"""The site that mkdocs builds: strict, whole, with nothing from elsewhere; the public address."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from running import ROOT

LOADED = re.compile(
    r"<(?:script|img|iframe|source|link)\b(?![^>]*rel=\"?canonical)[^>]*(?:src|href)=\"?(?:https?:)?//"
    r"|@import|url\(\"?(?:https?:)?//"
    r"|data-md-component=\"?source\b"  # the theme asks the code host for stars
)


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
    ways_on = re.findall(r'href="([^#"]+)"', (site / "play.html").read_text())
    assert [way for way in ways_on if not (site / way).is_file()] == []
    assert len(ways_on) == 4
    shared = '<meta property="og:description" content="Row 6 starts from the state of row 0, '
    assert shared in (site / "the-mistake.html").read_text()
    core = (site / "reference" / "core.html").read_text()
    assert 'id="echo_jax.core.data.sequence_batches"' in core  # the docstrings are there


def test_the_numbers_of_the_home_page_are_of_the_results():
    numbers = re.findall(r"\d+\.\d\d%", (ROOT / "docs" / "index.md").read_text())
    assert numbers
    results = (ROOT / "docs" / "results" / "README.md").read_text()
    assert [each for each in numbers if each not in results] == []


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
