import copy
import functools
import re
from pathlib import Path

import browser
import fabricated_cards
import pytest
from fabricated_cards import BLOCK, KEYS, fabricated
from golden import assert_golden

from echo_jax import exceptions
from echo_jax.exceptions import ConfigError
from echo_jax.memory_benchmark.spans import Climb
from echo_jax.memory_cards import all_cards_page, placing
from echo_jax.memory_cards import card_file as card_files
from echo_jax.memory_cards.all_cards_page import read_folder, write_for_paper
from echo_jax.memory_cards.all_cards_table import NOT_RUN
from echo_jax.report.html_page import html_page
from echo_jax.report.markdown_page import markdown_page
from echo_jax.report.page import Entry

GOLDEN = Path(__file__).parent / "golden" / "all_cards.txt"

made = functools.cache(fabricated_cards.card)
OLD = {"schema": 1, "name": "of-protocol-1"}


def card(of, /, **fields):
    return copy.deepcopy(made(of)) | fields


def block(cell, lag, marked, key, layers=1):
    climbs = {"lag-16": lag, "marked-16": marked, "key-16": min(key, 6), "key-64": key}
    args = {"features": 9} | ({"layers": layers} if layers > 1 else {})
    return fabricated(f"block:{cell}", climbs, BLOCK, args=args, convolution=384 * layers)


def page_of(*cards):
    return all_cards_page.page_of(cards, "echo-jax probe --report docs/cards")


@pytest.fixture(scope="module")
def many():
    return [
        *map(made, ("lstm", "simple", "lru", "shift-6", "no-memory", "lstm-quick", "lstm-copy")),
        block("lru", 64, 0, 0),
        block("lstm", 12, 4, 2),
        block("gated-delta-net", 8, 16, 16),
        block("mlp", 8, 0, 2),
        block("lstm", 12, 8, 4, layers=2),
        fabricated("block:gru", {"key-16": 6, "key-64": 8}, KEYS, state=3960, convolution=384),
        OLD,
    ]


@pytest.fixture(scope="module")
def page(many):
    return page_of(*many)


def shown(entry):
    """An entry with what is not seen: its key, its link, and that nothing is known."""
    unseen = ((name, getattr(entry, name)) for name in ("key", "link", "missing"))
    known = [f"<{name} {value}>" for name, value in unseen if value != getattr(Entry(""), name)]
    return " ".join([str(entry), *known])


def outline(page):
    """All of a page but its drawings and its paragraphs about each card."""
    lines = [page.title, *page.introduction]
    for section in page.sections:
        lines.append(f"\n## {section.name}: {section.heading}")
        if section.name.startswith("card-"):
            lines += [section.figure.path, *(panel.caption for panel in section.panels)]
            continue
        lines += [f"{figure.path}: {figure.alt}" for figure in filter(None, [section.figure])]
        lines += section.answer
        for table in section.tables:
            lines += [table.caption, " | ".join(table.headings)]
            lines += [" | ".join(map(shown, row)) for row in table.entries if NOT_RUN not in row]
            not_run = [row[0].text for row in table.entries if NOT_RUN in row]
            lines += [f"not run yet: {', '.join(not_run)}"] * bool(not_run)
    return "\n".join(lines)


def test_the_page_of_cards_is_as_it_was_read(page, monkeypatch):
    """Both tracks, layers, larger states, other protocols, copies; one card; quick cards; stubs."""
    monkeypatch.setattr(all_cards_page, "svg", lambda *_: "")  # drawings are not compared
    pages = [
        page,
        page_of(made("block-lstm")),
        page_of(made("block-quick"), made("lstm-quick"), made("mine")),
        page_of(*[made("lstm-copy") | {"name": f"copy-{i}"} for i in range(2)]),
        page_of(card("lstm", rows=dict.fromkeys(card("lstm")["rows"]), not_measured={"a": "no"})),
    ]
    assert_golden("\n\n----\n\n".join(map(outline, pages)) + "\n", GOLDEN)
    for each in pages:
        names = [section.name for section in each.sections]
        assert len(set(names)) == len(names)
        tables = [table for section in each.sections for table in section.tables]
        links = {entry.link for table in tables for row in table.entries for entry in row}
        assert links <= {"", *names}


def test_the_tracks_have_tables_of_their_own_and_copies_never_stand_in_them(page):
    tables = {
        section.name: [[row[0].text for row in table.entries] for table in section.tables]
        for section in page.sections
    }
    assert tables["block"][0][:4] == ["lru", "lstm", "gated-delta-net", "mlp"]
    assert [rows[0] for rows in tables["block"][1:]] == ["lstm", "gru"]
    assert tables["cell"][0][:5] == ["lru", "lstm", "simple", "ShiftRegister", "Memoryless"]
    assert tables["copy"] == [["lstm"]]
    assert tables["table-2"] == [["lstm"]]
    for track in ("block", "cell"):
        assert all({"exprnn", "identity-rnn"} <= {*rows[-3:]} for rows in tables[track])


def test_cards_of_protocol_1_are_left_out_and_the_page_says_where_they_are(page):
    (left_out,) = [words for words in page.introduction if "protocol 1" in words]
    assert left_out.startswith("Left out: 1 card of protocol 1")
    assert "protocol-1" in left_out
    assert "of-protocol-1" not in html_page(page)
    assert "protocol 1" not in html_page(page_of(made("block-lstm")))
    with pytest.raises(ConfigError, match="all cards are of protocol 1"):
        page_of(OLD)


def test_a_quick_card_has_the_curves_of_the_built_in_cells_and_a_full_one_does_not(monkeypatch):
    others = {"lag-16": {"a cell": [Climb(4, 5)] * 4}}
    monkeypatch.setattr(placing, "references", lambda card: others)
    page = page_of(made("lstm-quick"), made("block-lstm"))
    drawn = {each.name: each.figure.svg for each in page.sections if each.folded}
    assert "built-in cells" in drawn["card-lstm-quick"]
    assert "built-in cells" not in drawn["card-block-lstm"]


def test_whatever_stands_in_a_card_is_text():
    odd = card("mine", name='<b>"a" & b</b>', device="<i>x</i>", not_measured={"copy": "1 < 2 & 3"})
    odd["cell"]["args"] = {"name": "<u>$5</u> | *x*"}
    text = html_page(page_of(odd))
    assert not re.search(r"<[biu]>", text)
    assert "&lt;b&gt;&#34;a&#34; &amp; b&lt;/b&gt;</h2>" in text
    assert "1 &lt; 2 &amp; 3" in text
    assert "\\<u\\>$5\\</u\\> \\| \\*x\\*" in markdown_page(page_of(odd))


def test_the_short_table_has_the_cards_of_the_block_and_without_them_bare_cells(many):
    lines = all_cards_page.summary_table(many).splitlines()
    assert lines[0].startswith("| cell | by lag, V 16 | what was marked, V 16 | by key, V 16 |")
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| lru", "| lstm", "| gated-delta-net", "| mlp (reference)",
    ]  # fmt: skip
    assert "| lstm |" in all_cards_page.summary_table([made("lstm"), made("lstm-copy")])
    assert "| recall, T 100 |" in all_cards_page.summary_table([made("lstm-copy")])


@pytest.fixture
def folder(tmp_path):
    card_files.write(made("block-lstm"), tmp_path)
    return tmp_path


def write_page(folder):
    return all_cards_page.write_page(folder, read_folder(folder))


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


def test_the_page_of_a_folder_is_written_and_written_again_the_same(folder):
    assert write_page(folder) == folder / "page.html"
    first = files(folder)
    names = ["block", "card-block-lstm", "recall-bytes", "recall-parameters"]
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
    card_files.write(made("lstm-copy"), folder)
    cards, before = read_folder(folder), files(folder)
    (folder / "figures").mkdir()
    for _ in range(2):
        write_for_paper(folder, cards, "pdf", ["csv", "latex"])
    written = {str(path): text for path, text in files(folder).items() if path not in before}
    assert sorted(written) == [
        "figures/block.pdf", "figures/recall-bytes.pdf", "figures/recall-parameters.pdf",
        "tables/block.csv", "tables/block.tex", "tables/copy.csv", "tables/copy.tex",
    ]  # fmt: skip
    assert written["tables/block.csv"].startswith(b'cell,"by lag, V 16","what was marked, V 16"')


def test_a_folder_is_read_with_its_cards_of_protocol_1(folder, root):
    old = folder / "protocol-1"
    old.mkdir()
    source = root / "docs" / "cards" / "protocol-1" / "gru-copy.json"
    (old / source.name).write_bytes(source.read_bytes())
    assert [each["name"] for each in read_folder(folder)] == ["block-lstm", "gru-copy"]


def test_a_folder_of_bad_cards_or_of_none_is_refused_in_a_sentence(folder):
    path = folder / "block-lstm.json"
    path.write_text(path.read_text().replace('"parameters": 10902', '"parameters": 10', 1))
    (folder / "empty").mkdir()
    for name, sentence in {
        ".": r"block-lstm\.json: rows.price.parameters .*: use ",
        "empty": r"has no cards, .*: make one with",
        "none": "is no folder that can be read: name one",
    }.items():
        with pytest.raises(ConfigError, match=sentence):
            read_folder(folder / name)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_browser_shows_a_card_that_a_link_leads_to(page, tmp_path):
    (tmp_path / "page.html").write_text(html_page(page))
    figures = sum(bool(each.figure) and not each.folded for each in page.sections)
    (lru,) = [each for each in page.sections if each.name == "card-lru"]
    with browser.tab(tmp_path) as tab:
        for width in (390, 1280):
            tab.open(tmp_path / "page.html", width)
            assert tab.run(browser.AUDIT)["figures"] == figures
            tab.run("location.hash = '#card-lru'")
            assert tab.run("document.querySelectorAll('.folded[open] h2').length") == 1
            found = tab.run(browser.AUDIT)
            assert found["figures"] == figures + len(lru.panels)
            assert found["faults"] == []
