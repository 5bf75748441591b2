"""What a card says in words, in a terminal and on its page."""

from pathlib import Path

import pytest
from fabricated_cards import CARDS, SMALL, card, fabricated
from golden import assert_golden

from echo_jax.memory_cards import card_text
from echo_jax.memory_cards.card_page import command_of, markdown
from echo_jax.memory_cards.summary import summarize

GOLDEN = Path(__file__).parent / "golden"


def test_the_words_of_cards_are_as_they_were_read():
    """Glance and answer of cards with every kind of result, missing measures, and one seed."""
    parts = []
    one_seed = fabricated("gru", {"lag-2": 1}, SMALL | {"seeds": 1}, name="one-seed")
    for made in [*map(card, CARDS), one_seed]:
        glance = "\n".join(" | ".join(line) for line in card_text.glance(made))
        parts.append(f"{made['name']}\n\n{glance}\n\n" + "\n".join(card_text.answer(made)) + "\n")
    assert_golden("\n\n".join(parts), GOLDEN / "words.txt")


@pytest.mark.parametrize("name", ["lstm", "lstm-copy", "mine", "block-lstm"])
def test_the_page_of_a_card_is_as_it_was_read(name):
    made = card(name) | {"device": "a | b <script> *c*"}
    assert_golden(markdown(made, f"{name}.svg"), GOLDEN / f"{name}.md")


def test_a_card_that_was_stopped_in_its_first_rung_says_so_of_the_cause():
    made = fabricated("gru", {"lag-2": 1})
    made["raw"] = [row | {"accuracy": [0.5], "confirmed": []} for row in made["raw"][:8]]
    made["rows"] = summarize(made["raw"], made["protocol"])
    assert made["rows"]["ladders"]["lag-2"]["at_least"]
    assert made["rows"]["cause"] is None
    assert "cause" in [line.label for line in card_text.lines(made)]


def test_the_command_of_a_card_has_its_arguments_and_its_first_seed():
    made = card("block-lstm")
    assert command_of(made) == (
        "echo-jax probe --cell block:lstm --cell-args features=50 --protocol full"
    )
    made = card("mine") | {"seeds": [7, 8, 9, 10]}
    made["cell"] |= {"cell": "__main__:MyCell", "args": {}}
    assert command_of(made) == "echo-jax probe --cell FILE.py:MyCell --protocol quick --seed 7"


def test_a_span_is_a_mean_a_lower_bound_or_below_the_first_rung():
    mean, bound, nothing = (
        fabricated("gru", {"lag-2": last})["rows"]["ladders"]["lag-2"] for last in (10, 200, 0)
    )
    assert card_text.span_words(mean) == ("11", "10 to 12")
    assert card_text.span_words(bound) == ("at least 200", "from 200")
    assert card_text.span_words(bound, card_text.AT_LEAST)[0] == "\u2265\u2009200"
    assert card_text.span_words(nothing) == ("below 1", "no seed passed it")
    assert card_text.span_words(nothing, card_text.AT_LEAST)[0] == "<\u20091"
    some = {name: mean[name] for name in ("mean", "low", "high", "at_least")}  # without seeds
    assert card_text.span_words(some) == ("11", "10 to 12")


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("lstm", "recurrent"),
        ("mlp", "reference"),
        ("block:mlp", "reference"),
        ("block:lru", "recurrent"),
        ("echo_jax.cells.known_memory:ShiftRegister", "control"),
        ("block:echo_jax.cells.known_memory:Memoryless", "control"),
        ("theirs:ShiftRegister", "recurrent"),
    ],
)
def test_a_cell_is_of_a_kind_also_in_a_block(cell, kind):
    made = card("lstm")
    made["cell"]["cell"] = cell
    assert card_text.kind_of(made) == kind


def test_names_in_a_sentence_end_with_and():
    assert [card_text.listed(list(names)) for names in ("a", "ab", "abc")] == [
        "a", "a and b", "a, b and c",
    ]  # fmt: skip


def test_cards_are_named_without_a_protocol_that_all_have_and_with_a_digest_where_alike():
    one, other = card("lstm") | {"name": "lstm-full"}, card("lru") | {"name": "lru-full"}
    assert card_text.names_of([one, other]) == ["lstm", "lru"]
    quick = card("lstm-quick")
    assert card_text.names_of([one, quick]) == ["lstm-full", "lstm-quick"]
    twin = card("simple") | {"name": "lstm-full"}
    assert card_text.names_of([one, twin]) == [
        f"lstm ({each['digest'][:8]})" for each in (one, twin)
    ]
