"""The site that mkdocs builds: strict, whole, with nothing from elsewhere."""

import os
import re
import subprocess
import sys

import pytest
from running import ROOT

LOADED = re.compile(
    r"<(?:script|img|iframe|source|link)\b(?![^>]*rel=\"?canonical)[^>]*(?:src|href)=\"?(?:https?:)?//"
    r"|@import|url\(\"?(?:https?:)?//"
)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path):
    """A link or an anchor that leads nowhere is an error of the strict build."""
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = [*tmp_path.rglob("*.html")]
    assert {"index", "the-mistake", "CHANGELOG", "404"} <= {path.stem for path in pages}
    for path in [*pages, *tmp_path.rglob("*.css")]:
        assert not LOADED.search(path.read_text()), path
    code_host = "https://github.com/echo-jax/echo_jax/blob/main/examples/echo_in_100_lines.py"
    assert f'href="{code_host}"' in (tmp_path / "index.html").read_text()
    core = (tmp_path / "reference" / "core.html").read_text()
    assert 'id="echo_jax.core.data.sequence_batches"' in core  # the docstrings are there
