import copy
import functools
import re

import browser
import fabricated_cards
import pytest
from wcag import contrast

from echo_jax import exceptions
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import all_cards_page, card_text
from echo_jax.memory_cards import card_file as card_files
from echo_jax.memory_cards.card_text import answer
from echo_jax.memory_cards.summary import span_estimate
from echo_jax.report import page
from echo_jax.report.number_formats import three_digits

COMMAND = "python scripts/probe.py --report docs/cards"

NAMES = ("lstm", "shift-5", "lru", "no-memory", "mine", "lstm-quick")

CLICKS = """
<script>
addEventListener("load", () => {
  const table = document.querySelector("#table ~ .cards table"), found = [];
  const seen = heading => found.push([
    heading.textContent, heading.getAttribute("aria-sort"),
    table.querySelectorAll("[aria-sort]").length,
    ...[...table.tBodies[0].rows].map(row => row.cells[0].textContent)].join("|"));
  for (const name of COLUMNS) {
    const heading = [...table.tHead.rows[0].cells].find(each => each.textContent === name);
    for (const _ of [1, 2]) { heading.querySelector("button").click(); seen(heading); }
  }
  document.body.dataset.found = found.join(";");
});
</script>
"""


made = functools.cache(fabricated_cards.card)


def card(of, /, **fields):
    return copy.deepcopy(made(of)) | fields


def row_of(name):
    return all_cards_page.cells_of(made(name), name, all_cards_page.LAG)


@pytest.fixture(scope="module")
def cards():
    return [made(name) for name in NAMES]


@pytest.fixture(scope="module")
def parts(cards):
    return all_cards_page.parts_of(cards)


@pytest.fixture(scope="module")
def content(cards, parts):
    return all_cards_page.report_page(cards, COMMAND, parts)


def test_the_cells_of_a_row_are_those_of_the_columns():
    assert list(row_of("lstm")) == list(all_cards_page.COLUMNS)
    assert set(all_cards_page.WORDS) < set(all_cards_page.COLUMNS)


def test_a_row_has_the_numbers_of_its_card_with_their_intervals():
    rows, row = made("lstm")["rows"], row_of("lstm")
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
    assert row[all_cards_page.STREAMING].key == rows["price"]["stream"]["1"]
    assert row[all_cards_page.TRAINING].key == rows["price"]["train"]["16"]


def test_what_was_not_measured_or_never_came_has_no_place_among_the_numbers():
    quick = row_of("lstm-quick")
    for column in ("bits", "linear capacity", "at 100 times", "limit"):
        assert quick[column] == all_cards_page.UNKNOWN
    shift = all_cards_page.cells_of(made("shift-5"), "shift-5", 8)
    assert (shift["updates"].text, shift["updates"].key) == ("> 5,000", None)
    assert row_of("lru")["limit"].text == "no limit found"
    assert row_of("no-memory")["stream span"].key == 0


def test_a_lower_bound_is_a_little_more_than_its_number():
    exact, bound = row_of("lstm")["stream span"], row_of("lru")["stream span"]
    assert bound.text == f"{card_text.AT_LEAST}500"
    assert 500 < bound.key < 501
    assert exact.key == 20


def test_the_lag_of_the_updates_is_8_or_the_longest_that_all_have():
    names = ["lstm", "gru", "mine", "shift-5"]
    some = [made(name) for name in names]
    assert all_cards_page.common_lag(some) == 8
    assert all_cards_page.common_lag([made("no-memory")] * 2 + some[:1]) == 1
    assert all_cards_page.common_lag([card("lstm", rows={"learning": None})]) == 8


def test_the_protocol_with_the_most_cards_comes_first_and_then_the_one_with_more_lags(cards):
    groups = all_cards_page.by_protocol(cards)
    assert [len(group) for group in groups] == [4, 2]
    assert [each["name"] for each in groups[0]][:2] == ["lru", "lstm"]
    pair = [made("lstm-quick"), made("lstm")]
    assert [group[0]["name"] for group in all_cards_page.by_protocol(pair)] == [
        "lstm",
        "lstm-quick",
    ]


def test_the_page_says_which_cards_cannot_be_compared_and_why(cards, content):
    full, quick = (group[0] for group in all_cards_page.by_protocol(cards))
    assert f"Its hash is {full['protocol_hash']}." in content
    sentence = re.search(r"2 cards here cannot be compared[^<]*", content)[0]
    assert "lstm and mine (quick" in sentence
    assert quick["protocol_hash"][:8] in sentence
    first, second = re.findall(r"<tbody>(.*?)</tbody>", content, re.S)
    names = [re.findall(r'<th scope="row"[^>]*><a[^>]*>([^<]*)', each) for each in (first, second)]
    assert names[0] == ["lru", "lstm", "shift-5", "no-memory"]
    assert sorted(names[1]) == ["lstm", "mine"]
    alone = all_cards_page.introduction(all_cards_page.by_protocol(cards[:2]))
    assert not [text for text in alone if "cannot be compared" in text]


def test_figures_of_many_are_of_cards_that_can_be_compared(content):
    spans = content[content.index('id="spans"') : content.index('id="table"')]
    assert "lru" in spans
    assert "mine" not in spans
    assert "lstm-quick" not in spans


def test_ids_are_there_once_links_find_them_and_nothing_is_loaded_from_elsewhere(content):
    ids = re.findall(r' id="([^"]*)"', content)
    assert len(ids) == len(set(ids))
    used = re.findall(r'href="([^"]*)"', content)
    assert {link[0] for link in used} == {"#"}
    assert {link[1:] for link in used} <= set(ids)
    assert not re.search(r'\s(src|data|srcset|action)="', content)
    assert "@import" not in content
    assert set(re.findall(r'(\S+?)="?\w+://', content)) == {"xmlns", "xmlns:xlink"}


def test_whatever_stands_in_a_card_is_text():
    odd = card("mine", name='<b>"a" & b</b>', device="<i>x</i>", not_measured={"copy": "1 < 2 & 3"})
    odd["cell"]["args"] = {"name": "<u>$5</u> | *x*"}
    content = all_cards_page.report_page([odd], COMMAND)
    assert not re.search(r"<[biu]>", content)
    assert "&lt;b&gt;&quot;a&quot; &amp; b&lt;/b&gt;</h2>" in content
    assert "1 &lt; 2 &amp; 3" in content
    markdown = all_cards_page.markdown_report([odd], COMMAND)
    assert "\\<u\\>$5\\</u\\> \\| \\*x\\*" in markdown


@pytest.mark.slow
def test_two_cards_of_one_name_have_sections_of_their_own():
    pair = [card("lstm"), card("lstm", digest="0" * 64)]
    content = all_cards_page.report_page(pair, COMMAND)
    names = re.findall(r'<h2 id="(card-[^"]*)">([^<]*)', content)
    assert len({link for link, _ in names}) == len({said for _, said in names}) == 2


def test_a_card_of_which_nothing_was_measured_is_on_the_page():
    nothing = card("lstm", rows=dict.fromkeys(card("lstm")["rows"]), not_measured={"copy": "no"})
    content = all_cards_page.report_page([nothing], COMMAND)
    (table,) = re.findall("<table>.*?</table>", content, re.S)
    assert re.findall('<th scope="col"[^>]*>([^<]*)<', table) == ["cell", "kind"]
    assert content.count("<figure>") == 2  # spans and the card


def test_a_median_between_two_rungs_is_the_lower_one_and_no_bound(cards):
    split = card("lstm")
    of_seeds = span_estimate([12] * 4 + [20] * 4) | {"at_least": [False] * 8, "next": 20}
    split["rows"]["stream_span"]["0.99"] = of_seeds
    cell = all_cards_page.cells_of(split, "lstm", all_cards_page.LAG)["stream span"]
    assert (cell.text, cell.key, cell.beside) == ("12", 12, "12 to 20")
    assert "12 steps back" in answer(split)[0]
    assert card_text.big_numbers(split)[0][1] == "12"


def test_the_best_are_named_with_all_that_are_as_good():
    assert all_cards_page._longest([row_of("lstm"), row_of("lru")])[0] == (
        "Of 2 recurrent cells, lru has the longest stream span: at least 500 lags."
    )
    other = row_of("lru") | {"cell": all_cards_page.Cell("s5", "s5")}
    both = all_cards_page._longest([row_of("lstm"), row_of("lru"), other])
    assert both[1].startswith("Of 3 recurrent cells, lru and s5 have the longest hold span")
    assert all_cards_page._longest([row_of("lstm")]) == []


def test_words_of_the_page_stand_out_from_what_is_behind_them():
    colours = dict(re.findall(r"--(\w+): (#\w{6})", page.STYLE))
    used = set(re.findall(r"[^-]color: ([^;]*);", all_cards_page.STYLE))
    assert used <= {"var(--ink)", "var(--quiet)", "var(--link)"}
    for name in used:
        assert contrast(colours[name[6:-1]]) >= 4.5
    assert set(re.findall(r"background: ([^;]*);", all_cards_page.STYLE)) <= {"#ffffff"}


def test_copy_cards_have_a_table_of_their_own_and_never_lead():
    alone = made("lru")
    copies = [made("lstm-copy") | {"name": f"copy-{i}"} for i in range(3)]
    parts = all_cards_page.parts_of([*copies, made("lstm")])
    assert parts[1].name == "table"
    assert [row["cell"].text for row in parts[1].table] == ["lstm"]
    (part,) = [part for part in parts if part.name == "copy"]
    assert len(part.table) == 3
    assert {"cell", "kind", "recall, T 100", "recall, T 1,000"} <= set(part.table[0])
    assert "bits" not in part.table[0]
    assert "copy-0" not in " ".join(
        all_cards_page.introduction(all_cards_page.by_protocol([*copies, alone]))
    )


def test_the_markdown_has_the_same_rows_and_points_to_the_figures(cards, parts):
    markdown = all_cards_page.markdown_report(cards, COMMAND, parts)
    tables = re.findall(r"(?:^\|.*\n)+", markdown, re.M)
    assert [len(table.splitlines()) - 2 for table in tables] == [4, 2]
    for table in tables:
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
        assert len({len(row) for row in rows}) == 1
    columns = [table.splitlines()[0].count("|") - 1 for table in tables]
    assert columns[0] == len(all_cards_page.COLUMNS)
    assert columns[1] < columns[0]  # what nothing was measured of has no column there
    assert "| lru | recurrent | \u2265 500 (500 to " in tables[0]
    drawn = re.findall(r"!\[[^\n]*\]\(<(figures/[^>]*)>\)", markdown)
    assert drawn[:4] == [f"figures/{name}.svg" for name in ("spans", "memory", "cost", "card-lru")]
    assert len(drawn) == 3 + len(cards)
    assert f"```bash\n{COMMAND}\n```" in markdown


@pytest.fixture
def folder(tmp_path):
    card_files.write(made("shift-5"), tmp_path)
    return tmp_path


def test_the_report_of_a_folder_is_written_and_written_again(folder):
    paths = all_cards_page.write_report(folder)
    names = ["card-shift-5", "cost", "memory", "spans"]
    assert sorted(path.stem for path in paths if path.suffix == ".svg") == names
    assert {folder / "index.html", folder / "README.md"} < set(paths)
    first = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in all_cards_page.write_report(folder)] == first
    for name in re.findall(r"\(<([^>]*)>\)", (folder / "README.md").read_text()):
        assert (folder / name).read_text().startswith("<svg ")


def test_a_file_that_is_not_as_it_was_generated_is_kept_and_nothing_else_is_written(folder):
    (folder / "README.md").write_text("my own words")
    with pytest.raises(exceptions.StorageError, match=r"README\.md is not as it was generated"):
        all_cards_page.write_report(folder)
    assert (folder / "README.md").read_text() == "my own words"
    assert not (folder / "index.html").exists()
    assert not (folder / "figures").exists()


def test_a_bad_card_is_refused_in_a_sentence_with_its_file(folder):
    path = folder / "shift-5.json"
    path.write_text(path.read_text().replace('"parameters": 26', '"parameters": 10', 1))
    with pytest.raises(
        ConfigError, match=r"shift-5\.json: rows.price.parameters is 26 and .*: use "
    ):
        all_cards_page.write_report(folder)
    path.write_text("{")
    with pytest.raises(ConfigError, match=r"shift-5\.json is not valid JSON"):
        all_cards_page.write_report(folder)
    assert not (folder / "index.html").exists()


def test_a_folder_without_cards_and_one_that_is_none_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"has no cards, .*: make one with"):
        all_cards_page.write_report(tmp_path)
    with pytest.raises(ConfigError, match="is no folder: name one"):
        all_cards_page.write_report(tmp_path / "none")


@pytest.mark.timeout(60)
def test_in_a_browser_nothing_is_wider_than_the_window_and_every_figure_is_seen(content, tmp_path):
    for width, seen in browser.measured(content, tmp_path).items():
        assert seen == browser.Seen(width, width, sections=12, figures=9, broken=0, font=18)


def by_key(cards, column):
    """The names of those that have a key, from the least."""
    first = all_cards_page.by_protocol(cards)[0]
    rows = [all_cards_page.cells_of(each, each["name"], all_cards_page.LAG) for each in first]
    known = [row for row in rows if row[column].key is not None]
    return [row["cell"].text for row in sorted(known, key=lambda row: row[column].key)]


@pytest.mark.timeout(60)
def test_a_click_on_a_heading_sorts_by_its_numbers_and_a_second_one_reverses(
    cards, content, tmp_path
):
    columns = {"bits": [], "updates": {"shift-5", "no-memory"}, "parameters": [], "cell": []}
    clicks = CLICKS.replace("COLUMNS", str(list(columns)))
    (tmp_path / "page.html").write_text(content.replace("</body>", f"{clicks}</body>"))
    dump = browser.opened(tmp_path / "page.html", tmp_path)
    found = [each.split("|") for each in re.search('data-found="([^"]*)"', dump)[1].split(";")]
    for (column, last), up, down in zip(columns.items(), found[::2], found[1::2], strict=True):
        assert up[:3] == [column, "ascending", "1"]
        assert down[:3] == [column, "descending", "1"]
        if last:  # they stay below in both orders
            assert set(up[-len(last) :]) == set(down[-len(last) :]) == last
        ordered = by_key(cards, column)
        assert len(ordered) + len(last) == 4
        assert up[3:][: len(ordered)] == ordered
        assert down[3:][: len(ordered)] == ordered[::-1]
