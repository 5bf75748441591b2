"""What a card says in words, in a terminal and on its page."""

from pathlib import Path

from fabricated_cards import CARDS, SMALL, card, fabricated
from golden import assert_golden

from echo_jax.memory_cards import card_text
from echo_jax.memory_cards.card_page import markdown

GOLDEN = Path(__file__).parent / "golden"


def test_the_words_of_cards_are_as_they_were_read():
    """Glance and answer of cards with every kind of result, missing measures, and one seed."""
    parts = []
    one_seed = fabricated("gru", {"lag-2": 1}, SMALL | {"seeds": 1}, name="one-seed")
    for made in [*map(card, CARDS), one_seed]:
        glance = "\n".join(" | ".join(line) for line in card_text.glance(made))
        parts.append(f"{made['name']}\n\n{glance}\n\n" + "\n".join(card_text.answer(made)) + "\n")
    assert_golden("\n\n".join(parts), GOLDEN / "words.txt")


def test_the_page_of_a_card_is_as_it_was_read():
    made = card("lstm") | {"device": "a | b <script> *c*"}
    assert_golden(markdown(made, "lstm.svg"), GOLDEN / "lstm.md")
