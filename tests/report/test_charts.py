import math
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

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
    rows = [(name, {"": found}) for name, found in rows]
    return charts.dots_figure(rows, [10.0, None, None, None, 20.0], "sequences", percent=False)


def pairs(name="one"):
    found = {name: estimate(0.5, 0.4, 0.6), "other": estimate(0.9, 0.8, 1.0)}
    rows = [("first", found), ("second", {name: NEVER, "other": found["other"]})]
    return charts.dots_figure(rows, [0.1, None], "accuracy", percent=True)


def lines(name="low"):
    series = {
        name: [(1, estimate(0.5, 0.4, 0.6)), (2, estimate(0.1, 0.0, 0.2))],
        "high": [(1, estimate(0.2, None, None)), (2, estimate(0.9, 0.8, 1.0))],
        "lost": [(1, UNKNOWN), (2, UNKNOWN)],
    }
    return charts.lines_figure(series, "lag", "accuracy", 0.01, percent=True)


@pytest.mark.parametrize("draw", [dots, pairs, lines])
def test_an_svg_has_its_words_as_text_each_time_the_same_whatever_the_user_has_set(draw):
    with matplotlib.rc_context({"svg.fonttype": "path", "text.usetex": True}), styles.drawing():
        drawing = styles.svg(draw(ODD))
    assert drawing == styles.svg(draw(ODD))
    root = ElementTree.fromstring(drawing)
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert ODD in " ".join(texts)
    assert "date" not in drawing


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
    rows = [("a", {"": estimate(largest, None, None)})]
    (axes,) = charts.dots_figure(rows, [0.01], "accuracy", percent=True).axes
    assert axes.get_xlim()[1] == pytest.approx(end)
    assert re.fullmatch(r"50(\.0)?%", axes.xaxis.get_major_formatter()(0.5))


def test_a_figure_without_any_known_number_is_drawn():
    unknown = [("a", {"": UNKNOWN}), ("b", {"": NEVER})]
    series = {"a": [(1, UNKNOWN), (2, NEVER)]}
    for figure in (
        charts.dots_figure(unknown, [None] * 2, "x", False),
        charts.lines_figure(series, "x", "y", None, False),
    ):
        assert "never" in styles.svg(figure)


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
    assert styles.svg(figure)  # a warning would be an error
