"""The same page by every renderer: golden files, hostile text, alignment, plain numbers."""

import csv
import io
import math
import re
from pathlib import Path

from golden import assert_golden

from echo_jax.report import markdown_page, paper_tables, text_page
from echo_jax.report.page import Entry, Figure, Page, Section, Table

GOLDEN = Path(__file__).parent / "golden"

HOSTILE = (
    "</p></pre><script>alert(1)</script>\"'&amp; {{ 7*7 }} {% x %} $5 "
    "*b* _i_ `c` [a](b) | ~\n```\n# h"
)

STATE = Section(
    "state",
    "Does the state help?",
    ["It does.", "1. By < 5% & more."],
    Figure("figures/state.svg", "Dots", "By n."),
    [
        Table(
            "Accuracy\nof two lines",
            ["cell & more", "accuracy", "sequences to 99%"],
            [
                ["lstm_1", Entry("99.81% (99.70 to 99.90)", 0.9981, 0.997, 0.999),
                 Entry("1,489 (1,450 to never)", 1489, 1450, math.inf)],
                ['say "x"', Entry("\u2265\u20095%", 0.05), Entry("never", math.inf)],
                ["mlp", Entry("-", None), Entry("\u2212", None)],
            ],
        )
    ],
    notes=["Each number is a median.", "- not a list"],
    command="echo-jax study state",
)  # fmt: skip
NUMBERS = Section(
    "numbers",
    "All numbers",
    tables=[Table("Many.", ["n", "name"], [[str(i), f"row {i}"] for i in range(25)])],
    meanings={"name": "What it is called."},
)
PAGE = Page("What is <kept>?", ["First & last."], [STATE, NUMBERS], "Computed today.", "make it")


def test_a_page_is_as_before_in_markdown_and_in_a_terminal_and_its_tables_in_csv_and_latex():
    assert_golden(markdown_page.markdown_page(PAGE), GOLDEN / "page.md")
    assert_golden("".join(map(text_page.section_text, PAGE.sections)), GOLDEN / "page.txt")
    (table,) = STATE.tables
    assert_golden(paper_tables.csv_text(table), GOLDEN / "state.csv")
    assert_golden(paper_tables.latex_text(table), GOLDEN / "state.tex")


def test_whatever_stands_in_a_text_is_one_line_of_text_in_markdown():
    table = Table(HOSTILE, [HOSTILE, "b"], [[HOSTILE, Entry(HOSTILE, None)]])
    section = Section("a", HOSTILE, [HOSTILE], None, [table], {HOSTILE: HOSTILE}, [HOSTILE])
    page = Page(HOSTILE, [HOSTILE], [section], HOSTILE, HOSTILE)
    text = markdown_page.markdown_page(page)
    assert text.count(markdown_page.escaped(HOSTILE)) == 13
    assert "\n````bash\n" in text  # a fence longer than that of the command
    assert not re.search(r"(?<!\\)[`*_\[\]]|[<>|~\n]|&(?!#?\w+;)", markdown_page.escaped(HOSTILE))
    for text, safe in {"- a": r"\- a", "1. a": r"1\. a", "# a": r"\# a", "a - b": "a - b"}.items():
        assert markdown_page.escaped(text) == safe


def test_csv_has_plain_numbers_with_their_intervals_beside_them():
    rows = list(csv.DictReader(io.StringIO(paper_tables.csv_text(STATE.tables[0]))))
    lstm, other, mlp = rows
    assert (lstm["accuracy"], lstm["accuracy, low"], lstm["accuracy, high"]) == (
        "0.9981", "0.997", "0.999",
    )  # fmt: skip
    assert float(lstm["sequences to 99%, high"]) == float(other["sequences to 99%"]) == math.inf
    assert mlp["accuracy"] == mlp["accuracy, low"] == ""
    assert other["cell & more"] == 'say "x"'


def test_no_text_is_a_command_in_latex():
    text = paper_tables.latex_text(Table("", ["\\input{x}"], [["$a^2~{#}"]]))
    assert r"\textbackslash{}input\{x\}" in text
    assert r"\$a\textasciicircum{}2\textasciitilde{}\{\#\}" in text
