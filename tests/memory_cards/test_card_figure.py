"""The figure of one card: what is drawn, and that nothing else is."""

from xml.etree import ElementTree

import numpy as np
import pytest
from fabricated_cards import BLOCK, CARDS, card, fabricated, signed
from matplotlib.colors import to_hex
from wcag import assert_readable

from echo_jax.memory_benchmark.spans import Climb, mean_span
from echo_jax.memory_cards import card_text
from echo_jax.memory_cards.card_figure import (
    CARD_WIDTH,
    card_figure,
    falling,
    panel_figure,
    panels_of,
)
from echo_jax.report.styles import BLUE, GREY, svg

OTHERS = {
    "lag-2": {
        "near": [Climb(6, 8)] * 4, "nearer": [Climb(8, 10)] * 4, "far": [Climb(12, None)] * 4,
    }
}  # fmt: skip


def said(made, others=None):
    """The words of the figure of a card, as its SVG has them."""
    root = ElementTree.fromstring(svg(card_figure(made, others), "a"))
    return [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


def drawn(axes, colour):
    return [line for line in axes.lines if line.get_visible() and line.get_color() == colour]


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_its_name_its_protocol_and_its_numbers(name):
    made = card(name)
    words = said(made)
    assert words.count(name) == 1
    seeds = f"{len(made['seeds'])} seeds"
    assert any(made["protocol_hash"][:8] in each and seeds in each for each in words)
    for _, value, _ in card_text.big_numbers(made):
        assert value in words


@pytest.mark.parametrize(
    ("name", "panels"),
    [
        ("lstm", ["lag-2", "lag-16", "hold-2", "bits", "linear", "cause"]),
        ("lru", ["lag-2", "lag-16", "hold-2", "bits", "linear"]),  # no limit, so no gradient
        ("block-lstm", ["lag-16", "marked-16", "key-16", "key-64"]),
        ("mine", ["lag-16"]),  # the clock of quick was over
        ("stopped", ["lag-2"]),
        ("lstm-copy", ["copy"]),
    ],
)
def test_a_card_has_a_panel_for_what_was_measured_and_no_empty_one(name, panels):
    made = card(name)
    assert [panel.name for panel in panels_of(made)] == panels
    assert len(card_figure(made).axes) == len(panels)
    for panel in panels_of(made):
        assert panel.title in said(made)
        assert_readable(svg(panel_figure(panel), "a"))
    nothing = made | {"rows": dict.fromkeys(made["rows"])}
    assert card_figure(nothing).axes == []


def test_of_a_ladder_that_was_cut_only_what_was_tried_is_drawn_and_said():
    made = card("mine")
    whole = panels_of(made)[0]
    runs = [row for row in made["raw"] if row["kind"] == "run"]
    for row in (row for row in runs if row["rung"] > 3):
        row["accuracy"], row["confirmed"] = row["accuracy"][:1], []
    cut = panels_of(signed(made))[0]
    assert "4 steps back: 1 of 4 seeds" in svg(panel_figure(whole), "a")
    assert "4 steps back: " not in svg(panel_figure(cut), "a")
    assert "3 steps back: 4 of 4 seeds" in svg(panel_figure(cut), "a")
    curve = next(iter(drawn(panel_figure(cut).axes[0], BLUE)))
    assert max(curve.get_xdata()) == 3
    for row in runs:
        row["accuracy"], row["confirmed"] = row["accuracy"][:1], []
    assert panels_of(signed(made)) == []


def test_a_curve_falls_halfway_to_the_missed_rung_and_ends_where_a_censored_seed_does():
    climbs = [Climb(8, 12), Climb(8, 12), Climb(12, 16), Climb(0, 8)]
    x, y = falling(climbs, 8)
    assert x == pytest.approx([4, 32**0.5, 32**0.5, *[96**0.5] * 4, 192**0.5, 192**0.5, 192**0.5])
    assert y == [1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0, 0]
    assert falling([Climb(64, None), Climb(64, None)], 8) == ([4, 64], [1, 1])
    x, y = falling([Climb(24, None), Climb(8, 12)], 8)
    assert (x[-1], y[-1]) == (24, 0.5)
    cut = [Climb(3, None), Climb(4, None), Climb(6, 8)]  # what is above 3 is not known
    assert falling(cut, 1) == ([0.5, 3], [1, 1])


def test_the_area_under_a_curve_is_the_mean_span():
    climbs = card_text.climbs_in(card("identity-rnn")["rows"]["ladders"]["lag-2"])
    x, y = falling(climbs, 1)
    area = sum(np.diff(np.log(x)) * np.array(y[:-1]))
    assert np.exp(np.log(0.5) + area) == pytest.approx(mean_span(climbs, 1).mean)


def test_a_lower_bound_ends_in_an_arrow_and_a_mean_in_its_interval():
    ladders = card_figure(card("lru")).axes
    for axes, arrows in zip(ladders, (1, 0, 1), strict=False):
        assert sum(line.get_marker() == ">" for line in axes.lines) == arrows
    (interval,) = [line for line in ladders[1].lines if line.get_alpha() == 0.35]
    span = card("lru")["rows"]["ladders"]["lag-16"]
    assert list(interval.get_xdata()) == [span["low"], span["high"]]


def test_other_cells_stand_in_grey_behind_and_the_next_on_each_side_are_named():
    made = fabricated("gru", {"lag-2": 10, "lag-16": 3})
    with_others, without = (card_figure(made, others).axes[0] for others in (OTHERS, None))
    curves = [line for line in drawn(with_others, GREY) if len(line.get_xdata()) > 1]
    assert len(curves) == len(OTHERS["lag-2"])
    assert drawn(without, GREY) == []
    assert {"nearer", "far"} <= set(said(made, OTHERS))
    assert "near" not in said(made, OTHERS)
    (own,) = [line for line in drawn(with_others, BLUE) if len(line.get_xdata()) > 2]
    assert own.get_zorder() >= max(line.get_zorder() for line in curves)
    assert said(made, OTHERS).count("built-in cells") == 1  # not on the ladder without others


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


def test_seven_numbers_have_room_and_never_cover_each_other():
    made = fabricated(
        "block:gru", {"lag-16": 64, "marked-16": 16, "key-16": 6, "key-64": [4, 8] * 4}, BLOCK,
        convolution=384, parameters=1_234_567,
    )  # fmt: skip
    figure = card_figure(made)
    svg(figure, "a")
    boxes = [text.get_window_extent() for text in figure.texts if text.get_text()]
    for i, box in enumerate(boxes):
        assert not [other for other in boxes[i + 1 :] if box.overlaps(other)]
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_recalled_bits_are_drawn_for_each_v_from_the_network_of_the_most_lags():
    made = card("lstm")
    networks = made["rows"]["bits"]["networks"]
    more = networks["lag-2, 60 lags"] | {"by_lag": [0.5] * 120}
    made["rows"]["bits"]["networks"] = {"lag-2, 120 lags": more, **networks}
    axes = card_figure(made).axes[3]
    lines = [line for line in axes.lines if line.get_visible() and len(line.get_xdata()) > 2]
    assert [len(line.get_xdata()) for line in lines] == [120, 60]
    assert axes.get_yticks()[-1] == 4
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [each.partition(":")[0] for each in labels] == ["V 2", "V 16"]


def test_a_gradient_of_exactly_0_is_marked_below_all_others():
    axes = card_figure(card("shift-6")).axes[5]
    profile = np.array(card("shift-6")["rows"]["cause"]["profile"]["after"])
    zeros = [line for line in axes.lines if line.get_marker() == "o"][-1]
    assert list(zeros.get_xdata()) == list(np.flatnonzero(profile == 0)) == [6]
    assert zeros.get_ydata().max() < profile[profile > 0].min()
    assert "0" in [tick.get_text() for tick in axes.get_yticklabels()]
    assert to_hex(zeros.get_markerfacecolor()) == "#ffffff"


def test_copies_stand_below_the_loss_without_memory():
    (axes,) = card_figure(card("lstm-copy")).axes
    floor, *_ = axes.lines
    (medians,) = [line for line in axes.lines if line.get_marker() == "o"]
    copies = card("lstm-copy")["rows"]["copy"]
    assert list(medians.get_xdata()) == [100, 300, 1000]
    assert list(medians.get_ydata()) == [of["recall"]["median"] for of in copies]
    assert max(medians.get_ydata()) < floor.get_ydata()[0] == pytest.approx(np.log(8), abs=1e-5)
