"""What docs/cards/README.md says by hand is what the rows of the cards say."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from echo_jax import statistics
from echo_jax.memory.pages import built_in_cards, table

DOCS = Path(__file__).parents[2] / "docs" / "cards"
MATRICES = ("delta-net", "gated-delta-net", "gla", "mamba2", "mlstm", "rwkv7")

TOLD_APART = {
    "bits_by_lag": ("lmu", "simple", "lru", "AttentionCache", "s5", "gru", "lstm-chrono", "lstm"),
    "bits_by_key": ("AttentionCache", "mamba2", "rwkv7", "gla"),
}
"""Cells that the sentences name in this order, each told apart from the next: ten pairs."""


@pytest.fixture(scope="module")
def blocks():
    """The cards in the block."""
    whole = [card for card, _ in built_in_cards.read_folder(DOCS)]
    return [card for card in whole if table.track(card) == "block"]


@pytest.fixture(scope="module")
def cards(blocks):
    """The cards in the block at 400 bytes, by the name of the cell."""
    return {table.cell_of(x): x for x in blocks if x.state_bytes < 800}


@pytest.fixture(scope="module")
def text():
    """The page."""
    return re.sub(r"\s+", " ", (DOCS / "README.md").read_text("utf-8"))


def test_neighbours_that_a_sentence_orders_are_told_apart(cards):
    pairs = [(q, *of) for q, names in TOLD_APART.items() for of in itertools.pairwise(names)]
    seeds = {(q, x): getattr(cards[x], q).by_seed for q, *names in pairs for x in names}
    assert min(map(len, seeds.values())) == 8
    p_values = [statistics.permutation_test(seeds[q, a], seeds[q, b]) for q, a, b in pairs]
    assert max(statistics.holm(p_values)) < 0.05
    assert all(table.mean_of(cards[a], q) > table.mean_of(cards[b], q) for q, a, b in pairs)


def test_the_numbers_of_the_findings_are_those_of_the_seeds(cards, text):
    for name in TOLD_APART["bits_by_lag"]:
        seeds = cards[name].bits_by_lag.by_seed
        assert f"({min(seeds):.0f} to {max(seeds):.0f}" in text, name
    for name in ("AttentionCache", *MATRICES):
        assert f"{cards[name].bits_by_key.mean:.0f}" in text, name
    vectors = [x for name, x in cards.items() if name not in ("AttentionCache", *MATRICES)]
    assert max(bits for card in vectors for bits in card.bits_by_key.by_seed) < 4.45


def test_the_ranges_at_larger_states_are_those_of_the_seeds(blocks, text):
    larger = [card for card in blocks if card.state_bytes > 800]
    assert len(larger) == 15
    for card in larger:
        seeds = card.bits_by_key.by_seed
        whole = f"{min(seeds):.0f} to {max(seeds):.0f}"
        assert (len(seeds), whole in text or whole == "4 to 4") == (4, True), card.name
        if table.cell_of(card) in ("delta-net", "mamba2") and card.state_bytes > 4000:
            assert min(seeds) > 6 * card.keys == 192
    assert {card.name for card in larger if card.on_plateau} == {
        f"block-{name}" for name in (
            "lru-state-bytes-1600", "gated-delta-net-state-bytes-1600", "gla-state-bytes-4000",
        )
    }  # fmt: skip


def test_by_lag_every_pair_of_the_table_but_one_is_told_apart(cards):
    shown = {name: card for name, card in cards.items() if name != "Memoryless"}
    apart = table.compared([card.bits_by_lag.by_seed for card in shown.values()]).apart
    alike = np.argwhere(np.triu(~apart, 1))
    assert [{[*shown][i] for i in pair} for pair in alike] == [{"exprnn", "lru"}]


@pytest.mark.parametrize("question", table.QUESTIONS)
def test_pairs_that_half_of_the_seeds_tell_apart_have_the_same_order_in_the_others(cards, question):
    seeds = np.array([table.measure(card, question).by_seed for card in cards.values()])
    first, second = (half.mean(axis=1) for half in np.split(seeds, 2, axis=1))
    signs = [np.sign(means[:, None] - means) for means in (first, second)]
    apart = table.compared(seeds[:, :4]).apart
    assert apart.sum() > 100
    np.testing.assert_array_equal(signs[0][apart], signs[1][apart])
