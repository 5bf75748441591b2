"""The page on which cards are explored: its numbers, controls and address in a browser."""

import pytest
from made_up_cards import card_with, stored

from echo_jax.memory import card_contents as cards
from echo_jax.memory.pages import card_pages

pytestmark = pytest.mark.timeout(120)

CELLS = {"block:gla": (5, 3), "block:gru": (0, 18), "block:lru": (0, 39), "lstm": (2, 25)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("cards")
    for cell, (pairs, lags) in CELLS.items():
        stored(*card_with(pairs, lags=lags, cell=cell, name=cell.replace(":", "-")), place)
    by_key_alone = card_with(9, cell="block:mlstm", state_bytes=1600, name="large")
    stored(*by_key_alone, place)
    card_pages.write_report(place)
    return place


@pytest.mark.parametrize("question", ["lag", "key"])
def test_the_table_has_the_bits_of_the_cards_of_one_track(tab, folder, question):
    tab.open(folder / "explore.html", fragment=f"#question={question}")
    bits = [text.split()[0] for text in tab.texts("#cells td:nth-child(2)")]  # without the range
    shown = dict(zip(tab.texts("#cells td:first-child"), bits, strict=True))
    assert list(shown) == sorted(shown, key=lambda cell: -float(shown[cell]))
    names = {"gla": "GLA", "gru": "GRU", "lru": "LRU"}
    for cell, name in names.items():
        made, _ = cards.read(folder / f"block-{cell}")
        bits = getattr(made, f"bits_by_{question}").mean
        assert float(shown[name]) == pytest.approx(bits, abs=0.006 * max(bits, 1))
    assert "LSTM" not in shown


def test_a_link_opens_the_same_choice_and_the_keyboard_makes_it(tab, folder):
    tab.open(folder / "explore.html", width=390)
    tab.run("document.querySelector('#choices summary').focus()")
    tab.press("Enter", "Tab", "Tab")  # opens the choice, where the second cell is the GRU
    tab.press(" ")
    assert [name.split()[0] for name in tab.texts("#chart .name")] == ["LRU", "GLA"]
    tab.run("document.querySelector('#question input:checked').focus()")
    tab.press("ArrowRight")
    address = tab.run("location.hash")
    assert "question=key" in address
    before = tab.texts("#chart .name")
    tab.open(folder / "explore.html", fragment=address)
    assert tab.texts("#chart .name") == before
    tab.open(folder / "explore.html", fragment="#network=none&updates=7&cells=LRU")
    assert len(tab.texts("#chart .name")) == 1
    tab.run("document.querySelectorAll('#network input')[1].click()")
    assert tab.texts("#chart .name") == []  # a cell that it has not
    tab.run("document.querySelector('#chosen input').click()")
    assert [name.split()[0] for name in tab.texts("#chart .name")] == ["LSTM"]
    assert "cells=LRU&cells=LSTM" in tab.run("location.hash")


def test_a_link_keeps_a_cell_whose_name_has_a_comma_and_an_older_one_is_a_list(tab, tmp_path):
    name = "DeltaNet, not trained"
    for cell in ("gru", "lru", "FrozenDeltaNet"):
        whole = cell if cell.islower() else f"echo_jax.cells.known_memory:{cell}"
        stored(*card_with(0, lags=9, cell=f"block:{whole}", name=f"block-{cell}"), tmp_path)
    card_pages.write_report(tmp_path)
    tab.open(tmp_path / "explore.html")
    tab.click('#chosen input[value="LRU"]')
    both = tab.run("location.hash")
    cases = ((both, [name, "GRU"]), (f"#cells={name}", [name]), ("#cells=GRU,LRU", ["GRU", "LRU"]))
    for fragment, cells in cases:
        tab.open(tmp_path / "explore.html", fragment=fragment)
        assert tab.run("chosen().map(({ cell }) => cell)") == cells
