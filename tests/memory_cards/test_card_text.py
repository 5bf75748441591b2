"""What a card says in words, in a terminal and on its page."""

from pathlib import Path

import pytest
from fabricated_cards import CARDS, SMALL, card, run, tuning_rows
from golden import assert_golden

from echo_jax.memory_cards import card_file, card_text
from echo_jax.memory_cards.card_page import markdown
from echo_jax.memory_cards.card_text import Reach
from echo_jax.memory_cards.summary import span_estimate

GOLDEN = Path(__file__).parent / "golden"


def one_seed():
    protocol = SMALL | {"seeds": 1}
    raw = [*tuning_rows("stream", protocol), run("stream", 1, 0, protocol, 100)]
    raw += [run("stream", 2, 0, protocol)]
    made = card("lstm-quick")
    identity = {"name": "one-seed", "cell": made["cell"], "protocol": protocol, "seeds": [0]}
    return card_file.make(identity, raw, made)


def test_the_words_of_cards_are_as_they_were_read():
    """Glance and answer of cards with every kind of result, missing measures, and one seed."""
    parts = []
    for made in [*map(card, CARDS), one_seed()]:
        glance = "\n".join(" | ".join(line) for line in card_text.glance(made))
        parts.append(f"{made['name']}\n\n{glance}\n\n" + "\n".join(card_text.answer(made)) + "\n")
    assert_golden("\n\n".join(parts), GOLDEN / "words.txt")


@pytest.mark.parametrize("name", ["lstm", "lstm-copy", "mine"])
def test_the_page_of_a_card_is_as_it_was_read(name):
    made = card(name) | {"device": "a | b <script> *c*"}
    assert_golden(markdown(made, f"{name}.svg"), GOLDEN / f"{name}.md")


def test_the_page_of_a_cell_that_no_module_defines_names_a_file_to_put_it_in():
    made = card("mine")
    made["cell"]["cell"] = "__main__:MyCell"
    assert "echo-jax probe --cell FILE.py:MyCell --cell-args" in markdown(made)


@pytest.mark.parametrize(
    ("by_seed", "at_least", "median_is_bound", "high_is_bound"),
    [
        ([2, 3, 5, 8, 12], [False] * 5, False, False),
        ([2, 3, 5, 8, 12], [False, False, False, False, True], False, True),
        ([2, 3, 5, 8, 12], [False, False, True, True, True], True, True),
        ([2, 3, 5, 8, 12], [True, False, False, False, False], True, True),  # it could be any seed
        ([5] * 8, [True] + [False] * 7, False, False),  # the median of the others is 5 all the same
        ([5] * 8, [True] * 4 + [False] * 4, False, True),  # the lower of the two in the middle
        ([5] * 8, [True] * 5 + [False] * 3, True, True),
        ([5] * 4 + [8] * 4, [False] * 4 + [True] * 4, False, True),
        ([5], [True], True, False),
    ],
)
def test_a_number_is_a_lower_bound_if_longer_spans_of_undecided_seeds_would_raise_it(
    by_seed, at_least, median_is_bound, high_is_bound
):
    span = span_estimate(by_seed) | {"at_least": at_least}
    expected = Reach(span["median"], span["low"], span["high"], median_is_bound, high_is_bound)
    assert card_text.reach(span) == expected
