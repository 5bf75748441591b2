"""The figures of all cards of a track: their order, their marks, and labels that can be read."""

import itertools
import re

import pytest
from fabricated_cards import BLOCK, KEYS, card, fabricated
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from wcag import assert_readable

from echo_jax.memory_cards.all_cards_figures import SIZES, curves_figure, recall_figure
from echo_jax.report.styles import BLUE, GREY, NARROW, WIDTH, svg


def block(cell, lag=8, key=2, protocol=BLOCK, **plan):
    climbs = {"key-64": key} | ({"lag-16": lag} if protocol is BLOCK else {})
    return fabricated(f"block:{cell}", climbs, protocol, convolution=384, **plan)


@pytest.fixture
def cells():
    return [
        block("lru", 64, 0),
        block("gru", [24, 32] * 4, 4, parameters=5000),
        block("lstm", 24, 16, parameters=4000),
        block("mlp", 8, 16),  # a reference, which is not ranked
    ]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def marks(axes, marker="o"):
    """x, y, colour and whether it is filled, of the marks of a panel, from the top."""
    drawn = [line for line in axes.lines if line.get_visible() and line.get_marker() == marker]
    return [
        (line.get_xdata()[0], line.get_ydata()[0], line.get_color(),
         line.get_markerfacecolor() != "white") for line in drawn if len(line.get_xdata())
    ]  # fmt: skip


def test_a_panel_has_a_row_for_each_cell_and_the_leaders_are_blue_and_filled(cells):
    lag, key = curves_figure(cells).axes
    names = [label.get_text() for label in lag.get_yticklabels()]
    assert names == ["lru", "gru", "lstm", "mlp"]
    assert lag.yaxis_inverted()
    (x, *_), *_ = found = marks(lag)
    assert x == 64
    assert [each[1:] for each in found[:4]] == [
        (0, BLUE, True), (1, GREY, False), (2, GREY, False), (3, GREY, False),
    ]  # fmt: skip
    assert [each[2:] for each in marks(key)[:4]] == [
        (GREY, False), (GREY, False), (BLUE, True), (GREY, False),
    ]  # fmt: skip
    assert [each[1] for each in marks(key, ">")] == [2, 3]


def test_a_curve_stands_on_its_row_as_high_as_the_share_of_seeds(cells):
    lag, _ = curves_figure(cells).axes
    curves = [line for line in lag.lines if line.get_visible() and len(line.get_xdata()) > 3]
    gru = curves[0]
    assert gru.get_ydata()[0] == pytest.approx(1 - 0.72)
    assert min(gru.get_ydata()) == pytest.approx(1 - 0.72)
    assert gru.get_ydata()[-1] == 1
    after = dict(zip(gru.get_xdata(), gru.get_ydata(), strict=True))  # the last corner at an x
    half = next(y for x, y in after.items() if 27 < x < 28)
    assert half == pytest.approx(1 - 0.36)


def test_a_card_without_a_ladder_has_an_empty_row_and_one_card_is_enough(cells):
    without = block("gla", name="gla")
    without["rows"]["ladders"] = {"key-64": without["rows"]["ladders"]["key-64"]}
    lag, _ = curves_figure([*cells, without]).axes
    assert 4 not in [each[1] for each in marks(lag)]
    assert len(curves_figure([without]).axes) == 1
    assert curves_figure([]) is None
    assert curves_figure([card("lstm-copy")]) is None


def test_points_stand_at_the_whole_state_and_the_mean_span_by_key(cells):
    larger = [block("gru", key=16, protocol=KEYS, state=4000, parameters=90_000)]
    tables = {"one": cells, "larger": larger}
    (of_bytes,) = recall_figure(tables, "bytes").axes
    (of_parameters,) = recall_figure(tables, "parameters").axes
    for axes, sizes in ((of_bytes, [784, 784, 784]), (of_parameters, [4000, 5000, 10902])):
        one, other = (
            next(line for line in axes.lines if line.get_label() == name) for name in tables
        )
        assert sorted(one.get_xdata()) == sizes
        assert sorted(one.get_ydata()) == pytest.approx([2**0.5, 32**0.5, 16], abs=1e-4)
        assert one.get_marker() != other.get_marker()
        assert other.get_ydata() == [16]
    assert set(texts(of_parameters)) == {"lru", "gru", "lstm"}
    assert "mlp" not in texts(of_parameters)


@pytest.mark.parametrize("against", SIZES)
def test_without_a_cell_measured_by_key_there_is_no_point(against):
    assert recall_figure({}, against) is None
    assert recall_figure({"one": [card("lstm")]}, against) is None
    unpriced = block("gru", short=True)
    assert recall_figure({"one": [unpriced]}, against) is None


def test_names_cover_nothing_and_points_at_one_place_share_theirs():
    cells = [
        block("gru", key=key, name=f"cell-{i}", args={"features": i}, parameters=4000 + 100 * i)
        for i, key in enumerate([4, 4, 8, [4, 8] * 4, 2, 2, 16])
    ]
    for against, width in itertools.product(SIZES, (WIDTH, NARROW)):
        figure = recall_figure({"one": cells}, against, width)
        FigureCanvasAgg(figure).draw()
        (axes,) = figure.axes
        named = [name for words in texts(axes) for name in words.split(",\n")]
        assert sorted(named) == [f"gru features {i}" for i in range(len(cells))]
        boxes = [Text.get_window_extent(text) for text in axes.texts]  # without their lines
        pairs = itertools.combinations(boxes, 2)
        assert not [one for one, other in pairs if one.overlaps(other)]
        if against == "bytes":
            assert "gru features 4,\ngru features 5" in texts(axes)


def drawings(cells, width=WIDTH):
    yield curves_figure(cells, width)
    for against in SIZES:
        yield recall_figure({"one": cells}, against, width)


def test_names_are_drawn_as_they_are_each_time_the_same_and_can_be_read(cells):
    cells[0]["cell"]["cell"] = "a$b$<c> & d"
    for first, again in zip(drawings(cells), drawings(cells), strict=True):
        drawing = svg(first, "a")
        assert drawing == svg(again, "a")
        assert "a$b$&lt;c&gt; &amp; d" in drawing
        assert_readable(drawing)


def test_a_figure_for_a_phone_has_all_that_a_wide_one_has(cells):
    for wide, narrow in zip(drawings(cells), drawings(cells, NARROW), strict=True):
        one, other = svg(wide, "a"), svg(narrow, "a")
        assert_readable(other)
        assert float(re.search(r'viewBox="\S+ \S+ (\S+) ', other)[1]) < 280
        told = [re.findall(r"\[\d+,\d+,(.*?)\]", drawing) for drawing in (one, other)]
        assert len(told[0]) > 2
        assert told[0] == told[1]


def test_twenty_cells_in_a_figure_have_names_that_do_not_cover_each_other():
    cells = [block(f"a-cell-of-name-{i}") for i in range(20)]
    figure = curves_figure(cells)
    FigureCanvasAgg(figure).draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert not [one for one, other in itertools.pairwise(boxes) if one.overlaps(other)]
    assert min(box.x0 for box in boxes) >= 0
