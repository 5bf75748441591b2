"""The same page by every renderer: golden files, hostile text, and what a browser does with it."""

import html
import json
import math
import re
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import browser
import numpy as np
import pytest
from golden import assert_golden
from wcag import contrast

from echo_jax.report import charts, html_page, markdown_page, styles, text_tables
from echo_jax.report.page import PROJECT, Entry, Figure, Page, Section, Table
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
            descending="span",
        )
    ],
    meanings={"span": "How far back.", "bits": "How much."},
)
PAGE = Page(
    "What is <kept>?",
    ["First & last."],
    [STATE, NUMBERS],
    "Computed today.",
    "make it",
    {"First & last": "https://example.org/?a&b"},
)


def test_the_page_is_as_before_in_html_but_for_style_and_script_in_markdown_and_in_text():
    page = html_page.html_page(PAGE)
    assert CSS in page
    assert (TEMPLATES / "page.js").read_text() in page
    page = re.sub(r"(<style>|<script>)\n.*?(</)", r"\1\2", page, flags=re.S)
    assert_golden(page, GOLDEN / "page.html")
    summary = markdown_page.markdown_summary([STATE], "docs/README.md")
    assert_golden(markdown_page.markdown_page(PAGE) + summary, GOLDEN / "page.md")
    assert_golden("".join(map(text_tables.section_text, PAGE.sections)), GOLDEN / "page.txt")


def hostile_page():
    """A page whose every text is HOSTILE."""
    table = Table(HOSTILE, [HOSTILE, "b"], [[HOSTILE, Entry(HOSTILE, HOSTILE, HOSTILE)]])
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
    assert texts.count(HOSTILE) == 17
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
    rows = [(long, {"": some(0.9)}), ("b", {"": some(0.1)}), ("c", {"": Summary(math.inf, None)})]
    series = {"a": points, "b": points[::-1]}

    def drawn(width):
        yield "dots", charts.dots_figure(rows, [0.1, 0.1, None], "x", True, width=width)
        yield "lines", charts.lines_figure(series, "x", "y", 0.1, True, width=width)
        of = {"percent": True, "width": width}
        yield "map", charts.heat_figure({"a": np.eye(3)}, "123", "123", "x", "y", "z", **of)

    wide, narrow = dict(drawn(styles.WIDTH)), dict(drawn(styles.NARROW))
    table = Table(long, ["lag", *map(str, range(30))], [[long, *["100.0%"] * 30]])
    sections = [
        Section(
            name, f"{name}?", ["so" * 50, "more"],
            Figure(styles.svg(figure, name), "", long, long, styles.svg(narrow[name], name + "2")),
            [table], command="python x " + "--much more " * 12,
        )
        for name, figure in wide.items()
    ]  # fmt: skip
    folded = sections[0]._replace(
        name="card", folded=True, figure=None,
        panels=[Figure(styles.svg(dots(styles.NARROW), f"p{i}"), "", "Dots", "Up.") for i in "123"],
    )  # fmt: skip
    sections.append(folded)
    return html_page.html_page(PAGE._replace(sections=[*sections, NUMBERS]))


def test_ids_are_unique_and_every_link_finds_one_on_the_page(wide_page):
    ids = re.findall(r' id="([^"]*)"', wide_page)
    assert len(ids) == len(set(ids))
    pattern = r'href="#([^"]*)"|url\(#([^)]*)\)|aria-labelledby="([^"]*)"'
    used = {name for match in re.findall(pattern, wide_page) for name in match if name}
    assert len(used) > 20
    assert used - {"state"} <= set(ids)
    # nothing is loaded from elsewhere: an address is only that of a link to follow
    wide_page, links = re.subn('<a href="https://example.org/[^"]*">', "", wide_page)
    assert links == 1
    assert set(re.findall(r'\s(?:src|href|xlink:href|data|srcset|action)="(.)', wide_page)) == {"#"}
    assert not re.search(r"<link|@import", wide_page)
    assert set(re.findall(r"url\((.)", wide_page)) == {"#"}
    assert set(re.findall(r'(\S+?)="?\w+://', wide_page)) == {"xmlns", "xmlns:xlink"}


def test_marks_of_figures_stand_out_by_day_and_by_night():
    used = set(re.findall(r"[^-]color: ([^;]*);", CSS))
    names = ("ink", "quiet", "hint", "link", "paper")
    assert used == {f"var(--{name})" for name in names} | {"inherit"}
    themes = re.findall(r":root \{(.*?)\}", CSS, re.S)[:2]
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#\w{6});", theme))
        assert contrast(colours["hint"], colours["paper"]) >= 4.5  # of the words in an empty filter
        for name in {each[6:-1] for each in styles.COLOURS.values()} - {"paper", "rule"}:
            assert contrast(colours[name], colours["paper"]) >= 3, name
    drawn = re.findall(r"#[0-9a-f]{6}", html_page._in_page(styles.svg(dots(), "a")))
    assert not drawn


def dots(width=styles.WIDTH):
    rows = [("a", {"": some(0.9)}), ("b", {"": some(0.1)})]
    return charts.dots_figure(rows, [0.1] * 2, "x", True, width=width)


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser.tab(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.mark.timeout(60)
@pytest.mark.parametrize("dark", [False, True])
def test_in_a_browser_all_can_be_read_and_nothing_is_clipped_without_a_cue(
    wide_page, tab, tmp_path, dark
):
    (tmp_path / "page.html").write_text(wide_page)
    views = [(width, dark) for width in (390, 768, 1280)]
    for folded, opened in browser.audits(tab, tmp_path / "page.html", views):
        assert (folded["sections"], folded["figures"], opened["figures"]) == (5, 3, 6)
        assert opened["texts"] > 1.5 * folded["texts"]
        assert opened["height"] > folded["height"]
    paper = "rgb(21, 24, 27)" if dark else "rgb(255, 255, 255)"
    assert tab.run("getComputedStyle(document.body).backgroundColor") == paper


SORTED = """(() => {
  const found = [], table = document.querySelectorAll("table")[1];
  for (const name of ["span", "span", "bits", "cell"]) {
    const heading = [...table.tHead.rows[0].cells].find(each => each.textContent === name);
    heading.querySelector("button").click();
    const rows = [...table.tBodies[0].rows].map(row => row.cells[0].textContent.slice(0, 3));
    const sorted = [...table.querySelectorAll("[aria-sort]")].map(each => each.textContent);
    found.push([name, heading.ariaSort, sorted, ...rows].join(" "));
  }
  return found;
})()"""


def test_a_click_on_a_heading_sorts_and_what_has_no_key_stays_at_the_bottom(tab, tmp_path):
    (table,) = NUMBERS.tables
    tiny = table._replace(rows=[*table.rows, ["tiny", "7e1", "3.1e-05"]])
    page = PAGE._replace(sections=[STATE, NUMBERS._replace(tables=[tiny])])
    (tmp_path / "page.html").write_text(html_page.html_page(page))
    tab.open(tmp_path / "page.html")
    assert tab.run(SORTED) == [
        "span ascending span b lru a c tin",
        "span descending span tin a c lru b",
        "bits ascending bits tin b lru a c",
        "cell ascending cell a c b lru tin",
    ]


def test_a_link_into_what_is_folded_opens_it(tab, tmp_path):
    """Chromium opens it when it goes there; other browsers wait for the page to do it."""
    page = PAGE._replace(sections=[STATE._replace(folded=True), NUMBERS])
    (tmp_path / "page.html").write_text(html_page.html_page(page))
    tab.open(tmp_path / "page.html")
    folded = "document.querySelector('details.folded')"
    assert not tab.run(f"{folded}.open")
    tab.run("location.hash = 'state'")
    tab.run(f"{folded}.open = false")
    tab.run("dispatchEvent(new HashChangeEvent('hashchange'))")
    assert tab.run(f"{folded}.open")


def test_all_that_the_page_does_is_done_by_keys_alone(tab, tmp_path):
    rows = [[f"row {i}", f"{i % 7}.5% (1 to {i})"] for i in range(20)]
    figure = Figure(styles.svg(dots(), "dots"), "", "Dots", "Up.")
    section = STATE._replace(figure=figure, tables=[Table("Many", ["name", "score"], rows)])
    (tmp_path / "page.html").write_text(html_page.html_page(PAGE._replace(sections=[section])))
    tab.open(tmp_path / "page.html")
    active = "document.activeElement"

    def tab_to(what):
        for _ in range(20):
            tab.press("Tab")
            if tab.run(f"{active}.matches({what!r})"):
                return
        raise AssertionError(f"{what} is not reached by Tab")

    shown = "document.getElementById('page-value')"
    tab_to(".drawing")
    assert tab.run(f"{shown}.textContent") == "a: 90.00% (45.00 to 95.00)"
    tab.press("ArrowRight")
    assert tab.run(f"{shown}.textContent") == "b: 10.00% (5.00 to 55.00)"
    tab.press("Escape")
    assert tab.run(f"{shown}.hidden")
    tab_to("summary")
    tab.press("Enter")
    tab_to("input")
    tab.type("2.5% name:row 5")
    assert tab.run("document.querySelector('.filter span').textContent") == "0 of 20 rows"
    tab.run("document.querySelector('input').value = ''")
    tab.type("2.5 name:row")
    seen = "[...document.querySelectorAll('tbody tr')].filter(row => !row.hidden)"
    assert tab.run(f"{seen}.map(row => row.cells[0].textContent)") == ["row 2", "row 9", "row 16"]
    assert tab.run("document.querySelector('.filter span').textContent") == "3 of 20 rows"
    tab_to("th:last-child button")
    tab.press("Enter")
    assert tab.run("document.querySelector('[aria-sort]').textContent") == "score"


def test_the_value_under_the_pointer_or_a_finger_is_said(tab, tmp_path):
    figure = Figure(styles.svg(dots(), "dots"), "", "Dots", "Up.")
    section = STATE._replace(figure=figure)
    (tmp_path / "page.html").write_text(html_page.html_page(PAGE._replace(sections=[section])))
    tab.open(tmp_path / "page.html")
    x, y, words = json.loads(html.unescape(re.search('data-marks="(.*?)"', figure.svg)[1]))[0]
    box, scale = (
        tab.run(f"(() => {{ const svg = document.querySelector('figure svg'); return {what} }})()")
        for what in (
            "svg.getBoundingClientRect().toJSON()", "svg.clientWidth / svg.viewBox.baseVal.width"
        )
    )  # fmt: skip
    shown = "document.getElementById('page-value')"
    tab.point(box["left"] + scale * x, box["top"] + scale * y)
    assert tab.run(f"{shown}.hidden || {shown}.textContent") == words
    tab.point(1, 1)
    assert tab.run(f"{shown}.hidden")
    tab.touch(box["left"] + scale * x, box["top"] + scale * y)
    assert tab.run(f"{shown}.hidden || {shown}.textContent") == words  # when the finger has left
    tab.touch(box["left"] + 1, box["top"] + 1)
    assert tab.run(f"{shown}.hidden")


def test_the_address_of_the_project_is_that_of_its_metadata():
    pages = metadata.metadata("echo_jax").get_all("Project-URL")
    assert f"Homepage, {PROJECT['echo_jax']}" in pages
