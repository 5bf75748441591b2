"""The cards that are committed are valid, whole, and on their page."""

from pathlib import Path

import numpy as np
import pytest

from echo_jax.memory_benchmark import protocol
from echo_jax.memory_cards import all_cards_page, card_file

CARDS = Path(__file__).parents[2] / "docs" / "cards"


@pytest.fixture(scope="module")
def cards():
    return {path.stem: card_file.read(path) for path in sorted(CARDS.glob("*.json"))}


def test_every_card_is_valid_and_of_a_published_protocol(cards):
    hashes = protocol.hashes()
    for name, made in cards.items():
        assert made["name"] == name
        assert hashes[made["protocol_hash"]] == made["protocol"]["name"]


def test_a_register_of_nine_slots_comes_out_to_the_step(cards):
    rows = cards["ShiftRegister-slots-9-full"]["rows"]
    for ladder, end in (("lag-2", 8), ("lag-16", 8), ("hold-2", 7)):
        by_seed = rows["ladders"][ladder]["by_seed"]
        assert [(seed["passed"], seed["missed"]) for seed in by_seed] == [(end, end + 1)] * 8
    by_lag = rows["linear"]["by_lag"]
    np.testing.assert_allclose(by_lag["trained"], np.array(by_lag["lags"]) <= 8, atol=0.02)


def test_the_page_has_a_row_for_every_card(cards):
    table = all_cards_page.summary_table(list(cards.values()))
    assert table in (CARDS.parents[1] / "README.md").read_text()
