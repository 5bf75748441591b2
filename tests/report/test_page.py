import functools
import itertools
import math
import re
from html.parser import HTMLParser

import browser
import numpy as np
import pytest
from wcag import contrast

from echo_jax.report import figures, page
from echo_jax.report.figures import Estimate

LONG = "a name that is much longer than a phone is wide, " * 3


def some(value):
    return Estimate(value, value / 2, (value + 1) / 2)


def drawings():
    points = [(x, some(1 / x)) for x in range(1, 6)]
    rows = [(LONG, some(0.9)), ("b", some(0.1)), ("c", Estimate(math.inf, None, None))]
    return {
        "state": figures.dots_figure(rows, [0.1, 0.1, None], "x", True),
        "reach": figures.lines_figure({"a": points, "b": points[::-1]}, "x", "y", 0.1, True),
        "follows": figures.bars_figure(["1", "2"], {"a": [0.5, 0.1]}, "x", "y", None, True),
        "map": figures.heat_figure({"a": np.eye(3)}, "123", "123", "x", "y", "z", percent=True),
    }


@functools.cache
def sections():
    table = page.Table(
        f"Accuracy of {LONG}",
        ["network", "accuracy", "interval", "what is it?"],
        [
            [LONG, "99.81%", "99.70% to 99.90%", "4 units"],
            ["gru | <gru>", "never", "\u2013", "no * number_s"],
        ],
    )
    numbers = page.Table("By lag", ["lag", *map(str, range(30))], [["1", *["100.0%"] * 30]])
    return [
        page.Section(
            name=name,
            question=f'Does <b>{name}</b> & "more" help?',
            answer=["It does not.", "1. It's < 5% & no more.", f"But {name} does {'so' * 50}."],
            tables=[table, numbers][: i + 1],
            figure=figures.svg(figure, name),
            alt=f'A figure of "{name}" & <others>',
            command=f"python scripts/study.py {name} {'--much more ' * 12}",
            caption="Accuracy & more over <lag>." if i else "",
            notes=[f"Each of {name} is a median.", "- not a list"][:i],
        )
        for i, (name, figure) in enumerate(drawings().items())
    ] + [page.Section("last", "And without a figure?", ["Yes."], [], "", "", "python x", [])]


HEAD = page.Head(
    title="What is <remembered>?",
    introduction=["First words.", "An interval & what it means."],
    versions="echo_jax 0.1.0, jax 0.10",
    date="2026-01-02",
    command="python scripts/study.py --all",
)


EMPTY = ("meta", "br", "hr", "img")


class Reader(HTMLParser):
    """What is in a page: elements with their attributes, and the words in each kind of them."""

    def __init__(self, content):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attributes)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.words.append((self.open[-1], data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def said(self, *tags):
        return [words for tag, words in self.words if tag in tags]


@pytest.fixture(scope="module")
def content():
    return page.html_page(HEAD, sections())


@pytest.fixture(scope="module")
def read(content):
    return Reader(content)


def test_every_word_and_number_is_on_the_page_as_it_was_given(read):
    said = read.said("h1", "h2", "p", "th", "td", "caption", "code", "a")
    for text in (HEAD.title, *HEAD.introduction, HEAD.command):
        assert text in said
    for section in sections():
        for text in (section.question, *section.answer, section.command, *section.notes):
            assert text in said
        for table in section.tables:
            for text in (table.caption, *table.headings, *itertools.chain(*table.rows)):
                assert text in said
    assert f"{HEAD.date} with {HEAD.versions}" in " ".join(said)


def test_every_element_is_closed_and_there_is_no_script(read):
    assert read.open == []
    assert {"html", "head", "title", "body", "header", "nav", "main", "footer"} <= {
        tag for tag, _ in read.elements
    }
    assert not read.all("script")
    assert not [key for _, attributes in read.elements for key in attributes if key[:2] == "on"]


def test_headings_begin_with_one_of_the_first_level_and_skip_none(read):
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert levels.count(2) == len(sections())
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_ids_are_there_once_and_every_link_and_reference_finds_one(content, read):
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes in read.all("a")]
    assert links[1:6] == [f"#{section.name}" for section in sections()]
    used = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)|aria-labelledby="([^"]*)"', content)
    assert len(used) > 20
    assert {name for match in used for name in match if name} <= set(ids)


def test_nothing_is_loaded_from_elsewhere(content, read):
    for _, attributes in read.elements:
        for key, value in attributes.items():
            if key in ("src", "href", "xlink:href", "data", "srcset", "action"):
                assert value.startswith("#")
    assert not read.all("link")
    assert "@import" not in content
    assert set(re.findall(r"url\((.)", content)) == {"#"}
    addresses = re.findall(r'(\S+?)="?\w+://', content)
    assert set(addresses) == {"xmlns", "xmlns:xlink"}


def test_a_figure_is_one_picture_with_one_name(read):
    pictures = [(a["role"], a["aria-label"]) for a in read.all("svg")]
    assert pictures == [("img", section.alt) for section in sections() if section.figure]
    assert len(read.all("figure")) == len(read.all("figcaption")) == 4
    captions = [made.caption or made.question for made in sections() if made.figure]
    assert read.said("figcaption") == [f"Figure {i + 1}. {c}" for i, c in enumerate(captions)]


def test_cells_are_headed_and_what_is_wide_is_moved_with_a_key(read):
    scopes = [attributes["scope"] for attributes in read.all("th")]
    tables = [table for section in sections() for table in section.tables]
    assert scopes.count("col") == sum(len(table.headings) for table in tables)
    assert scopes.count("row") == sum(len(table.rows) for table in tables)
    moved = [a for _, a in read.elements if a.get("class") == "scroll"]
    assert len(moved) == 4 + len(tables) + len(sections()) + 1
    assert all(a["tabindex"] == "0" and a["role"] == "region" for a in moved)
    assert all(a["aria-label"] for a in moved)


def test_columns_of_numbers_stand_to_the_right_and_others_to_the_left():
    table = sections()[0].tables[0]
    read = Reader(page.html_page(HEAD, sections()[:1]))
    cells = [attributes.get("class") for tag, attributes in read.elements if tag in ("th", "td")]
    assert cells[: len(table.headings)] == [None, "number", "number", None]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("99.70% to 99.90%", True),
        ("16 of 16", True),
        ("-0.5", True),
        ("\u22120.5 \u00b1 .1", True),
        ("3.2 s", True),
        ("1e-3", True),
        ("lstm", False),
        ("4 units", False),
        ("to batch 5", False),
    ],
)
def test_a_number_is_told_from_words(cell, number):
    table = page.Table("", ["a", "b"], [["x", cell], ["y", "never"]])
    assert ("---:" in page.markdown_page(HEAD, [with_table(table)], {})) == number


def with_table(table):
    return page.Section("a", "a?", ["b"], [table], "", "", "c", [])


def test_a_column_of_never_alone_and_a_table_without_rows_are_words():
    never = page.Table("", ["a", "b"], [["x", "never"]])
    empty = page.Table("", ["a", "b"], [])
    for table in (never, empty):
        assert "---:" not in page.markdown_page(HEAD, [with_table(table)], {})
        assert 'class="number"' not in page.html_page(HEAD, [with_table(table)])


def test_words_stand_out_from_what_is_behind_them():
    colours = dict(re.findall(r"--(\w+): (#\w{6})", page.STYLE))
    for words in ("ink", "quiet", "link"):
        for behind in ("#ffffff", colours["wash"]):
            assert contrast(colours[words], behind) >= 4.5
    used = set(re.findall(r"[^-]color: ([^;]*);", page.STYLE)) - {"light"}
    assert used == {"var(--ink)", "var(--quiet)", "var(--link)"}
    assert set(re.findall(r"background: ([^;]*);", page.STYLE)) == {"#ffffff", "var(--wash)"}


def test_words_in_figures_stand_out_from_white(content):
    map_of = re.search(r'<g id="map-figure_1">.*?</svg>', content, re.S)[0]
    styles = re.findall(r'<text style="([^"]*)"', content.replace(map_of, ""))
    assert len(styles) > 20
    for style in styles:
        colour = re.search(r"fill: (#\w{6})", style)
        assert contrast(colour[1] if colour else "#000000") >= 4.5


def test_markdown_tables_have_as_many_cells_in_every_line():
    content = page.markdown_page(HEAD, sections(), {})
    tables = re.findall(r"(?:^\|.*\n)+", content, re.M)
    assert len(tables) == sum(len(section.tables) for section in sections())
    for table in tables:
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
        assert len({len(row) for row in rows}) == 1
    rules = tables[0].splitlines()[1]
    assert rules == "| --- | ---: | ---: | --- |"
    assert "| gru \\| \\<gru\\> | never | \u2013 | no \\* number\\_s |" in tables[0]


def test_the_markdown_says_what_was_given_and_points_to_the_figures():
    content = page.markdown_page(HEAD, sections(), {"state": "figures/state.svg"})
    read = re.sub(r"\\(.)", r"\1", content)
    for section in sections():
        assert f'<a id="{section.name}"></a>\n\n## {section.question}' in read
        assert f"](#{section.name})" in read
        assert f"```bash\n{section.command}\n```" in content
        for text in (*section.answer, *section.notes):
            assert " ".join(text.split()) in read
    assert '![A figure of "state" & <others>](<figures/state.svg>)' in read
    assert read.count("![") == 1
    assert "\n\n\\- not a list" in content
    assert f"{HEAD.date} with {HEAD.versions}" in read


@pytest.mark.timeout(60)
def test_in_a_browser_nothing_is_wider_than_the_window_and_every_figure_is_seen(content, tmp_path):
    for width, seen in browser.measured(content, tmp_path).items():
        assert seen == browser.Seen(width, width, sections=5, figures=4, broken=0, font=18)
