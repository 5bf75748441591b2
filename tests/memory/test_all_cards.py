"""The pages of a card and of a folder of cards, and the cards that come with the package."""

import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from made_up_cards import card, card_with, key_row, lag_row

from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.memory import card as cards
from echo_jax.memory.answers_to_bits import accuracy_of_list
from echo_jax.memory.pages import all_cards, built_in_cards, card_figure, card_pages
from echo_jax.memory.pages.questions import BY_LAG
from echo_jax.memory.protocol import STANDARD, Configuration

BY_HAND = "<!-- Written by hand and kept: only what the tables tell apart. -->"
DOCS = Path(__file__).parents[2] / "docs" / "cards"


@pytest.fixture
def folder(tmp_path):
    for cell, pairs, lags in (("block:gla", 5, 3), ("block:gru", 0, 18), ("block:lru", 0, 39)):
        made, rows = card_with(pairs, lags=lags, cell=cell, name=cell.replace(":", "-"))
        (tmp_path / made.name).mkdir()
        cards.write_whole(made, rows, tmp_path / made.name)
    return tmp_path


def test_a_card_is_drawn_beside_its_rows(folder):
    place = folder / "block-gla"
    made, _ = cards.read(place)
    paths = card_pages.draw(place, made, "pdf")
    assert [path.name for path in paths] == ["card.md", "card.svg", "card.pdf"]
    assert paths[0].read_text().split("\n\n")[1].endswith("](card.svg)")
    assert "4 of 4" not in card_pages.sentence(made)
    assert len(card_pages.draw(folder, card([]))) == 2


def test_the_sentence_says_what_is_a_bound_and_what_is_not_there_yet():
    rows = [lag_row([4.0] * 64), lag_row([4.0] * 64, 1), key_row(None)]
    assert card_pages.sentence(card(rows, name="x")) == (
        "x: \u2265256 bits by lag (256 to 256; 2 of 4); 0 bits by key (1 of 4); "
        "0 of 1 seeds on the plateau."
    )
    assert card_pages.sentence(card([], name="x")) == "x: 0 of 4 seeds."
    cut = [x.caption for x in all_cards.figures_of([card(rows, "block:gru")])]
    assert ["Hatched" in words for words in cut] == [True, True]
    whole, _ = card_with(4, lags=9, cell="block:gru")
    assert not any("Hatched" in x.caption for x in all_cards.figures_of([whole]))


def test_a_card_is_called_as_its_folder_is_now(folder):
    (folder / "block-gla").rename(folder / "mine")
    all_cards.write_report(folder)
    assert "(<mine/card.md>)" in (folder / "README.md").read_text()


def test_built_in_cells_stand_beside_in_the_order_of_their_names():
    own = [card([lag_row([1.0])], state_bytes=size) for size in (400, 1600, 4000)]
    names = ["delta-net", "gla", "mamba2"]
    found = [x.name for x in built_in_cards.beside(names, own)]
    sizes = (1600, 400, 4000)
    assert found == [f"block-{x}-state-bytes-{size}" for x in names for size in sizes]
    (full,) = built_in_cards.beside(
        ["gru"], [card([], "block:mine.py", configuration=STANDARD.full)]
    )
    assert full.configuration == [*STANDARD.full]


def test_the_page_starts_with_a_figure_and_keeps_what_was_written_by_hand(folder):
    all_cards.write_report(folder)
    page = folder / "README.md"
    assert page.read_text().split("\n\n")[1].endswith("](<figures/forgetting-block.svg>)")
    page.write_text(page.read_text().replace(BY_HAND, "The LRU keeps more."))
    (folder / "block-gla" / "card.json").unlink()
    all_cards.write_report(folder)
    assert "The LRU keeps more." in page.read_text()
    assert "gla" not in page.read_text()
    page.write_text(page.read_text().replace("# The memory", "My remark. # The memory"))
    before = page.read_bytes()
    with pytest.raises(StorageError, match=r"README\.md is not as it was generated"):
        all_cards.write_report(folder)
    assert page.read_bytes() == before


def test_a_page_of_somebody_else_is_not_overwritten(folder):
    (folder / "README.md").write_text("mine")
    with pytest.raises(StorageError, match=r"README\.md is not as it was generated"):
        all_cards.write_report(folder)
    assert (folder / "README.md").read_text() == "mine"


def test_tables_and_figures_are_written(folder):
    written = all_cards.write_report(folder, kind="png", tables=["csv", "latex"])
    names = {str(path.relative_to(folder)) for path in written}
    assert {"tables/cards.csv", "tables/cards.tex", "figures/forgetting-block.png"} <= names
    assert all(path.exists() for path in written)


def test_built_in_cells_are_shown_only_by_name(folder, monkeypatch):
    small = card_with(0, lags=9, cell="block:lstm", name="block-lstm")[0]
    monkeypatch.setattr(built_in_cards, "built_in_cards", lambda: [small])
    all_cards.write_report(folder)
    assert "| lstm |" not in (folder / "README.md").read_text()
    all_cards.write_report(folder, beside=["lstm"])
    assert "| lstm |" in (folder / "README.md").read_text()
    (bare,) = built_in_cards.beside(["lstm"], [card_with(0, lags=9, cell="mine.py")[0]])
    assert bare == small  # a bare cell stands beside the block, in a table of its own
    with pytest.raises(ConfigError, match="use some of lstm"):
        all_cards.write_report(folder, beside=["lsmt"])


def test_a_small_card_has_the_seeds_and_configurations_of_the_default_card():
    rows = [lag_row([4.0], rate=0.03), lag_row([1.0], 1), lag_row([4.0], 4)]
    small = built_in_cards.small_card(card(rows, seeds=5), rows)
    assert (small.bits_by_lag.by_seed, small.seeds) == ([1.0], [1])
    assert built_in_cards.small_card(card(rows), rows[:1]) is None


def test_a_card_is_drawn_before_those_with_its_configurations_and_else_before_default_cards():
    def rates(of):
        return {each.rate for each in of.configuration if each.question == "by lag"}

    full = [lag_row([4.0], rate=rate) for rate in (0.01, 0.03, 0.1)]
    for rows in (full[:1], full):
        near = card_figure.peers(card(rows, "block:mine.py"), BY_LAG)
        assert len(near) > 10
        assert all(rates(x) == {row.rate for row in rows} for x in near)
    of_its_own = [Configuration("by lag", 0.003)]
    alone = card([lag_row([4.0], rate=0.003)], "block:mine.py", configuration=of_its_own)
    assert all(map(built_in_cards.is_default, card_figure.peers(alone, BY_LAG)))


def test_sizes_are_compared_by_the_configurations_that_all_cards_have():
    small, rows = card_with(5, cell="block:gla")
    large = card_with(20, cell="block:gla", state_bytes=1600)
    rows = rows + [key_row(lambda _: 1.0, seed, schedule="adaptive") for seed in range(4)]
    wide = card(rows, "block:gla"), rows
    (alone,) = all_cards.by_size([wide], [])
    assert alone.bits_by_key.mean == 144
    assert [x.name for x in all_cards.by_size([large], [wide[0], small])] == ["gla-1600", "gla-400"]
    shown = all_cards.by_size([wide, large], [])
    assert [x.bits_by_key for x in shown] == [small.bits_by_key, large[0].bits_by_key]


def test_the_built_in_cards_follow_from_the_committed_ones():
    whole = built_in_cards.read_folder(DOCS) if list(DOCS.glob("*/card.json")) else []
    text = resources.files("echo_jax.memory.pages").joinpath(built_in_cards.FILE).read_bytes()
    assert text == built_in_cards.encoded(whole)


def test_cards_are_read_and_compared_without_jax_and_matplotlib():
    code = (
        "import sys, echo_jax.memory.pages.built_in_cards, echo_jax.memory.pages.table;"
        "sys.exit(bool({'jax', 'matplotlib'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_legend_of_a_card_names_the_line_of_a_list_of_the_values():
    made, rows = card_with(2, lags=9)
    axes = card_figure.card_figure(made, rows).axes[-1]
    (line,) = (x for x in axes.lines if x.get_label() == "a list of the values")
    expected = [accuracy_of_list(pairs, 64) for pairs in line.get_xdata()]
    np.testing.assert_allclose(line.get_ydata(), expected)
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words[0] == "a list of the values"
