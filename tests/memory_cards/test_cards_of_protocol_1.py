"""The cards of protocol 1: still readable, in a table of their own."""

import pytest

from echo_jax.memory_cards import card_file


@pytest.fixture(scope="module")
def folder(root):
    return root / "docs" / "cards" / "protocol-1"


def test_every_card_of_protocol_1_is_read_and_compared_with_no_other(folder):
    cards = [card_file.read(path) for path in sorted(folder.glob("*.json"))]
    assert len(cards) == 22
    for card in cards:
        assert card_file.is_protocol_1(card)
        assert "cannot be compared" in card_file.comparable(card, {card["protocol_hash"]})


def test_the_table_has_every_card_of_protocol_1_with_its_date_and_its_page(folder):
    text = (folder / "README.md").read_text()
    for path in folder.glob("*.json"):
        card = card_file.read(path)
        kind = "copy memory" if card["protocol"]["name"] == "copy" else "full"
        assert (folder / f"{path.stem}.md").exists()
        assert f"| `{path.stem}` | {card['date']} | [{kind}]({path.stem}.md) |\n" in text
    assert text.count("\n| `") == len(list(folder.glob("*.json")))
