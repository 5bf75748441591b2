import copy
import functools
import re
from pathlib import Path

import browser
import fabricated_cards
import pytest
from golden import assert_golden

from echo_jax import exceptions
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import all_cards_page, all_cards_table, card_text
from echo_jax.memory_cards import card_file as card_files
from echo_jax.memory_cards.all_cards_table import Entry
from echo_jax.memory_cards.card_text import answer
from echo_jax.memory_cards.summary import span_estimate
from echo_jax.report.html_page import html_page
from echo_jax.report.markdown_page import markdown_page

GOLDEN = Path(__file__).parent / "golden" / "all_cards.txt"

made = functools.cache(fabricated_cards.card)


def card(of, /, **fields):
    return copy.deepcopy(made(of)) | fields


def of_cell(cell):
    return card("gru", name=cell, cell=card("gru")["cell"] | {"cell": cell})


def page_of(*cards):
    return all_cards_page.page_of(cards, "echo-jax probe --report docs/cards")


@pytest.fixture(scope="module")
def page():
    return page_of(*map(made, ("lstm", "shift-5", "lru", "no-memory", "mine", "lstm-quick")))


def shown(entry):
    """An entry with what is not seen: its key, its link, and that nothing is known."""
    unseen = ((name, getattr(entry, name)) for name in ("key", "link", "missing"))
    known = [f"<{name} {value}>" for name, value in unseen if value != getattr(Entry(""), name)]
    return " ".join([str(entry), *known])


def outline(page):
    """All of a page but its drawings and its paragraphs about each card."""
    lines = [*page.introduction]
    for section in page.sections:
        lines.append(f"\n## {section.name}: {section.heading}")
        if section.name.startswith("card-"):
            lines.append(section.figure.path)
            continue
        lines += [f"{figure.path}: {figure.alt}" for figure in filter(None, [section.figure])]
        lines += section.answer
        for table in section.tables:
            lines += [table.caption, " | ".join(table.headings)]
            lines += [" | ".join(map(shown, row)) for row in table.entries]
    return "\n".join(lines)


def test_the_page_of_cards_is_as_it_was_read(page, monkeypatch):
    """Bounds, ties, medians that never came, other protocols, copies, and nothing measured.

    Copies have a table of their own and never lead; columns of which nothing is known are left
    out; names link to sections.
    """
    monkeypatch.setattr(all_cards_page, "svg", lambda *_: "")  # drawings are not compared
    for name in ("card_figure", "panel_figure"):
        monkeypatch.setattr(all_cards_page.card_figure, name, lambda *_: None)
    twice = made("gru"), card("gru", digest="0" * 64)
    pages = [
        page,
        page_of(made("lru"), card("lru", name="twin-full"), of_cell("mlp"), *twice),
        page_of(*[made("lstm-copy") | {"name": f"copy-{i}"} for i in range(3)], made("lstm")),
        page_of(card("lstm", rows=dict.fromkeys(card("lstm")["rows"]), not_measured={"a": "no"})),
    ]
    assert_golden("\n\n----\n\n".join(map(outline, pages)) + "\n", GOLDEN)
    for each in pages:
        names = [section.name for section in each.sections]
        assert len(set(names)) == len(names)
        tables = [table for section in each.sections for table in section.tables]
        links = {entry.link for table in tables for row in table.entries for entry in row}
        assert links <= {"", *names}
    assert "lru" in page.sections[0].figure.svg
    assert "mine" not in page.sections[0].figure.svg  # of another protocol


def test_a_median_between_two_rungs_is_the_lower_one_and_no_bound():
    split = card("lstm")
    of_seeds = span_estimate([12] * 4 + [20] * 4) | {"at_least": [False] * 8, "next": 20}
    split["rows"]["stream_span"]["0.99"] = of_seeds
    assert all_cards_table.rows_of([split])[0]["stream span"] == Entry("12", 12, "12 to 20")
    assert "12 steps back" in answer(split)[0]
    assert card_text.big_numbers(split)[0][1] == "12"


def test_the_lag_of_the_updates_is_8_or_the_longest_that_all_have():
    some = [made(name) for name in ("lstm", "gru", "mine", "shift-5")]
    assert all_cards_table.common_lag(some) == 8
    assert all_cards_table.common_lag([made("no-memory")] * 2 + some[:1]) == 1
    assert all_cards_table.common_lag([card("lstm", rows={"learning": None})]) == 8


def test_the_protocol_with_more_lags_comes_first_of_two_with_as_many_cards():
    pair = all_cards_page.by_protocol([made("lstm-quick"), made("lstm")])
    assert [group[0]["name"] for group in pair] == ["lstm", "lstm-quick"]


def test_whatever_stands_in_a_card_is_text():
    odd = card("mine", name='<b>"a" & b</b>', device="<i>x</i>", not_measured={"copy": "1 < 2 & 3"})
    odd["cell"]["args"] = {"name": "<u>$5</u> | *x*"}
    text = html_page(page_of(odd))
    assert not re.search(r"<[biu]>", text)
    assert "&lt;b&gt;&#34;a&#34; &amp; b&lt;/b&gt;</h2>" in text
    assert "1 &lt; 2 &amp; 3" in text
    assert "\\<u\\>$5\\</u\\> \\| \\*x\\*" in markdown_page(page_of(odd))


def test_a_card_whose_protocol_has_no_threshold_of_99_percent_is_on_the_page():
    other = card("lstm")
    other["protocol"]["thresholds"] = [0.9]
    page = page_of(fabricated_cards.signed(other))
    (table,) = page.sections[1].tables
    assert "stream span" not in table.headings
    assert "20 steps back" in page.sections[-1].answer[0]


@pytest.fixture
def folder(tmp_path):
    card_files.write(made("shift-5"), tmp_path)
    return tmp_path


def write_page(folder):
    return all_cards_page.write_page(folder, all_cards_page.read_folder(folder))


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.mark.slow
def test_the_page_of_a_folder_is_written_and_written_again_the_same(folder):
    assert write_page(folder) == folder / "page.html"
    first = files(folder)
    names = ["card-shift-5", "cost", "memory", "spans"]
    assert sorted(path.stem for path in first if path.parts[0] == "figures") == names
    for name in re.findall(r"\(<([^>]*)>\)", (folder / "README.md").read_text()):
        assert (folder / name).read_text().startswith("<svg ")
    (folder / "page.html").rename(folder / "index.html")  # its name before
    write_page(folder)
    assert files(folder) == first
    (folder / "README.md").write_text("my own words")
    before = files(folder)
    with pytest.raises(exceptions.StorageError, match=r"README\.md is not as it was generated"):
        write_page(folder)
    assert files(folder) == before


@pytest.mark.slow
def test_figures_and_tables_of_all_cards_are_written_for_a_paper(folder):
    cards, before = all_cards_page.read_folder(folder), files(folder)
    (folder / "figures").mkdir()
    for _ in range(2):
        all_cards_page.write_for_paper(folder, cards, "pdf", ["csv", "latex"])
    made = {str(path): text for path, text in files(folder).items() if path not in before}
    assert sorted(made) == [
        "figures/cost.pdf", "figures/memory.pdf", "figures/spans.pdf", "tables/table.csv",
        "tables/table.tex",
    ]  # fmt: skip
    assert made["tables/table.csv"].startswith(b"cell,stream span,hold span,kind,")


def test_a_folder_of_bad_cards_or_of_none_is_refused_in_a_sentence(folder):
    path = folder / "shift-5.json"
    path.write_text(path.read_text().replace('"parameters": 26', '"parameters": 10', 1))
    (folder / "empty").mkdir()
    for name, sentence in {
        ".": r"shift-5\.json: rows.price.parameters .*: use ",
        "empty": r"has no cards, .*: make one with",
        "none": "is no folder that can be read: name one",
    }.items():
        with pytest.raises(ConfigError, match=sentence):
            all_cards_page.read_folder(folder / name)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_browser_shows_a_card_that_a_link_leads_to(page, tmp_path):
    (tmp_path / "page.html").write_text(html_page(page))
    with browser.tab(tmp_path) as tab:
        for width in (390, 1280):
            tab.open(tmp_path / "page.html", width)
            assert tab.run(browser.AUDIT)["figures"] == 3
            tab.run("location.hash = '#card-lru'")
            assert tab.run("document.querySelectorAll('.folded[open] h2').length") == 1
            found = tab.run(browser.AUDIT)
            assert found["figures"] == 3 + 3  # one of its panels was not measured
            assert found["faults"] == []
