import math
from xml.etree import ElementTree

import matplotlib
import pytest

from echo_jax.report import charts, styles
from echo_jax.statistics import Interval, Summary


def estimate(value, low, high):
    """A median and its interval, or none."""
    return Summary(value, None if low is None else Interval(low, high, math.nan))


UNKNOWN = estimate(math.nan, math.nan, math.nan)
ODD = 'a <b> & "c" of $5 or $6'


def dots(name="one seed"):
    rows = [
        ("first", {"": estimate(120.0, 100.0, 140.0)}),
        (name, {"": estimate(60.0, None, None)}),
        ("cut short", {"": estimate(130.0, 90.0, 150.0)._replace(cut_short=True)}),
        ("lost", {"": UNKNOWN}),
    ]
    return charts.dots_figure(rows, [10.0, None, None, 20.0], "sequences", percent=False)


def lines(name="low"):
    series = {
        name: [(1, estimate(0.5, 0.4, 0.6)), (2, estimate(0.1, 0.0, 0.2))],
        "high": [(1, estimate(0.2, None, None)), (2, estimate(0.9, 0.8, 1.0))],
        "lost": [(1, UNKNOWN), (2, UNKNOWN)],
    }
    return charts.lines_figure(series, ("lag", "accuracy"), 0.01, percent=True)


@pytest.mark.parametrize("draw", [dots, lines])
def test_an_svg_has_its_words_as_text_each_time_the_same_whatever_the_user_has_set(draw):
    with matplotlib.rc_context({"svg.fonttype": "path", "text.usetex": True}), styles.drawing():
        drawing = styles.image(draw(ODD), "svg").decode()
    assert drawing == styles.image(draw(ODD), "svg").decode()
    assert ODD in " ".join(ElementTree.fromstring(drawing).itertext())
    assert "date" not in drawing
