"""Text of a stranger in every output: it is shown, and neither run nor obeyed."""

import csv
import dataclasses
import io
import re
from xml.etree import ElementTree

import msgspec
import pytest
from fabricated import row
from fabricated_results import ACCURACY, CONFIG, LOSS, fabricated_result
from made_up_cards import card, lag_row

import echo_jax
from echo_jax.config import changed
from echo_jax.echo.run import own_data
from echo_jax.echo.run.checkpoint import History
from echo_jax.echo.run.train_call import Run
from echo_jax.echo.studies import study_folder
from echo_jax.echo.studies.catalogue import Study
from echo_jax.echo.studies.grid_point import GridPoint
from echo_jax.exceptions import ConfigError
from echo_jax.memory import card_contents as cards
from echo_jax.memory.card.card_call import CardResult
from echo_jax.memory.pages import card_pages, curve_figures, table
from echo_jax.report import page, styles, text_tables
from echo_jax.storage import csv_and_text

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


def outputs(name):
    """A card and a study, as of a sweep over the user's values, all of whose texts are a name."""
    made = card(ROWS, name, args={name: name}, devices=[name], remarks=[name], name="a-card")
    made.versions = {name: name}
    points = [GridPoint({name: label}, changed(CONFIG, seeds=2)) for label in (name, "plain")]
    study, rows = Study(f"What of {name}?", tuple(points)), [row(points[0], 0)]
    section = study_folder.section("state", study, rows, "make it")
    texts = {"alt": name, "caption": name, "answer": [name], "notes": [name]}
    return made, dataclasses.replace(section, **texts)


def pages(name):
    made, section = outputs(name)
    column = changed(CONFIG, csv="my.csv", column=re.sub("[\0-\x1f\x7f-\x9f]", "", name))
    yield card_pages.page(made, ROWS)
    yield card_pages.page_of_all([made, card(ROWS, "gru")], [made], [])
    yield CardResult(made, [])._repr_markdown_()
    history = History(column)
    history.append(LOSS, ACCURACY)
    yield Run(column, fabricated_result(column), history, None, None, None, None)._repr_markdown_()
    yield section._repr_markdown_()
    yield page.markdown_page(name, [name], [section, section], name, "make it")


def lines(text):
    """The number of lines of a text, of which a terminal obeys no letter."""
    assert all(map(str.isprintable, text.split("\n"))), text
    return text.count("\n")


def markup(text):
    return re.findall(r"^```|^#+ |<[^>]*>|(?<!\\)\]\([^)]*\)", text, re.M)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_stranger_wrote_is_text_in_every_output(name, tmp_path):
    for shown, harmless in zip(pages(name), pages("harmless"), strict=True):
        assert (lines(shown), markup(shown)) == (lines(harmless), markup(harmless))
    made, section = outputs(name)
    harmless = outputs("harmless")[1]
    assert lines(section.report()) == lines(harmless.report())
    assert lines(repr(section)) == lines(repr(harmless))
    assert lines(table.shown([msgspec.structs.replace(made, name=name)])) == 6
    for tidy in (*section.tidy.values(), card_pages.sections_of([[made]])[0].tidy[""]):
        text = text_tables.csv_text(tidy())
        for cell in [x for line in csv.reader(io.StringIO(text, newline="")) for x in line]:
            assert not cell.startswith(tuple("-=+@\t\r")) or re.fullmatch(r"-?[\d.]+", cell)
    for latex in (section.tables[0], table.cards_table([made])):
        text = text_tables.latex_text(latex)
        assert lines(text) == 7 + bool(latex.note) + len(latex.rows)
        theirs = text.partition("\n")[2].replace(r"$\geq$", "")  # of the note
        assert not re.search(r"(?<!\\)[$#%_^~]|\\input", theirs)
    ElementTree.fromstring(styles.image(curve_figures.card_figure(made, ROWS), "svg"))
    column, quoted = tmp_path / "a.csv", name.replace('"', "")
    column.write_text(f'"{quoted}"\n1\n2\n', newline="")
    for read in (
        lambda: own_data.read_inputs(changed(CONFIG, csv=str(column))),
        lambda: csv_and_text.read_column(column, f"{name} x"),
        lambda: cards.read(tmp_path / name),
    ):
        with pytest.raises(ConfigError) as refusal:
            read()
        assert lines(refusal.value.spelled("flag")) == lines(str(refusal.value)) == 0


@pytest.mark.parametrize("name", ["<b>", "a\n```", "x\x1b[31m", "=1", ".hidden", "a\n"])
def test_a_folder_with_a_name_that_no_card_has_is_refused(name, tmp_path):
    (tmp_path / name).mkdir()
    cards.write_whole(card(ROWS), ROWS, tmp_path / name)
    for read in (card_pages.write_report, echo_jax.cards):
        with pytest.raises(ConfigError, match="is not a valid name of a card: use up to 100"):
            read(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
