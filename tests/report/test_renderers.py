"""The same page by every renderer: golden files, alignment."""

import dataclasses
from pathlib import Path

import fabricated
from golden import assert_golden

from echo_jax.memory.pages import built_in_cards, table
from echo_jax.report import markdown_page, text_tables
from echo_jax.report.page import Figure, Section, Table
from echo_jax.studies import study_pages, study_tables
from echo_jax.studies.catalogue import STUDIES

GOLDEN = Path(__file__).parent / "golden"

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
                ["lstm_1", "99.81% (99.70 to 99.90)", "1,489 (1,450 to >2,000)"],
                ['say "x"', "\u22655%", ">2,000"],
                ["mlp", "-", "\u2212"],
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
)
PAGE = ("What is <kept>?", ["First & last."], [STATE, NUMBERS], "Computed today.", "make it")


def test_a_page_is_as_before_in_markdown_and_in_a_terminal_and_its_tables_in_latex():
    assert_golden(markdown_page.markdown_page(*PAGE), GOLDEN / "page.md")
    assert_golden("".join(map(study_pages.in_terminal, PAGE[2])), GOLDEN / "page.txt")
    assert_golden(text_tables.latex_text(STATE.tables[0]), GOLDEN / "state.tex")


def test_a_text_that_begins_as_a_list_or_heading_is_escaped():
    for text, safe in {"- a": r"\- a", "1. a": r"1\. a", "# a": r"\# a", "a - b": "a - b"}.items():
        assert markdown_page.escaped(text) == safe
    assert "\n````bash\n" in markdown_page.markdown_section(STATE._replace(command="a\n```"))


def every_table():
    """The tables of all studies and of the built-in cards."""
    for study in STUDIES.values():
        few = dataclasses.replace(study, points=study.points[::4])
        yield study_tables.main_table(study, fabricated.study_rows(few))
    for card in built_in_cards.built_in_cards():
        yield table.cards_table([card])


def test_latex_has_a_command_for_every_character_of_every_table():
    for made in every_table():
        _, *lines = text_tables.latex_text(made).splitlines()
        assert "\n".join(lines).isascii()
