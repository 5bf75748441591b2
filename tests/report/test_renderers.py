"""The same page by every renderer: golden files, alignment."""

from pathlib import Path

from golden import assert_golden

from echo_jax.echo.studies import study_folder
from echo_jax.report import text_tables
from echo_jax.report.charts import NotebookFigure
from echo_jax.report.page import Paper, markdown_page, write_for_paper, write_page
from echo_jax.report.section import Section
from echo_jax.report.text_tables import Table

GOLDEN = Path(__file__).parent / "golden"

STATE = Section(
    "state",
    "Does the state help?",
    ["It does.", "1. By < 5% & more."],
    NotebookFigure,
    "Dots",
    "By n.",
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
    columns=study_folder.SCORE_MEANINGS,
    command="echo-jax study state",
)  # fmt: skip
NUMBERS = Section(
    "numbers",
    "All numbers",
    tables=[Table("Many.", ["n", "name"], [[str(i), f"row {i}"] for i in range(25)])],
    tidy={"": lambda: [{"n": 1}, {"n": None, "name": "b"}], "-none": list},
    columns=study_folder.SCORE_MEANINGS,
)
PAGE = ("What is <kept>?", ["First & last."], [STATE, NUMBERS], "Computed today.", "make it")


def test_a_page_is_as_before_in_markdown_and_in_a_terminal_and_its_tables_in_latex():
    assert_golden(markdown_page(*PAGE), GOLDEN / "page.md")
    assert_golden("".join(f"\n{each.report()}" for each in PAGE[2]), GOLDEN / "page.txt")
    assert_golden(text_tables.latex_text(STATE.tables[0]), GOLDEN / "state.tex")


def test_a_folder_has_the_page_and_its_figures_and_tables_for_a_paper(tmp_path):
    """A row may lack a name that another has; tables without a row are no file."""
    written = write_page(tmp_path / "README.md", markdown_page(*PAGE), PAGE[2])
    written += write_for_paper(tmp_path, PAGE[2], Paper("png", tables=("csv", "latex")))
    names = ["figures/state.svg", "README.md", "figures/state.png"]
    names += ["tables/state.tex", "tables/numbers.csv", "tables/numbers.tex"]
    assert [str(path.relative_to(tmp_path)) for path in written] == names
    assert (tmp_path / "tables" / "numbers.csv").read_text() == "n,name\n1,\n,b\n"
    assert NUMBERS.rows == [{"n": 1}, {"n": None, "name": "b"}]
    assert (tmp_path / "figures" / "state.png").read_bytes().startswith(b"\x89PNG")
