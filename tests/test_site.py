"""The site that mkdocs builds: strict, whole, with nothing from elsewhere, on a phone too."""

import os
import re
import subprocess
import sys

import browser
import pytest
from running import ROOT

LOADED = re.compile(
    r"<(?:script|img|iframe|source|link)\b(?![^>]*rel=\"?canonical)[^>]*(?:src|href)=\"?(?:https?:)?//"
    r"|@import|url\(\"?(?:https?:)?//"
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site; a link or an anchor that leads nowhere is an error."""
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there_and_nothing_is_loaded_from_elsewhere(site):
    pages = [*site.rglob("*.html")]
    assert {"index", "the-mistake", "CHANGELOG", "404"} <= {path.stem for path in pages}
    assert len(pages) > 45
    for path in [*pages, *site.rglob("*.css")]:
        assert not LOADED.search(path.read_text()), path


def test_links_of_the_readme_and_of_docs_lead_to_pages_or_to_the_code_host(site):
    for page in ("index", "development", "CONTRIBUTING"):
        text = (site / f"{page}.html").read_text()
        assert 'href="the-mistake.html"' in text
        assert not re.search(r'href="[^"]*\.md["#]', text)
    code_host = "https://github.com/echo-jax/echo_jax/blob/main/examples/echo_in_100_lines.py"
    assert f'href="{code_host}"' in (site / "index.html").read_text()


def test_the_reference_has_the_docstrings_and_their_columns(site):
    text = (site / "reference" / "core.html").read_text()
    assert 'id="echo_jax.core.data.sequence_batches"' in text
    assert re.search(r"batch 0   0  7  1  =(?:&gt;|>)  7        row 0, ends at t = 3", text)


def test_pages_are_as_wide_as_the_screen_and_as_light_as_the_reader_wants(site, tmp_path):
    with browser.tab(tmp_path) as tab:
        for page in ("index", "the-mistake", "memory-card", "reference/core"):
            for width, dark in ((390, False), (768, True), (1280, False)):
                tab.open(site / f"{page}.html", width, dark)
                assert tab.run("document.documentElement.scrollWidth") == width, page
                assert tab.run("[...document.images].every(image => image.naturalWidth)"), page
                scheme = tab.run("document.body.dataset.mdColorScheme")
                assert scheme == ("slate" if dark else "default"), page
