"""The site that mkdocs builds: strict, whole, with nothing from elsewhere; the public address."""

import os
import re
import sys

import pytest
from running import ROOT, ended, module_in

from echo_jax import __version__

LOADED = re.compile(
    r"<(?:script|img|iframe|source|link)\b(?![^>]*rel=\"?canonical)[^>]*(?:src|href)=\"?(?:https?:)?//"
    r"|@import|url\(\"?(?:https?:)?//"
    r"|data-md-component=\"?source\b"  # the theme asks the code host for stars
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_site_is_whole_and_loads_nothing_from_elsewhere(tmp_path):
    """A link or an anchor that leads nowhere is an error of the strict build."""
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    ended(build, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    pages = [*tmp_path.rglob("*.html")]
    assert {"index", "README", "the-mistake", "CHANGELOG", "404"} <= {path.stem for path in pages}
    for path in [*pages, *tmp_path.rglob("*.css")]:
        assert not LOADED.search(path.read_text()), path
    core = (tmp_path / "reference" / "core.html").read_text()
    assert 'id="echo_jax.echo.data.sequence_batches"' in core  # the docstrings are there


def test_the_public_address_stands_in_one_place():
    writer = module_in(ROOT / ".ci" / "address.py")
    here = writer.address((ROOT / "pyproject.toml").read_text())
    assert {path: path.read_text() for path in writer.made(ROOT, here)} == writer.made(ROOT, here)


def test_the_version_to_cite_is_the_one_that_is_there():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
