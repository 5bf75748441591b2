"""What docs/cards/README.md says by hand is what the rows of the cards say."""

import itertools
import re
from pathlib import Path

import pytest

from echo_jax.memory.pages import built_in_cards, table

DOCS = Path(__file__).parents[2] / "docs" / "cards"
VECTORS = ("lru", "s5", "gru", "lstm", "lstm-chrono", "rg-lru", "mingru", "minlstm", "simple")

TOLD_APART = {
    "bits_by_lag": ("simple", "lru", "AttentionCache", "s5", "gru", "lstm-chrono", "lstm", "rwkv7"),
    "bits_by_key": ("AttentionCache", "mamba2", "rwkv7", "gla"),
}
"""Cells that the sentences name in this order, each told apart from the next: ten pairs."""


@pytest.fixture(scope="module")
def cards():
    """The cards in the block at 400 bytes, by the name of the cell."""
    whole = [card for card, _ in built_in_cards.read_folder(DOCS)]
    return {table.cell_of(x): x for x in whole if table.track(x) == "block" and x.state_bytes < 800}


def test_neighbours_that_a_sentence_orders_are_told_apart(cards):
    pairs = [(q, *of) for q, names in TOLD_APART.items() for of in itertools.pairwise(names)]
    seeds = {(q, x): getattr(cards[x], q).by_seed for q, *names in pairs for x in names}
    assert min(map(len, seeds.values())) == 8
    for question in TOLD_APART:
        named = [(cards[a].name, cards[b].name) for q, a, b in pairs if q == question]
        assert max(table.named_pairs(list(cards.values()), named, question)) < 0.05
    assert all(table.mean_of(cards[a], q) > table.mean_of(cards[b], q) for q, a, b in pairs)


def test_the_numbers_of_the_findings_are_those_of_the_seeds(cards):
    text = re.sub(r"\s+", " ", (DOCS / "README.md").read_text("utf-8"))
    for name in TOLD_APART["bits_by_lag"]:
        seeds = cards[name].bits_by_lag.by_seed
        assert f"({min(seeds):.0f} to {max(seeds):.0f}" in text, name
    for name in (
        "AttentionCache",
        "delta-net",
        "mamba2",
        "gated-delta-net",
        "mlstm",
        "rwkv7",
        "gla",
    ):
        assert f"{cards[name].bits_by_key.mean:.0f}" in text, name
    assert max(x for name in VECTORS for x in cards[name].bits_by_key.by_seed) < 4.5
