"""The same page by every renderer: golden files, hostile text, and what a browser does with it."""

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import browser
import numpy as np
import pytest
from golden import assert_golden
from wcag import contrast

from echo_jax.report import charts, html_page, markdown_page, styles, text_tables
from echo_jax.report.page import Entry, Figure, Page, Section, Table
from echo_jax.statistics import Interval, Summary

GOLDEN = Path(__file__).parent / "golden"
TEMPLATES = Path(html_page.__file__).parent / "templates"
CSS = (TEMPLATES / "page.css").read_text()

HOSTILE = (
    "</p></pre><script>alert(1)</script>\"'&amp; {{ 7*7 }} {% x %} $5 "
    "*b* _i_ `c` [a](b) | ~\n```\n# h"
)

STATE = Section(
    "state",
    "Does the state help?",
    ["It does.", "1. By < 5% & more."],
    Figure(
        '<svg viewBox="0 0 518.4 9"><g id="state-a"/></svg>', "figures/state.svg", "Dots", "By n."
    ),
    [
        Table(
            "Accuracy",
            ["cell", "accuracy"],
            [["lstm", "99.81% (99.70 to 99.90)"], ["gru", "never"]],
        )
    ],
    notes=["Each number is a median.", "- not a list"],
    command="python study.py state",
)
NUMBERS = Section(
    "numbers",
    "All numbers",
    tables=[
        Table(
            "Sorted.",
            ["cell", "span", "bits"],
            [
                [Entry("lru", "lru", link="state"), Entry("9", 9, "8 to 10"), Entry("2.5", 2.5)],
                [Entry("a cell with a long name", "a"), Entry("10", 10), Entry("?", missing=True)],
                [Entry("b", "b"), Entry("> 5"), Entry("1", 1)],
            ],
            sortable=True,
            descending="span",
        )
    ],
    meanings={"span": "How far back.", "bits": "How much."},
)
PAGE = Page("What is <kept>?", ["First & last."], [STATE, NUMBERS], "Computed today.", "make it")


def test_the_page_is_as_before_in_html_but_for_style_and_script_in_markdown_and_in_text():
    html = html_page.html_page(PAGE)
    assert CSS in html
    assert (TEMPLATES / "page.js").read_text() in html
    html = re.sub(r"(<style>|<script>)\n.*?(</)", r"\1\2", html, flags=re.S)
    assert_golden(html, GOLDEN / "page.html")
    assert "<script>" not in html_page.html_page(PAGE._replace(sections=[STATE]))
    summary = markdown_page.markdown_summary([STATE], "docs/README.md")
    assert_golden(markdown_page.markdown_page(PAGE) + summary, GOLDEN / "page.md")
    assert_golden("".join(map(text_tables.section_text, PAGE.sections)), GOLDEN / "page.txt")


def hostile_page():
    """A page whose every text is HOSTILE."""
    table = Table(HOSTILE, [HOSTILE, "b"], [[HOSTILE, Entry(HOSTILE, HOSTILE, HOSTILE)]], True)
    figure = STATE.figure._replace(alt=HOSTILE, caption=HOSTILE)
    section = Section(
        "a", HOSTILE, [HOSTILE], figure, [table], {HOSTILE: HOSTILE}, [HOSTILE], HOSTILE
    )
    return Page(HOSTILE, [HOSTILE], [section], HOSTILE, HOSTILE)


def test_whatever_stands_in_a_text_is_text_in_html():
    text = html_page.html_page(hostile_page())
    assert text.count("<script>") == 1  # that of the page
    without_raw = re.sub(r"<(style|script)>.*?</\1>|<!DOCTYPE html>", "", text, flags=re.S)
    closed = re.sub(r"<meta [^>]*>", "", without_raw)
    root = ElementTree.fromstring(closed)  # every element is closed, every attribute quoted
    texts = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert texts.count(HOSTILE) == 15
    attributes = {value for element in root.iter() for value in element.attrib.values()}
    line = HOSTILE.replace("\n", " ")  # as XML reads an attribute
    assert {line, f"Table: {line}"} <= attributes


def test_whatever_stands_in_a_text_is_one_line_of_text_in_markdown():
    text = markdown_page.markdown_page(hostile_page())
    outside = re.sub(r"^(````*)bash\n.*?\n\1$", "", text, flags=re.S | re.M)
    assert not re.search(r"(?<!\\)[*_`|~]", re.sub(r"^(- \*\*.*|\|.*)", "", outside, flags=re.M))
    assert not re.search(r"(?<!\\)<(?!a id=|/a>|figures/)", outside)
    assert "\n# h" not in outside
    rows = [re.split(r"(?<!\\)\|", line) for line in outside.splitlines() if line[:1] == "|"]
    assert [len(row) for row in rows] == [4, 4, 4]
    assert markdown_page.escaped("- a") == "\\- a"
    assert markdown_page.escaped("1. a") == "1\\. a"


@pytest.mark.parametrize(
    ("text", "numeric"),
    [
        ("99.70% to 99.90%", True), ("16 of 16", True), ("-0.5", True),
        ("\u22120.5 \u00b1 .1", True), ("\u2265\u2009500 (8 to \u2265\u2009500)", True),
        ("3.2 s", True), ("1e-3", True), ("\u2013", True), ("lstm", False), ("4 units", False),
        ("to batch 5", False),
    ],
)  # fmt: skip
def test_a_column_of_numbers_is_told_from_words(text, numeric):
    rows = [["x", text], ["y", "never"], ["z", "1"], ["w", Entry("not measured", missing=True)]]
    assert Table("", ["a", "b"], rows).numeric == [False, numeric]
    for no_digit in ([["x", "never"]], []):
        assert Table("", ["a", "b"], no_digit).numeric == [False, False]


def some(value):
    return Summary(value, Interval(value / 2, (value + 1) / 2, 0.9))


@pytest.fixture(scope="module")
def wide_page():
    """Every kind of figure, long words, wide tables and long commands."""
    long = "a name that is much longer than a phone is wide, " * 3
    points = [(x, some(1 / x)) for x in range(1, 6)]
    rows = [(long, some(0.9)), ("b", some(0.1)), ("c", Summary(math.inf, None))]
    drawn = {
        "dots": charts.dots_figure(rows, [0.1, 0.1, None], "x", True),
        "lines": charts.lines_figure({"a": points, "b": points[::-1]}, "x", "y", 0.1, True),
        "bars": charts.bars_figure(["1", "2"], {"a": [0.5, 0.1]}, "x", "y", None, True),
        "map": charts.heat_figure({"a": np.eye(3)}, "123", "123", "x", "y", "z", percent=True),
    }
    table = Table(long, ["lag", *map(str, range(30))], [[long, *["100.0%"] * 30]])
    sections = [
        Section(name, f"{name}?", ["so" * 50], Figure(styles.svg(figure, name), "", long, long),
                [table], command="python x " + "--much more " * 12)
        for name, figure in drawn.items()
    ]  # fmt: skip
    return html_page.html_page(PAGE._replace(sections=[*sections, NUMBERS]))


def test_ids_are_unique_and_every_link_finds_one_on_the_page(wide_page):
    ids = re.findall(r' id="([^"]*)"', wide_page)
    assert len(ids) == len(set(ids))
    pattern = r'href="#([^"]*)"|url\(#([^)]*)\)|aria-labelledby="([^"]*)"'
    used = {name for match in re.findall(pattern, wide_page) for name in match if name}
    assert len(used) > 20
    assert used - {"state"} <= set(ids)
    # nothing is loaded from elsewhere
    assert set(re.findall(r'\s(?:src|href|xlink:href|data|srcset|action)="(.)', wide_page)) == {"#"}
    assert not re.search(r"<link|@import", wide_page)
    assert set(re.findall(r"url\((.)", wide_page)) == {"#"}
    assert set(re.findall(r'(\S+?)="?\w+://', wide_page)) == {"xmlns", "xmlns:xlink"}


def test_words_stand_out_from_what_is_behind_them(wide_page):
    colours = dict(re.findall(r"--(\w+): (#\w{6})", CSS))
    for words in ("ink", "quiet", "link"):
        for behind in ("#ffffff", colours["wash"]):
            assert contrast(colours[words], behind) >= 4.5
    used = set(re.findall(r"[^-]color: ([^;]*);", CSS)) - {"light"}
    assert used == {"var(--ink)", "var(--quiet)", "var(--link)"}
    assert set(re.findall(r"background: ([^;]*);", CSS)) == {"#ffffff", "var(--wash)"}
    map_of = re.search(r'<g id="map-figure_1">.*?</svg>', wide_page, re.S)[0]
    styles = re.findall(r'<text style="([^"]*)"', wide_page.replace(map_of, ""))
    assert len(styles) > 20
    for style in styles:
        colour = re.search(r"fill: (#\w{6})", style)
        assert contrast(colour[1] if colour else "#000000") >= 4.5


@pytest.mark.timeout(60)
def test_in_a_browser_nothing_is_wider_than_the_window_and_every_figure_is_seen(
    wide_page, tmp_path
):
    for width, seen in browser.measured(wide_page, tmp_path).items():
        assert seen == browser.Seen(width, width, sections=5, figures=4, broken=0, font=18)


CLICKS = """
<script>
const found = [], table = document.querySelector(".sortable table");
for (const name of ["span", "span", "bits", "cell"]) {
  const heading = [...table.tHead.rows[0].cells].find(each => each.textContent === name);
  heading.querySelector("button").click();
  const rows = [...table.tBodies[0].rows].map(row => row.cells[0].textContent.slice(0, 3));
  const sorted = [...table.querySelectorAll("[aria-sort]")].map(each => each.textContent);
  found.push([name, heading.ariaSort, sorted, ...rows].join(" "));
}
document.body.dataset.found = found.join("; ");
</script>
"""


@pytest.mark.timeout(60)
def test_a_click_on_a_heading_sorts_and_what_has_no_key_stays_at_the_bottom(tmp_path):
    content = html_page.html_page(PAGE).replace("</body>", f"{CLICKS}</body>")
    (tmp_path / "page.html").write_text(content)
    found = re.search('data-found="([^"]*)"', browser.opened(tmp_path / "page.html", tmp_path))[1]
    assert found.split("; ") == [
        "span ascending span lru a c b",
        "span descending span a c lru b",
        "bits ascending bits b lru a c",
        "cell ascending cell a c b lru",
    ]
