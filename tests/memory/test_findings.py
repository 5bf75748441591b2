"""The cards of docs/cards are what their rows say, and so are the sentences on them there.

Each sentence of docs/cards/README.md that names cells or numbers has a test here.
"""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from echo_jax.memory.card import CARD_FILE
from echo_jax.memory.pages import built_in_cards, table, told_apart
from echo_jax.memory.pages.questions import QUESTIONS

DOCS = Path(__file__).parents[2] / "docs" / "cards"


@pytest.fixture(scope="module")
def every():
    """All cards with their rows."""
    return built_in_cards.read_folder(DOCS)


@pytest.fixture(scope="module")
def cards(every):
    """The cards in the block at 400 bytes, by the name of the cell."""
    blocks = [x for x, _ in every if told_apart.track(x) == "block"]
    return {table.cell_of(x): x for x in blocks if 360 <= x.state_bytes <= 440}


def test_a_stored_card_is_that_of_its_rows(every):
    for card, _ in every:
        stored = (DOCS / card.name / CARD_FILE).read_bytes()
        assert msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n" == stored, card.name


@pytest.mark.parametrize("question", QUESTIONS)
def test_pairs_that_half_of_the_seeds_tell_apart_have_the_same_order_in_the_others(cards, question):
    known = {name: bits for name, card in cards.items() if (bits := question.of(card))}
    seeds = np.array([bits.by_seed for bits in known.values() if len(bits.seeds) == 8])
    first, second = seeds[:, :4], seeds[:, 4:].mean(axis=1)
    apart = [pair for pair in told_apart.pairs_of(first) if pair.apart]
    assert len(apart) > 50
    assert [x for x in apart if x.difference * (second[x.first] - second[x.second]) < 0] == []
