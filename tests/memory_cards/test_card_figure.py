"""The figure of one card: what is drawn and what is said where nothing was measured."""

from xml.etree import ElementTree

import numpy as np
import pytest
from fabricated_cards import card
from wcag import assert_readable

from echo_jax.memory_cards import card_text
from echo_jax.memory_cards.card_figure import CARD_WIDTH, card_figure
from echo_jax.report.styles import svg


def said(made):
    """The words of the figure of a card, as its SVG has them."""
    root = ElementTree.fromstring(svg(card_figure(made), "a"))
    return [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


def lines_of(axes, marker):
    return [line for line in axes.lines if line.get_marker() == marker]


@pytest.mark.parametrize("name", ["lstm", "no-memory", "mine"])
def test_a_card_says_its_name_its_protocol_and_its_numbers(name):
    made = card(name)
    words = said(made)
    assert words.count(name) == 1
    assert any(made["protocol_hash"][:8] in each and "8 seeds" in each for each in words)
    for _, value, _ in card_text.big_numbers(made):
        assert (value or "not measured") in words
    unexplained = "protocol quick" not in " ".join(filter(None, words))
    assert unexplained == (made["rows"]["capacity"] is not None)


@pytest.mark.parametrize(
    ("missing", "count"), [("stream_span", 1), ("learning", 1), ("price", 3), ("all", 6 + 4)]
)
def test_any_field_of_the_summary_may_be_missing(missing, count):
    made = card("gru") | {"not_measured": {}}
    made["rows"] |= dict.fromkeys(made["rows"] if missing == "all" else [missing])
    assert said(made).count("not measured") == count


def test_words_of_any_kind_are_drawn_as_they_are_each_time_the_same_large_and_dark_enough():
    odd = card("lstm") | {"name": "a$b$_<c> & d"}
    odd["cell"]["args"] = {"clip": "$5 or $6", "long": "x" * 200}
    words = said(odd)
    assert "a$b$_<c> & d" in words
    assert any("clip $5 or $6" in each and each.endswith("\u2026") for each in words)
    drawing = svg(card_figure(odd), "a")
    assert drawing == svg(card_figure(odd), "a")
    assert f'viewBox="0 0 {72 * CARD_WIDTH:.1f}' in drawing
    assert_readable(drawing)


def test_updates_are_drawn_by_lag_and_a_median_that_never_came_is_hollow_on_top():
    made = card("lstm")
    axes = card_figure(made).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    rows = made["rows"]["learning"]["stream"]
    line, hollow = lines_of(axes, "o")
    known = [row["median"] for row in rows if row["median"] is not None]
    assert list(line.get_ydata()) == known
    assert hollow.get_markerfacecolor() == "white"
    assert len(hollow.get_ydata()) == len(rows) - len(known) == 2
    assert hollow.get_ydata()[0] > made["protocol"]["budget"]
    assert "never" in [tick.get_text() for tick in axes.get_yticklabels()]


def test_a_gradient_of_exactly_0_is_marked_below_all_others():
    axes = card_figure(card("shift-5")).axes[3]
    profile = np.array(card("shift-5")["rows"]["cause"]["profile"]["after"])
    zeros = lines_of(axes, "o")[-1]
    assert list(zeros.get_xdata()) == list(np.flatnonzero(profile == 0)) == [6, 7, 8]
    assert zeros.get_ydata().max() < profile[profile > 0].min()
    assert axes.get_yticklabels()[0].get_text() == "0"
