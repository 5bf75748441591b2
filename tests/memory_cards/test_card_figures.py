import copy
import itertools
import math
import re
from xml.etree import ElementTree

import fabricated_cards
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from wcag import contrast

from echo_jax.memory_cards import all_cards_figures, card_figure, card_text
from echo_jax.report import styles


@pytest.fixture(scope="module")
def cards():
    return {name: fabricated_cards.card(name) for name in fabricated_cards.CARDS}


@pytest.fixture(scope="module")
def full(cards):
    return [card for card in cards.values() if card["protocol"]["name"] == "full"]


def changed(card, **fields):
    """A card of which some fields are others, with rows of its own."""
    return copy.deepcopy(card) | fields


def said(figure):
    """The words of a figure as its SVG has them."""
    root = ElementTree.fromstring(styles.svg(figure, "a"))
    return [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", ["lstm", "lru", "no-memory", "mine"])
def test_a_card_says_its_name_its_protocol_and_its_numbers(cards, name):
    card = cards[name]
    words = said(card_figure.card_figure(card))
    assert words.count(name) == 1
    assert any(card["protocol_hash"][:8] in each and "8 seeds" in each for each in words)
    for _, value, _ in card_text.big_numbers(card):
        assert (value or "not measured") in words
    for row in ("capacity", "linear", "cause"):
        reasons = " ".join(each for each in words if each)
        assert (card["rows"][row] is None) <= ("protocol quick" in reasons)


def test_a_card_with_nothing_measured_is_drawn_and_says_so(cards):
    card = changed(cards["lstm"], rows=dict.fromkeys(cards["lstm"]["rows"]), not_measured={})
    words = said(card_figure.card_figure(card))
    assert words.count("not measured") == 6 + 4


@pytest.mark.parametrize("row", ["stream_span", "learning", "price"])
def test_any_row_may_be_missing(cards, row):
    card = changed(cards["gru"])
    card["rows"][row] = None
    words = said(card_figure.card_figure(card))
    assert "gru" in words
    assert "not measured" in words


def test_figures_of_many_leave_out_a_card_that_has_nothing_for_them(cards, full):
    card = changed(full[0], name="nothing", rows=dict.fromkeys(full[0]["rows"]))
    assert "nothing" in said(all_cards_figures.spans_figure([card, full[0]]))
    for draw in (all_cards_figures.memory_functions_figure, all_cards_figures.cost_figure):
        assert draw([card]) is None
        assert not [word for word in said(draw([card, full[0]])) if "nothing" in word]


def test_words_of_any_kind_are_drawn_as_they_are(cards):
    odd = changed(cards["lstm-quick"], name="a$b$_<c> & d")
    odd["cell"]["args"] = {"clip": "$5 or $6", "long": "x" * 200}
    words = said(card_figure.card_figure(odd))
    assert "a$b$_<c> & d" in words
    assert any("clip $5 or $6" in each and each.endswith("\u2026") for each in words)
    assert "a$b$_<c> & d" in said(all_cards_figures.spans_figure([odd]))
    assert "a$b$_<c> & d" in said(all_cards_figures.cost_figure([odd]))


def lines_of(axes, **style):
    return [
        line
        for line in axes.lines
        if all(getattr(line, f"get_{k}")() == v for k, v in style.items())
    ]


def test_updates_are_drawn_by_lag_and_a_median_that_never_came_is_hollow_on_top(cards):
    card = cards["lstm"]
    axes = card_figure.card_figure(card).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    rows = card["rows"]["learning"]["stream"]
    (line,) = lines_of(axes, marker="o", linestyle="-")
    known = [row["median"] for row in rows if row["median"] is not None]
    assert list(line.get_ydata()) == known
    (hollow,) = lines_of(axes, marker="o", markerfacecolor="white")
    assert len(hollow.get_ydata()) == len(rows) - len(known) == 2
    assert hollow.get_ydata()[0] > card["protocol"]["budget"]
    assert "never" in [tick.get_text() for tick in axes.get_yticklabels()]


def test_a_gradient_of_exactly_0_is_marked_below_all_others(cards):
    axes = card_figure.card_figure(cards["shift-5"]).axes[3]
    profile = np.array(cards["shift-5"]["rows"]["cause"]["profile"]["after"])
    zeros = lines_of(axes, linestyle="None", marker="o")[-1]
    assert list(zeros.get_xdata()) == list(np.flatnonzero(profile == 0)) == [6, 7, 8]
    assert zeros.get_ydata().max() < profile[profile > 0].min()
    assert axes.get_yticklabels()[0].get_text() == "0"


def test_cells_are_rows_from_the_longest_stream_span_to_the_shortest(full):
    figure = all_cards_figures.spans_figure(full)
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["lru", "ssm", "lstm", "gru", "irnn", "shift-5\ncontrol", "no-memory"]
    dots = [line for line in lines_of(axes, marker="o", color=styles.BLUE) if len(line.get_xdata())]
    spans = [
        card["rows"]["stream_span"]["0.99"]["median"] for card in all_cards_figures.by_span(full)
    ]
    at = [float(line.get_xdata()[0]) for line in dots]
    assert at == [card_figure.place(span) for span in spans]
    assert at[-1] == card_figure.ZERO
    ends = [float(line.get_ydata()[0]) for line in dots]
    assert np.round(ends).tolist() == list(range(7))
    assert axes.yaxis_inverted()


def test_a_span_that_is_a_lower_bound_has_an_arrow_and_says_at_least(cards):
    (axes,) = all_cards_figures.spans_figure([cards["lru"], cards["shift-5"]]).axes
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == 2  # both spans of lru
    assert [text.get_text() for text in axes.texts].count("\u2265\u2009500") == 2
    assert [line.get_ydata()[0] for line in lines_of(axes, marker=">")] == [-0.16, 0.16]


def test_an_interval_whose_end_is_a_lower_bound_ends_in_a_point(cards):
    span = cards["ssm"]["rows"]["stream_span"]["0.99"]
    assert card_text.reach(span)[2:] == (500, False, True)
    (axes,) = all_cards_figures.spans_figure([cards["ssm"], cards["shift-5"]]).axes
    points = lines_of(axes, marker=">", color=styles.BLUE)
    assert [round(float(line.get_ydata()[0])) for line in points] == [0]
    assert points[0].get_xdata()[0] > 500


def many(cards, count):
    return [changed(cards["lstm"], name=f"cell {i}") for i in range(count)]


def test_twenty_lines_are_told_apart_by_style_and_by_number(cards):
    figure = all_cards_figures.memory_functions_figure(many(cards, 20))
    axes = figure.axes[0]
    numbers = [text.get_text() for text in axes.texts]
    assert numbers == [str(i + 1) for i in range(20)]
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 2]
    assert len({(line.get_color(), str(line._dash_pattern)) for line in drawn}) == 20
    at = np.array([text.get_position() for text in axes.texts])
    apart = np.linalg.norm(at[:, None] - at, axis=-1) + np.eye(20)
    assert apart.min() > 0.03


def test_names_in_the_figure_of_costs_do_not_cover_each_other(cards):
    several = many(cards, 6)
    for i, card in enumerate(several):
        card["rows"]["price"]["stream"]["1"] = 40 + 3 * i
    figure = all_cards_figures.cost_figure(several)
    FigureCanvasAgg(figure).draw()
    names = figure.axes[0].texts
    assert {text.get_text() for text in names} == {card["name"] for card in several}
    boxes = [Text.get_window_extent(text) for text in names]  # without the line to the point
    assert not [one for one, other in itertools.combinations(boxes, 2) if one.overlaps(other)]


def test_cells_with_equal_bytes_of_state_have_one_mark(full):
    axes = all_cards_figures.cost_figure(full).axes[0]
    marks = {line.get_label(): len(line.get_xdata()) for line in axes.lines}
    sizes = [card["rows"]["price"]["state_bytes"] for card in full]
    expected = {f"{n} bytes of state": sizes.count(n) for n in sizes if sizes.count(n) > 1}
    assert {k: n for k, n in marks.items() if "bytes" in k} == expected
    assert marks["a size of its own"] == sum(sizes.count(n) == 1 for n in sizes)


@pytest.mark.parametrize(
    "draw",
    [
        lambda full: card_figure.card_figure(full[0]),
        all_cards_figures.spans_figure,
        all_cards_figures.memory_functions_figure,
        all_cards_figures.cost_figure,
    ],
)
def test_figures_are_the_same_each_time_and_their_words_are_large_and_dark_enough(full, draw):
    drawing = styles.svg(draw(full), "a")
    assert drawing == styles.svg(draw(full), "a")
    root = ElementTree.fromstring(drawing)
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        style = text.get("style")
        assert float(re.search(r"font-size: ([\d.]+)px", style or "font-size: 9px")[1]) >= 9
        colour = re.search(r"fill: (#\w{6})", style or "")
        assert contrast(colour[1] if colour else "#000000") >= 4.5
    width = float(root.get("viewBox").split()[2])
    assert math.isclose(
        width, 72 * (card_figure.CARD_WIDTH if draw.__name__ == "<lambda>" else 7.2)
    )
