"""The figures of all cards of a protocol: their order, their marks, and labels that can be read."""

import itertools
import re

import pytest
from fabricated_cards import CARDS, card
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from wcag import assert_readable

from echo_jax.memory_cards.all_cards_figures import (
    cost_figure,
    memory_functions_figure,
    spans_figure,
)
from echo_jax.report.styles import BLUE, NARROW, WIDTH, svg

FIGURES = [spans_figure, memory_functions_figure, cost_figure]


@pytest.fixture
def full():
    return [made for made in map(card, CARDS) if made["protocol"]["name"] == "full"]


def many(count):
    return [card("lstm") | {"name": f"cell {i}"} for i in range(count)]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def places(axes, marker):
    """x and y of the points of the stream task that have a mark."""
    drawn = [line for line in axes.lines if line.get_visible() and len(line.get_xdata())]
    of_stream = [line for line in drawn if line.get_color() == BLUE]
    marked = [line for line in of_stream if line.get_marker() == marker]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in marked]


@pytest.mark.parametrize("draw", FIGURES)
def test_names_are_drawn_as_they_are_and_a_card_with_nothing_for_a_figure_is_left_out(draw):
    odd = card("lstm") | {"name": "a$b$_<c> & d"}
    nothing = odd | {"name": "nothing", "rows": dict.fromkeys(odd["rows"])}
    drawings = [svg(draw([nothing, odd]), "a") for _ in range(2)]
    assert "a$b$_&lt;c&gt; &amp; d" in drawings[0]
    assert drawings[0] == drawings[1]
    assert_readable(drawings[0])
    assert (">nothing<" in drawings[0]) == (draw is spans_figure)
    assert (draw([nothing]) is None) == (draw is not spans_figure)


def test_cells_are_rows_from_the_longest_stream_span_to_the_shortest(full):
    """An interval that ends in a lower bound ends in a point, a median in an arrow."""
    (axes,) = spans_figure(full).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["lru", "ssm", "lstm", "gru", "irnn", "shift-5\ncontrol", "no-memory"]
    dots = places(axes, "o")
    assert [x for x, _ in dots] == [500, 300, 20, 12, 8, 5, 0]
    assert [round(y) for _, y in dots] == list(range(7))
    assert axes.yaxis_inverted()
    assert sum(getattr(text, "arrow_patch", None) is not None for text in axes.texts) == 2
    assert texts(axes).count("\u2265\u2009500") == 2  # both spans of lru
    points = places(axes, ">")
    assert [round(y) for _, y in points] == [0, 1]
    assert min(x for x, _ in points) > 500


def test_the_bits_of_a_cell_are_a_row_of_fields_and_the_most_are_on_top(full):
    axes = memory_functions_figure(full).axes[0]
    known = {made["name"]: found for made in full if (found := made["rows"]["capacity"])}
    most = sorted(known, key=lambda name: -known[name]["exact"]["median"])
    names = [label.get_text().split(",")[0] for label in axes.get_yticklabels()]
    assert names == most[::-1]
    fields = axes.collections[0].get_array().reshape(len(known), -1)
    assert list(fields[-1][:3]) == known[most[0]]["by_lag"]["median"][:3]


def test_a_phone_shows_both_spans_as_numbers_and_the_longest_lag_tested(full):
    (axes,) = spans_figure(full, NARROW).axes
    assert {"lru", "shift-5, control", "\u2265\u2009500, \u2265\u2009500"} <= set(texts(axes))
    assert "500" in [label.get_text() for label in axes.get_xticklabels()]


@pytest.mark.slow
@pytest.mark.parametrize("draw", FIGURES)
def test_a_figure_for_a_phone_has_all_that_a_wide_one_has(full, draw):
    wide, narrow = (svg(draw(full, width), "a") for width in (WIDTH, NARROW))
    assert_readable(narrow)
    assert float(re.search(r'viewBox="\S+ \S+ (\S+) ', narrow)[1]) < 280
    told = [re.findall(r"\[\d+,\d+,(.*?)\]", drawing) for drawing in (wide, narrow)]
    assert len(told[0]) > 5
    assert told[0] == told[1]


def test_names_in_the_figure_of_costs_do_not_cover_each_other():
    several = many(6)
    for i, made in enumerate(several):
        made["rows"]["price"]["stream"]["1"] = 40 + 3 * i
    figure = cost_figure(several)
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    assert set(texts(axes)) == {made["name"] for made in several}
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without lines to the points
    assert not [one for one, other in itertools.combinations(boxes, 2) if one.overlaps(other)]


def test_cells_with_equal_bytes_of_state_have_one_mark(full):
    marked = {line.get_label(): len(line.get_xdata()) for line in cost_figure(full).axes[0].lines}
    sizes = [made["rows"]["price"]["state_bytes"] for made in full]
    expected = {f"{n} bytes of state": sizes.count(n) for n in sizes if sizes.count(n) > 1}
    assert {k: n for k, n in marked.items() if "bytes" in k} == expected
    assert marked["a size of its own"] == sum(sizes.count(n) == 1 for n in sizes)
