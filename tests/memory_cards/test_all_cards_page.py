import copy
import functools
import re

import browser
import fabricated_cards
import pytest

from echo_jax import exceptions
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import all_cards_page, all_cards_table, card_text
from echo_jax.memory_cards import card_file as card_files
from echo_jax.memory_cards.all_cards_table import LAG, MISSING, Entry
from echo_jax.memory_cards.card_text import answer
from echo_jax.memory_cards.summary import span_estimate
from echo_jax.report.html_page import html_page
from echo_jax.report.markdown_page import markdown_page
from echo_jax.report.number_formats import three_digits

COMMAND = "echo-jax probe --report docs/cards"

NAMES = ("lstm", "shift-5", "lru", "no-memory", "mine", "lstm-quick")

made = functools.cache(fabricated_cards.card)


def card(of, /, **fields):
    return copy.deepcopy(made(of)) | fields


def row_of(name):
    return all_cards_table.row_of(made(name), name, LAG)


@pytest.fixture(scope="module")
def page():
    return all_cards_page.page_of([made(name) for name in NAMES], COMMAND)


def table_of(page, name):
    """The headings of a table of the page, and its rows."""
    (section,) = [section for section in page.sections if section.name == name]
    (table,) = section.tables
    return table.headings, table.entries


def test_a_row_has_the_numbers_of_its_card_with_their_intervals():
    rows, row = made("lstm")["rows"], row_of("lstm")
    assert list(row) == ["cell", *all_cards_table.COLUMNS]
    assert row["stream span"].text == "20"
    assert row["stream span"].key == rows["stream_span"]["0.99"]["median"] == 20
    assert row["hold span"].text == "80"
    exact = rows["capacity"]["exact"]
    assert row["bits"].key == exact["median"]
    assert row["bits"].beside == card_text.bounds(exact, three_digits)
    at_8 = next(line for line in rows["learning"]["stream"] if line["lag"] == 8)
    assert row["updates"].key == at_8["median"]
    assert row["at 100 times"].key == rows["beyond"]["accuracy"][-1]["median"]
    assert row["limit"].text == "could not learn lag 30"
    assert (row["parameters"].text, row["state, bytes"].text) == ("10,902", "400")
    assert row[all_cards_table.STREAMING].key == rows["price"]["stream"]["1"]
    assert row[all_cards_table.TRAINING].key == rows["price"]["train"]["16"]


def test_what_was_not_measured_or_never_reached_has_no_place_among_the_numbers():
    for column in ("bits", "linear capacity", "at 100 times", "limit"):
        assert row_of("lstm-quick")[column] == MISSING
    shift = row_of("shift-5")
    assert (shift["updates"].text, shift["updates"].key) == ("> 5,000", None)
    assert row_of("lru")["limit"].text == "no limit found"
    assert row_of("no-memory")["stream span"].key == 0


def test_a_lower_bound_sorts_just_above_its_number():
    exact, bound = row_of("lstm")["stream span"], row_of("lru")["stream span"]
    assert bound.text == f"{card_text.AT_LEAST}500"
    assert 500 < bound.key < 501
    assert exact.key == 20


def test_a_median_between_two_rungs_is_the_lower_one_and_no_bound():
    split = card("lstm")
    of_seeds = span_estimate([12] * 4 + [20] * 4) | {"at_least": [False] * 8, "next": 20}
    split["rows"]["stream_span"]["0.99"] = of_seeds
    assert all_cards_table.row_of(split, "a", LAG)["stream span"] == Entry("12", 12, "12 to 20")
    assert "12 steps back" in answer(split)[0]
    assert card_text.big_numbers(split)[0][1] == "12"


def test_the_lag_of_the_updates_is_8_or_the_longest_that_all_have():
    some = [made(name) for name in ("lstm", "gru", "mine", "shift-5")]
    assert all_cards_table.common_lag(some) == 8
    assert all_cards_table.common_lag([made("no-memory")] * 2 + some[:1]) == 1
    assert all_cards_table.common_lag([card("lstm", rows={"learning": None})]) == 8


def test_the_protocol_with_the_most_cards_comes_first_and_then_the_one_with_more_lags():
    groups = all_cards_page.by_protocol([made(name) for name in NAMES])
    assert [len(group) for group in groups] == [4, 2]
    assert [each["name"] for each in groups[0]][:2] == ["lru", "lstm"]
    pair = all_cards_page.by_protocol([made("lstm-quick"), made("lstm")])
    assert [group[0]["name"] for group in pair] == ["lstm", "lstm-quick"]


def test_the_page_says_which_cards_cannot_be_compared_and_why(page):
    groups = all_cards_page.by_protocol([made(name) for name in NAMES])
    full, quick = (group[0]["protocol_hash"] for group in groups)
    assert f"The hash of the protocol is {full}." in page.introduction[1]
    assert page.introduction[2].startswith("2 cards cannot be compared with them, because")
    assert f"lstm and mine (quick 1 ({quick[:8]}))" in page.introduction[2]
    assert len(all_cards_page.introduction(groups[:1])) == 2
    headings, rows = table_of(page, "table")
    assert headings == ["cell", *all_cards_table.COLUMNS]
    assert [row[0].text for row in rows] == ["lru", "lstm", "shift-5", "no-memory"]
    fewer, rows = table_of(page, "table-2")
    assert sorted(row[0].text for row in rows) == ["lstm", "mine"]
    assert len(fewer) < len(headings)  # no columns in which nothing was measured


def test_every_card_has_a_section_that_its_name_links_to(page):
    names = [section.name for section in page.sections]
    assert names[:6] == ["spans", "table", "table-2", "memory", "cost", "reading"]
    assert len(set(names)) == len(names) == 6 + len(NAMES)
    for table in ("table", "table-2"):
        assert {row[0].link for row in table_of(page, table)[1]} <= set(names)
    figures = [section.figure for section in page.sections if section.figure]
    assert [figure.path for figure in figures[:3]] == [
        f"figures/{name}.svg" for name in ("spans", "memory", "cost")
    ]
    assert len(figures) == 3 + len(NAMES)


def test_figures_of_many_are_of_cards_that_can_be_compared(page):
    spans = page.sections[0].figure
    assert "lru" in spans.svg
    assert "lru" in spans.alt
    assert "mine" not in spans.svg + spans.alt
    assert "lstm-quick" not in spans.svg + spans.alt


def test_whatever_stands_in_a_card_is_text():
    odd = card("mine", name='<b>"a" & b</b>', device="<i>x</i>", not_measured={"copy": "1 < 2 & 3"})
    odd["cell"]["args"] = {"name": "<u>$5</u> | *x*"}
    page = all_cards_page.page_of([odd], COMMAND)
    text = html_page(page)
    assert not re.search(r"<[biu]>", text)
    assert "&lt;b&gt;&#34;a&#34; &amp; b&lt;/b&gt;</h2>" in text
    assert "1 &lt; 2 &amp; 3" in text
    assert "\\<u\\>$5\\</u\\> \\| \\*x\\*" in markdown_page(page)


@pytest.mark.slow
def test_two_cards_of_one_name_have_sections_of_their_own():
    page = all_cards_page.page_of([card("lstm"), card("lstm", digest="0" * 64)], COMMAND)
    for field in ("name", "heading"):
        assert len({getattr(section, field) for section in page.sections[-2:]}) == 2


def test_a_card_of_which_nothing_was_measured_is_on_the_page():
    nothing = card("lstm", rows=dict.fromkeys(card("lstm")["rows"]), not_measured={"copy": "no"})
    page = all_cards_page.page_of([nothing], COMMAND)
    assert table_of(page, "table")[0] == ["cell", "kind"]
    assert [s.name for s in page.sections] == ["spans", "table", "reading", "card-lstm"]


def test_the_longest_span_is_that_of_all_cells_that_share_it():
    lstm, lru = row_of("lstm"), row_of("lru")
    assert all_cards_page.longest([lstm, lru])[0] == (
        "Of 2 recurrent cells, lru has the longest stream span: at least 500 lags."
    )
    both = all_cards_page.longest([lstm, lru, lru | {"cell": Entry("s5")}])
    assert both[1].startswith("Of 3 recurrent cells, lru and s5 have the longest hold span")
    assert all_cards_page.longest([lstm]) == []


def test_copy_cards_have_a_table_of_their_own_and_never_lead():
    copies = [made("lstm-copy") | {"name": f"copy-{i}"} for i in range(3)]
    page = all_cards_page.page_of([*copies, made("lstm")], COMMAND)
    assert [row[0].text for row in table_of(page, "table")[1]] == ["lstm"]
    headings, rows = table_of(page, "copy")
    assert len(rows) == 3
    assert {"cell", "kind", "recall, T 100", "recall, T 1,000"} <= set(headings)
    assert "bits" not in headings
    assert "copy-0" not in " ".join(page.introduction)


@pytest.fixture
def folder(tmp_path):
    card_files.write(made("shift-5"), tmp_path)
    return tmp_path


def write_page(folder):
    return all_cards_page.write_page(folder, all_cards_page.read_folder(folder))


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


def test_the_page_of_a_folder_is_written_and_written_again_the_same(folder):
    assert write_page(folder) == folder / "index.html"
    first = files(folder)
    names = ["card-shift-5", "cost", "memory", "spans"]
    assert sorted(path.stem for path in first if path.parts[0] == "figures") == names
    write_page(folder)
    assert files(folder) == first
    for name in re.findall(r"\(<([^>]*)>\)", (folder / "README.md").read_text()):
        assert (folder / name).read_text().startswith("<svg ")


def test_a_file_that_is_not_as_it_was_generated_is_kept_and_nothing_else_is_written(folder):
    (folder / "README.md").write_text("my own words")
    before = files(folder)
    with pytest.raises(exceptions.StorageError, match=r"README\.md is not as it was generated"):
        write_page(folder)
    assert files(folder) == before


def test_a_bad_card_is_refused_in_a_sentence_with_its_file(folder):
    path = folder / "shift-5.json"
    path.write_text(path.read_text().replace('"parameters": 26', '"parameters": 10', 1))
    with pytest.raises(ConfigError, match=r"shift-5\.json: rows.price.parameters .*: use "):
        all_cards_page.read_folder(folder)


def test_a_folder_without_cards_and_one_that_is_none_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"has no cards, .*: make one with"):
        all_cards_page.read_folder(tmp_path)
    with pytest.raises(ConfigError, match="is no folder: name one"):
        all_cards_page.read_folder(tmp_path / "none")


@pytest.mark.timeout(60)
def test_in_a_browser_nothing_is_wider_than_the_window_and_every_figure_is_seen(page, tmp_path):
    for width, seen in browser.measured(html_page(page), tmp_path).items():
        assert seen == browser.Seen(width, width, sections=12, figures=9, broken=0, font=18)
