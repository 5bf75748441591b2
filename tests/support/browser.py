"""A page as headless Chromium shows it, on a screen and on a phone."""

import html
import re
import shutil
import subprocess
from typing import NamedTuple

import pytest

WIDTHS = (1280, 390)

MEASURE = """
<script>
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, root = page.documentElement;
    const boxes = [...page.querySelectorAll("figure svg")].map(svg => svg.getBoundingClientRect());
    return [
      frame.clientWidth, root.clientWidth, root.scrollWidth,
      page.querySelectorAll("main section h2").length,
      boxes.filter(box => box.width > 300 && box.height > 100).length,
      [...page.images].filter(image => !image.naturalWidth).length,
      parseFloat(getComputedStyle(page.body).fontSize),
    ].join(" ");
  });
  document.body.dataset.found = found.join("; ");
});
</script>
"""


class Seen(NamedTuple):
    """What is measured in a frame: widths in pixels, and how much of what there is."""

    width: int
    scroll_width: int
    sections: int
    figures: int
    broken: int
    font: float


def measured(content, folder):
    """What the browser sees of a page at each of WIDTHS; skips the test where there is no browser.

    A window of Chromium itself is never narrower than 500 pixels, so the page is put into frames.
    """
    frames = [
        f'<iframe style="border: 0; width: {width}px; height: 900px" '
        f'srcdoc="{html.escape(content)}"></iframe>'
        for width in WIDTHS
    ]
    (folder / "page.html").write_text(f"<!DOCTYPE html><body>{''.join(frames)}{MEASURE}")
    found = re.search('data-found="([^"]*)"', opened(folder / "page.html", folder))[1]
    numbers = [list(map(float, frame.split())) for frame in found.split("; ")]
    return {width: Seen(*each[1:]) for width, each in zip(WIDTHS, numbers, strict=True)}


def opened(path, profile):
    """The page as the browser has it once its scripts have run."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no Chromium or Chrome to open the page with")
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--disable-dev-shm-usage --dump-dom"
    )
    command = [browser, *options.split(), f"--user-data-dir={profile / 'profile'}", path.as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=50)
    return done.stdout
