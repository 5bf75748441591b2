import math
from xml.etree import ElementTree

import matplotlib
import pytest

from echo_jax.report import charts, styles
from echo_jax.statistics import Interval, Summary

ODD = 'a <b> & "c" of $5 or $6'
MARKS = [
    Summary(0.5, Interval(0.4, 0.6, math.nan)),
    Summary(0.2, None)._replace(cut_short=True),
    Summary(math.nan, Interval(math.nan, math.nan, math.nan)),
]


def dots():
    rows = [(ODD, {"": mark}) for mark in MARKS]
    return charts.dots_figure(rows, [0.1, None, 0.2], "sequences", percent=False)


def lines():
    series = {f"{ODD} {i}": [(1, mark), (2, mark)] for i, mark in enumerate(MARKS)}
    return charts.lines_figure(series, ("lag", "accuracy"), 0.01, percent=True)


@pytest.mark.parametrize("draw", [dots, lines])
def test_an_svg_has_its_words_as_text_each_time_the_same_whatever_the_user_has_set(draw):
    with matplotlib.rc_context({"svg.fonttype": "path", "text.usetex": True}), styles.drawing():
        drawing = styles.image(draw(), "svg").decode()
    assert drawing == styles.image(draw(), "svg").decode()
    assert ODD in " ".join(ElementTree.fromstring(drawing).itertext())
    assert "date" not in drawing


def test_equal_lines_are_told_apart_and_the_one_that_changes_most_keeps_its_numbers():
    exact = Interval(1, 1, math.nan)
    flat = [(x, Summary(1.0, exact)) for x in (1, 2, 3)]
    series = {"a": flat, "b": flat, "falls": [*flat[:2], (3, Summary(0.2, None))]}
    apart = charts.raised(series, 0.04)
    assert apart["falls"] == series["falls"]
    heights = [{y.median for _, y in apart[name]} for name in ("a", "b")]
    assert sorted(map(sorted, heights)) == [[1.04], [1.08]]
    assert apart["a"][0][1].interval[:2] == pytest.approx([1.04, 1.04])
    axes = charts.lines_figure(apart, ("x", "y"), None, percent=True).axes[0]
    assert axes.get_ylim()[1] > 1.08
    assert max(axes.get_yticks()) == 1
