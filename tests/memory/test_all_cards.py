"""The pages of a card and of a folder of cards, and the cards that come with the package."""

import runpy
from importlib import resources

import pytest
from made_up_cards import card, card_with, lag_row, stored
from running import ROOT

from echo_jax.cell_names import RATES_BY_KEY
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.memory import card_contents
from echo_jax.memory.by_key.key_rows_and_bits import BY_KEY
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG
from echo_jax.memory.card_contents import chosen_by, read
from echo_jax.memory.comparison import built_in_cards
from echo_jax.memory.pages import card_pages, curve_figures, explore_page, face_picture
from echo_jax.memory.pages.table import bits_text
from echo_jax.memory.protocol import PILOT_SEED
from echo_jax.report.page import Paper

BY_HAND = card_pages.FINDINGS.splitlines()[1]


@pytest.fixture
def folder(tmp_path):
    for cell, pairs, lags in (("block:gla", 5, 3), ("block:gru", 0, 18), ("block:lru", 0, 39)):
        stored(*card_with(pairs, lags=lags, cell=cell, name=cell.replace(":", "-")), tmp_path)
    return tmp_path


def test_the_table_of_cells_has_the_rate_by_key_of_each_pilot_in_the_block():
    found = {}
    for each in built_in_cards.built_in_cards():
        chosen = chosen_by(each.pilot, BY_KEY.pilot(each.numbers))
        if chosen and each.cell.in_block:
            found[each.cell.bare] = chosen.rate
    assert found == RATES_BY_KEY


def test_all_files_are_written_and_the_page_keeps_what_was_written_by_hand(folder):
    written = card_pages.write_report(folder, (), Paper("png", tables=("csv", "latex")))
    names = {str(path.relative_to(folder)) for path in written if path.exists()}
    assert {"tables/cards.csv", "tables/cards-pairs.csv", "tables/cards-seeds.csv"} <= names
    assert {"tables/cards-block-100-float32.tex", "figures/forgetting-block.png"} <= names
    shown = (folder / "figures" / "forgetting-block.svg").read_text()
    anchors = built_in_cards.anchors(read(folder / "block-gru")[0])
    assert all(f">{name}</text>" in shown for name in [*anchors, curve_figures.PEERS])
    page = folder / "README.md"
    page.write_text(page.read_text().replace(BY_HAND, "The LRU keeps more."))
    (folder / "block-gla" / "card.json").unlink()
    card_pages.write_report(folder)
    assert "The LRU keeps more." in page.read_text()
    assert "GLA" not in page.read_text()
    page.write_text(page.read_text().replace("# The memory", "My remark. # The memory"))
    before = page.read_bytes()
    with pytest.raises(StorageError, match=r"README\.md has been edited"):
        card_pages.write_report(folder)
    assert page.read_bytes() == before


@pytest.mark.parametrize(("state_bytes", "rows"), [(380, 4), (1200, 1)])
def test_a_table_for_a_paper_has_finished_cells_anchors_and_the_meaning_of_brackets(
    state_bytes, rows
):
    """A card with runs of the pilot alone is left out; anchors of other sizes are in the note."""
    made = card([lag_row([4.0] * 9, seed) for seed in range(2)], "block:gru", 2, state_bytes)
    begun = card([lag_row([3.0], PILOT_SEED, updates=300)], "block:lru", 2, state_bytes)
    _, of_paper = card_pages.sections_of([[made, begun]])
    (table,) = of_paper.tables
    assert len(table.rows) == rows
    assert "LRU" not in str(table)
    assert "the lowest and the highest seed in brackets" in table.note
    place = table.rows if rows > 1 else table.note
    for anchor in built_in_cards.anchors(made).values():
        assert bits_text(anchor, BY_LAG) in str(place)
    (alone,) = card_pages.sections_of([[begun]])
    assert alone.name == "cards"


def test_a_question_without_curves_has_bits_on_every_page_but_is_drawn_on_none(folder, monkeypatch):
    for module in (card_contents, card_pages, curve_figures, explore_page):
        monkeypatch.setattr(module, "WITH_CURVES", (BY_LAG,))
    card_pages.write_report(folder)
    assert [path.stem for path in folder.glob("figures/*.svg")] == ["forgetting-block"]
    assert "bits by key" in (folder / "README.md").read_text()
    (first, *_) = explore_page.data_of([read(folder / "block-gru")])["cards"]
    assert first["lag"]
    assert "key" not in first
    made, rows = card_with(5)
    card_pages.draw(stored(made, rows, folder), made, rows)
    assert not (folder / made.name / "card.svg").exists()


@pytest.mark.parametrize("name", ["block-lru-state-bytes-400", "gru-state-bytes-400"])
def test_a_published_page_is_that_of_its_card_and_rows(name):
    folder = ROOT / "docs" / "cards" / name
    assert card_pages.page(*read(folder)) == (folder / "card.md").read_text()


def test_built_in_cells_are_shown_only_by_name(folder, monkeypatch):
    small = card_with(0, lags=9, cell="block:lstm", name="block-lstm")[0]
    monkeypatch.setattr(built_in_cards, "built_in_cards", lambda: [small])
    card_pages.write_report(folder)
    assert "| LSTM |" not in (folder / "README.md").read_text()
    card_pages.write_report(folder, beside=["lstm"])
    assert "| LSTM |" in (folder / "README.md").read_text()
    (bare,) = built_in_cards.beside(["lstm"], [card_with(0, lags=9, cell="mine.py")[0]])
    assert bare == small  # a bare cell stands beside the block, in a table of its own
    with pytest.raises(ConfigError, match="use one of lstm"):
        card_pages.write_report(folder, beside=["lsmt"])


def test_the_anchor_of_a_card_is_the_plainest_of_its_track_and_the_nearest_size(monkeypatch):
    named, words = "echo_jax.cells.known_memory:ProjectedRegister", "register"
    rows = [lag_row([4.0] * 9)]
    plain, _ = registers = [card(rows, named, args=of) for of in ({}, {"numbers": 2})]
    larger, block = card(rows, named, state_bytes=800), card(rows, f"block:{named}")
    monkeypatch.setattr(built_in_cards, "built_in_cards", lambda: [larger, *registers, block])
    assert built_in_cards.anchors(card(rows, "gru", state_bytes=380)) == {words: plain}
    of_larger = {f"{words}, 200 float32": larger}
    assert built_in_cards.anchors(card(rows, "gru", state_bytes=1000)) == of_larger


def test_the_built_in_cards_and_readings_follow_from_the_committed_ones():
    made = runpy.run_path(str(ROOT / ".ci" / "built_in_cards.py"))
    package, published = resources.files("echo_jax.memory"), ROOT / "docs" / "cards"
    text = package.joinpath("comparison", built_in_cards.FILE).read_bytes()
    assert text == made["encoded"](built_in_cards.read_folder(published))
    readings = (published / face_picture.READINGS).read_bytes()
    assert package.joinpath("pages", face_picture.BUILT_IN).read_bytes() == made["of_lstm"](
        readings
    )
