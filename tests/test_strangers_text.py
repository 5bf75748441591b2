"""Text of a stranger in every output: it is shown, and neither run nor obeyed."""

import csv
import io
import re
from xml.etree import ElementTree

import msgspec
import pytest
from fabricated import row
from fabricated_results import CONFIG, fabricated_result
from made_up_cards import card, lag_row

import echo_jax
from echo_jax.config import changed
from echo_jax.exceptions import ConfigError
from echo_jax.memory import card as cards
from echo_jax.memory.pages import all_cards, card_pages, table
from echo_jax.notebook.card_call import CardResult
from echo_jax.notebook.study_answer import StudyAnswer
from echo_jax.notebook.training_call import Run
from echo_jax.report import markdown_page, text_tables
from echo_jax.runs import csv_input
from echo_jax.studies import study_pages, tidy_rows
from echo_jax.studies.catalogue import Study
from echo_jax.studies.grid_point import GridPoint

HOSTILE = (
    "</p></pre></details><script>alert(1)</script>\"'&amp; *b* _i_ `c` | ~",
    "![x](javascript:alert(1)) [a](b) {{ 7*7 }} {lag=3}",
    "a\n```\n# heading\r\n\n## heading",
    "\x1b]0;mine\x07\x1b[31mred\x9b2J turned\u202earound\u2028",
    '=HYPERLINK("http://example.org","x")', "+1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1",
    "\\input{/etc/passwd} %$&#_^~{}", "$x^$",
)  # fmt: skip
"""What a stranger may have called a cell, a device, a column or a value."""

ROWS = [lag_row([3.0]), lag_row([2.0], 1)]


def card_of(name):
    made = card(ROWS, name, args={name: name}, devices=[name], remarks=[name], name="a-card")
    return msgspec.structs.replace(made, versions={name: name})


def study_of(name):
    """A study, as of a sweep over values of the user's, with one row; and its section."""
    points = tuple(GridPoint({name: label}, changed(CONFIG, seeds=2)) for label in (name, "plain"))
    study, rows = Study(f"What of {name}?", points), [row(points[0], 0)]
    section = study_pages.section("state", study, rows, "echo-jax study state")
    return study, rows, section._replace(answer=[name], notes=[name])


def pages(name):
    (_, rows, section), made = study_of(name), card_of(name)
    column = changed(CONFIG, csv="my.csv", column=re.sub("[\0-\x1f\x7f-\x9f]", "", name))
    yield card_pages.page(made, ROWS)
    yield all_cards.page([made, card(ROWS, "gru")], [made], [])
    yield CardResult(made, [])._repr_markdown_()
    yield Run(column, fabricated_result(column), None, None, None, None)._repr_markdown_()
    yield StudyAnswer("state", section, rows)._repr_markdown_()
    yield markdown_page.markdown_page(name, [name], [section, section], name, "make it")


def lines(text):
    """The number of lines of a text, of which a terminal obeys no letter."""
    assert all(map(str.isprintable, text.split("\n"))), text
    return text.count("\n")


def markup(page):
    return re.findall(r"^```|^#+ |<[^>]*>|(?<!\\)\]\([^)]*\)", page, re.M)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_stranger_wrote_is_text_in_pages_terminals_csv_latex_and_figures(name):
    for page, harmless in zip(pages(name), pages("harmless"), strict=True):
        assert (lines(page), markup(page)) == (lines(harmless), markup(harmless))
    (study, rows, section), made = study_of(name), card_of(name)
    harmless = study_pages.in_terminal(study_of("harmless")[2])
    assert lines(study_pages.in_terminal(section)) == lines(harmless)
    assert lines(table.side_by_side([msgspec.structs.replace(made, name=name)])) == 4
    for tidy in (*tidy_rows.tables(study, rows).values(), table.tidy_rows([made])):
        text = text_tables.csv_text(tidy)
        for cell in [x for line in csv.reader(io.StringIO(text, newline="")) for x in line]:
            assert not cell.startswith(tuple("-=+@\t\r")) or re.fullmatch(r"-?[\d.]+", cell)
    for latex in (section.tables[0], table.cards_table([made])):
        text = text_tables.latex_text(latex)
        assert lines(text) == 7 + len(latex.rows)
        assert not re.search(r"(?<!\\)[$#%_^~]|\\input", text.partition("\n")[2])
    for figure in all_cards.images(all_cards.drawings_of([made]), "svg").values():
        ElementTree.fromstring(figure)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_stranger_wrote_is_in_an_error_one_line_of_text(name, tmp_path):
    (tmp_path / "a.csv").write_text(f'"{name.replace(chr(34), "")}"\n1\n2\n', newline="")
    for read in (
        lambda: csv_input.read_inputs(changed(CONFIG, csv=str(tmp_path / "a.csv"))),
        lambda: csv_input.read_column(tmp_path / "a.csv", f"{name} x"),
        lambda: cards.read(tmp_path / name),
        lambda: echo_jax.train(cell=name),
    ):
        with pytest.raises(ConfigError) as refusal:
            read()
        assert refusal.value.spelled("flag").isprintable()
        assert str(refusal.value).isprintable()


@pytest.mark.parametrize("name", ["a b", "<b>", "a\n```", "x\x1b[31m", "=1", ".hidden", "a\n"])
def test_a_folder_with_a_name_that_no_card_has_is_refused(name, tmp_path):
    (tmp_path / name).mkdir()
    cards.write(card(ROWS), ROWS, tmp_path / name)
    for read in (all_cards.write_report, echo_jax.cards):
        with pytest.raises(ConfigError, match="is no name of a card: use up to 100"):
            read(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
