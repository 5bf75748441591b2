import math
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from wcag import contrast

from echo_jax.report import charts, styles
from echo_jax.statistics import Interval, Summary


def estimate(value, low, high):
    """A median and its interval, or none."""
    return Summary(value, None if low is None else Interval(low, high, math.nan))


NEVER = estimate(math.inf, math.inf, math.inf)
UNKNOWN = estimate(math.nan, math.nan, math.nan)
ODD = 'a <b> & "c" of $5 or $6'


def dots(name="one seed"):
    rows = [
        ("first", estimate(120.0, 100.0, 140.0)),
        (name, estimate(60.0, None, None)),
        ("now and then", estimate(130.0, 90.0, math.inf)),
        ("not once", NEVER),
        ("lost", UNKNOWN),
    ]
    return charts.dots_figure(rows, [10.0, None, None, None, 20.0], "sequences", percent=False)


def lines(name="low"):
    series = {
        name: [(1, estimate(0.5, 0.4, 0.6)), (2, estimate(0.1, 0.0, 0.2))],
        "high": [(1, estimate(0.2, None, None)), (2, estimate(0.9, 0.8, 1.0))],
        "lost": [(1, UNKNOWN), (2, UNKNOWN)],
    }
    return charts.lines_figure(series, "lag", "accuracy", 0.01, percent=True)


def bars(name="1 back"):
    series = {"trained": [0.9, 0.02, math.nan], "untrained": [0.1, 0.2, math.inf]}
    return charts.bars_figure(["0 back", name, "2 back"], series, "input", "share", 0.1, True)


def heat(name="gru"):
    values = np.array([[0.0, 0.25, math.nan], [0.5, 1.0, math.inf]])
    panels = {"lstm": values, name: values / 2}
    return charts.heat_figure(
        panels, [1, 2, 4], ["a", "b"], "lag", "cell", "accuracy", percent=True
    )


@pytest.mark.parametrize("draw", [dots, lines, bars, heat])
def test_a_figure_is_one_svg_element_that_fits_into_a_page_and_its_words_are_text(draw):
    before = dict(matplotlib.rcParams)
    drawing = styles.svg(draw(ODD), "state")
    assert matplotlib.rcParams == before
    assert drawing == styles.svg(draw(ODD), "state")
    root = ElementTree.fromstring(drawing)
    assert drawing.startswith("<svg ")
    assert drawing.endswith("</svg>")
    assert not {"width", "height"} & set(root.attrib)
    assert float(root.get("viewBox").split()[2]) <= 8 * 72
    found = {element.tag.partition("}")[2] for element in root.iter()}
    assert not found & {"style", "script", "image", "metadata", "foreignObject"}
    assert sorted(re.findall(r'(\S+)="[^"]*//', drawing)) == ["xmlns", "xmlns:xlink"]
    ids = re.findall(r'id="([^"]*)"', drawing)
    used = re.findall(r'(?:href="#|url\(#)([^")]*)', drawing)
    assert len(ids) == len(set(ids))
    assert used
    assert set(used) <= set(ids)
    assert all(name.startswith("state-") for name in ids)
    texts = list(root.iter("{http://www.w3.org/2000/svg}text"))
    assert ODD in " ".join(text.text for text in texts)
    for text in texts:
        assert "'DejaVu Sans', Arial, sans-serif" in text.get("style")
        assert float(re.search(r"font-size: ([\d.]+)px", text.get("style"))[1]) >= 9


def words(axes):
    return [text.get_text() for text in axes.texts]


def test_dots_are_rows_with_baselines_and_what_was_never_reached_is_hollow_beyond_all_others():
    (axes,) = dots().axes
    assert axes.get_yticklabels()[0].get_text() == "first"
    assert axes.yaxis_inverted()
    marked = [line for line in axes.lines if line.get_marker() == "o"]
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in marked]
    assert places[:3] == [(120, 0), (60, 1), (130, 2)]
    baselines = [line for line in axes.lines if line.get_color() == styles.GREY]
    assert [list(line.get_xdata()) for line in baselines] == [[10, 10], [20, 20]]
    assert [float(np.mean(line.get_ydata())) for line in baselines] == [0, 4]
    assert words(axes) == ["never"]
    (hollow,) = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    never, row = hollow.get_xdata()[0], hollow.get_ydata()[0]
    assert row == 3
    assert 140 < never < axes.get_xlim()[1]
    intervals = {line.get_ydata()[0]: line.get_xdata() for line in axes.lines if line.get_alpha()}
    assert list(intervals[0]) == [100, 140]
    assert list(intervals[2]) == [90, never]


@pytest.mark.parametrize(("largest", "end"), [(0.07, 0.0728), (0.21, 1.04), (1.0, 1.04)])
def test_the_axis_of_fractions_ends_at_100_percent_unless_all_are_small(largest, end):
    rows = [("a", estimate(largest, None, None))]
    (axes,) = charts.dots_figure(rows, [0.01], "accuracy", percent=True).axes
    assert axes.get_xlim()[1] == pytest.approx(end)
    assert re.fullmatch(r"50(\.0)?%", axes.xaxis.get_major_formatter()(0.5))


def test_a_figure_without_any_known_number_is_drawn():
    unknown = [("a", UNKNOWN), ("b", NEVER)]
    series, nothing = {"a": [(1, UNKNOWN), (2, NEVER)]}, {"a": np.full((1, 2), math.nan)}
    for never, figure in (
        (True, charts.dots_figure(unknown, [None] * 2, "x", False)),
        (True, charts.lines_figure(series, "x", "y", None, False)),
        (False, charts.bars_figure(["a"], {"b": [math.nan]}, "x", "y", None, False)),
        (False, charts.heat_figure(nothing, [1, 2], [1], "x", "y", "z", percent=False)),
    ):
        assert ("never" in styles.svg(figure, "a")) == never


def test_series_differ_in_colour_marker_dashes_and_hatching_and_stand_out_from_white():
    colours, markers, dashes, hatches = zip(*styles.SERIES, strict=True)
    assert {len(set(style)) for style in (colours, markers, dashes, hatches)} == {6}
    assert min(map(contrast, (styles.INK, styles.GREY))) >= 4.5
    assert min(map(contrast, colours)) >= 3  # they are not text
    series = {str(i): [(1, estimate(i, None, None))] for i in range(6)}
    (axes,) = charts.lines_figure(series, "x", "y", None, percent=False).axes
    drawn = [line for line in axes.lines if len(line.get_xdata())]
    assert [line.get_marker() for line in drawn] == list(markers)
    assert [line.get_color() for line in drawn] == list(colours)
    (legend,) = lines().legends  # in the order in which they end
    assert [text.get_text() for text in legend.get_texts()] == ["high", "low", "lost"]


def test_a_line_has_a_gap_and_a_hollow_mark_where_nothing_was_reached():
    series = {
        "a": [(1, estimate(10.0, 5.0, 20.0)), (10, NEVER), (100, estimate(30.0, 25.0, math.inf))],
        "b": [(1, UNKNOWN), (10, NEVER), (100, UNKNOWN)],
    }
    figure = charts.lines_figure(series, "units", "sequences", None, percent=False, log_x=True)
    (axes,) = figure.axes
    assert words(axes) == ["never"]  # once for both
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [list(line.get_xdata()) for line in hollow] == [[10], [10]]
    (line,) = [x for x in axes.lines if x.get_color() == styles.BLUE and x not in hollow]
    np.testing.assert_array_equal(line.get_ydata(), [10, math.nan, 30])
    assert list(axes.get_xticks()) == [1, 10, 100]


def test_many_points_have_a_band_and_ticks_that_have_room():
    points = [(x, estimate(0.5, 0.4, 0.6)) for x in range(100)]
    (axes,) = charts.lines_figure({"a": points}, "step", "accuracy", 0.1, percent=True).axes
    assert len(axes.get_xticks()) < 15
    (band,) = axes.collections
    assert band.get_paths()[0].vertices[:, 1].min() == pytest.approx(0.4)
    assert words(axes) == ["chance"]


@pytest.mark.parametrize("log_x", [False, True])
@pytest.mark.parametrize("x", [1, 50_000])
def test_one_x_alone_is_drawn_in_the_middle_and_without_a_warning(x, log_x):
    series = {name: [(x, estimate(y, y / 2, 2 * y))] for name, y in (("a", 1.0), ("b", 3.0))}
    figure = charts.lines_figure(series, "values", "bits", None, percent=False, log_x=log_x)
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert (low * high == x * x) if log_x else (low + high == 2 * x)
    assert low < x < high
    assert list(axes.get_xticks()) == [x]
    assert styles.svg(figure, "one")  # a warning would be an error


def test_bars_are_as_high_as_their_numbers_and_what_is_not_finite_has_none():
    (axes,) = bars().axes
    heights = [[bar.get_height() for bar in container] for container in axes.containers]
    np.testing.assert_array_equal(heights, [[0.9, 0.02, math.nan], [0.1, 0.2, math.nan]])
    middles = [bar.get_x() + bar.get_width() / 2 for group in axes.containers for bar in group]
    np.testing.assert_allclose(middles, [-0.2, 0.8, 1.8, 0.2, 1.2, 2.2], atol=1e-12)


def test_a_map_has_row_0_at_the_bottom_and_its_numbers_in_percent():
    first, second, _ = heat().axes
    assert words(first) == ["0", "25", "50", "100", "never"]
    assert words(second) == ["0", "12", "25", "50", "never"]
    assert [text.get_position() for text in first.texts][:3] == [(0.5, 0.5), (1.5, 0.5), (0.5, 1.5)]
    assert not first.yaxis_inverted()
    assert first.get_yticklabels()[0].get_text() == "a"


def test_the_numbers_of_a_map_can_be_read_in_every_colour():
    values = np.linspace(0, 1, 60).reshape(6, 10)
    figure = charts.heat_figure({"a": values}, range(10), range(6), "x", "y", "z", percent=True)
    mesh = figure.axes[0].collections[0]
    for text, value in zip(figure.axes[0].texts, values.flat, strict=True):
        behind = to_hex(mesh.cmap(mesh.norm(value)))
        assert contrast(to_hex(text.get_color()), behind) >= 4.5


def test_fields_without_room_have_no_numbers_and_many_panels_stand_below_each_other():
    panels = {str(i): np.full((2, 30), float(i)) for i in range(3)}
    figure = charts.heat_figure(panels, range(30), [0, 1], "x", "y", "z", percent=False)
    assert [words(axes) for axes in figure.axes[:3]] == [[], [], []]
    assert len({axes.get_subplotspec().rowspan.start for axes in figure.axes[:3]}) == 3
    assert figure.axes[0].collections[0].get_clim() == (0, 2)
