"""The cards that are committed: whole, by the protocols of today, on a page that says the same."""

import json
import re
from pathlib import Path

import browser
import numpy as np
import pytest

import echo_jax
from echo_jax import atomic_files
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.published_cards import PUBLISHED_CARDS
from echo_jax.memory_cards import all_cards_page, card_file, card_page, placing
from echo_jax.memory_cards.card_text import was_too_long
from echo_jax.report.html_page import html_page
from echo_jax.report.markdown_page import markdown_page

CARDS = Path(__file__).parents[2] / "docs" / "cards"
REMAKE = "run `echo-jax probe --report docs/cards --readme README.md`"


@pytest.fixture(scope="module")
def cards():
    return {path.stem: card_file.read(path) for path in sorted(CARDS.glob("*.json"))}


def test_every_card_is_one_of_the_published_table_or_quick_and_was_not_cut_short(cards):
    published = {(each.cell, each.protocol) for each in PUBLISHED_CARDS}
    hashes = protocol.hashes()
    for name, made in cards.items():
        assert made["name"] == name
        assert hashes[made["protocol_hash"]] == made["protocol"]["name"]
        chosen = made["protocol"]["name"]
        assert chosen == "quick" or (made["cell"]["cell"], chosen) in published
        too_long = {x["name"] for x in made["protocol"]["ladders"] if was_too_long(made, x["name"])}
        whole = {x["name"] for x in made["protocol"]["ladders"]} - too_long
        assert {*made["rows"]["ladders"]} >= whole
        for span in (made["rows"]["ladders"][name] for name in whole):
            ends = [each["passed"] for each in span["by_seed"] if each["missed"] is None]
            assert not ends or min(ends) >= max(line["rung"] for line in span["rungs"])
    size = sum(path.stat().st_size for path in CARDS.glob("*") if path.is_file())
    assert size < 40e6


def test_the_runs_of_a_quick_card_are_in_the_full_card_of_its_cell_bit_for_bit(cards):
    """But for the rungs that the full card skipped, because all seeds passed a longer one."""
    pairs = [
        (quick, full)
        for quick in cards.values()
        for full in cards.values()
        if (quick["protocol"]["name"], full["protocol"]["name"]) == ("quick", "full")
        and quick["cell"] == full["cell"]
        and quick["versions"] == full["versions"]
    ]
    assert len(pairs) >= 5
    for quick, full in pairs:
        skips = [row for row in full["raw"] if row["kind"] == "skipped"]
        skipped = {(row["ladder"], row["rung"]) for row in skips}
        runs = [row for row in quick["raw"] if row["kind"] == "run"]
        shared = [row for row in runs if (row["ladder"], row["rung"]) not in skipped]
        assert len(shared) > 10
        assert all(row in full["raw"] for row in shared)


def test_the_table_begins_with_twelve_blocks_and_goes_on_with_the_same_bare_cells():
    first = ("lstm", "gru", "lru", "mingru", "mlstm", "gated-delta-net", "rg-lru", "mamba2")
    twelve = [*first, "slstm", "gla", "rwkv7", "s5"]
    full = [x.cell for x in PUBLISHED_CARDS if x.state_bytes == 400 and "layers" not in x.arguments]
    assert full[:24] == [*(f"block:{cell}" for cell in twelve), *twelve]
    keys = [each for each in PUBLISHED_CARDS if each.protocol == "keys"]
    assert {each.state_bytes for each in keys} == {4000}
    two = [each for each in PUBLISHED_CARDS if "layers=2" in each.arguments]
    assert PUBLISHED_CARDS.index(two[0]) > PUBLISHED_CARDS.index(keys[-1])


def test_a_cell_of_so_many_bytes_has_them_within_a_tenth_or_fewer(cards):
    for name, made in cards.items():
        if sized := re.search(r"state-bytes-(\d+)", name):
            assert made["rows"]["price"]["state_bytes"] <= 1.1 * int(sized[1])


def card_of(cards, name):
    """A card; the test is skipped where it is not run yet."""
    return cards[name] if name in cards else pytest.skip(f"{name} is not run yet")


def climbs(made, ladder):
    """The last rung passed and the first missed of each seed."""
    return [(x["passed"], x["missed"]) for x in made["rows"]["ladders"][ladder]["by_seed"]]


def test_a_register_of_nine_slots_comes_out_to_the_step(cards):
    made = card_of(cards, "ShiftRegister-slots-9-full")
    for ladder, end in (("lag-2", 8), ("lag-16", 8), ("hold-2", 7)):
        assert climbs(made, ladder) == [(end, end + 1)] * 8
    rows = made["rows"]
    assert rows["cause"]["verdict"] == "could not hold"
    for network in rows["bits"]["networks"].values():
        share = np.array(network["by_lag"]) / network["by_lag"][0]
        np.testing.assert_allclose(share, np.arange(1, len(share) + 1) <= 8, atol=0.02)
    by_lag = rows["linear"]["by_lag"]
    np.testing.assert_allclose(by_lag["trained"], np.array(by_lag["lags"]) <= 8, atol=0.02)
    assert rows["price"]["state_bytes"] == 9 * 16 * 4  # with sixteen tokens


def test_the_leaky_integrator_has_its_linear_memory_function(cards):
    by_lag = card_of(cards, "LeakyIntegrator-full")["rows"]["linear"]["by_lag"]
    expected = (1 - 0.9**2) * 0.9 ** (2 * np.array(by_lag["lags"]))
    np.testing.assert_allclose(by_lag["trained"], expected, atol=0.02)


def test_the_convolution_of_a_block_alone_passes_no_rung(cards):
    made = card_of(cards, "block-Memoryless-features-32-full")
    for ladder, first in (("lag-16", 8), ("marked-16", 4), ("key-16", 2), ("key-64", 2)):
        assert climbs(made, ladder) == [(0, first)] * 8
    assert made["rows"]["price"]["convolution_bytes"] == 384


def test_the_built_in_climbs_are_those_of_the_cards(cards):
    path = Path(echo_jax.__file__).parent / "memory_cards" / "built_in_climbs.json"
    found = json.loads(path.read_text())
    assert found == placing.table_of(cards.values()), "run `python .ci/built_in_climbs.py`"
    assert found["block"]


def test_the_page_of_each_card_says_what_the_card_says(cards, monkeypatch):
    known = placing.table_of(cards.values())
    monkeypatch.setattr(placing, "built_in", lambda: known)
    for name, made in cards.items():
        page = (CARDS / f"{name}.md").read_text()
        again = f"run `echo-jax probe --draw docs/cards/{name}.json`"
        assert page.startswith(card_page.markdown(made, f"{name}.svg")), again


def test_the_readme_has_the_table_of_the_cards(root, cards):
    _, shown, _ = atomic_files.between(root / "README.md", "cards")
    assert shown.strip() == all_cards_page.summary_table(list(cards.values())), REMAKE


@pytest.mark.slow
def test_the_page_says_what_the_cards_say(cards, monkeypatch):
    """But for the figures, whose lines depend on the version of matplotlib."""
    known = placing.table_of(cards.values())
    monkeypatch.setattr(placing, "built_in", lambda: known)
    command = "echo-jax probe --report docs/cards"
    page = all_cards_page.page_of(all_cards_page.read_folder(CARDS), command)
    markdown = (CARDS / "README.md").read_text()
    assert markdown.startswith(markdown_page(page)), REMAKE

    def without_figures(text):
        return re.sub(r"<svg.*?</svg>", "<svg>", text, flags=re.S)

    shown = without_figures((CARDS / "page.html").read_text())
    assert shown.startswith(without_figures(html_page(page))), REMAKE


@pytest.mark.slow
@pytest.mark.timeout(100)
def test_a_browser_finds_every_card_and_all_can_be_read(cards, tmp_path):
    page = CARDS / "page.html"
    assert page.stat().st_size < 4e6
    with browser.tab(tmp_path) as tab:
        for folded, opened in browser.audits(tab, page):
            assert folded["figures"] >= 3
            assert opened["figures"] >= len(cards)
