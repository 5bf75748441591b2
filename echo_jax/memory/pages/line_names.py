"""Names written beside lines and points of a panel, so that none covers another. No jax."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from echo_jax.report.styles import BLUE, GREY, annotate

Line = tuple[Sequence[float], Sequence[float]]
"""x and y of the points of a line, in the units of the axes."""

SIZE = 8.5  # points, of a name
APART = 5  # points between a line and others, where its name can stand
FAR = np.array([[-1e6, -1e6]])  # a point that is near nothing
LETTER, HEIGHT = 0.54, 1.25  # width of a letter and height of a name over its size


def literal(words: str) -> str:
    """Words in which a dollar sign does not begin a formula."""
    return words.replace("$", r"\$")


def shortened(words: str, width: int) -> str:
    """Words that end in an ellipsis if they are longer than `width` characters."""
    return words if len(words) <= width else words[: width - 1].rstrip() + "\u2026"


def name_lines(
    axes: Axes,
    named: Mapping[str, Line],
    others: Sequence[Line],
    must: Sequence[str] = (),
    own: str | None = None,
) -> None:
    """Write each name beside its line, where it is furthest from all lines; limits are set before.

    A name is left out where it has no room, and, unless it is in `must`, where its line lies on
    others all along. The name `own` is bold and blue.
    """
    panel = Bbox(_points(axes, ([0, 1], [0, 1]), axes.transAxes))
    lines = {name: _dense(_points(axes, line)) for name, line in named.items()}
    rest = [_dense(_points(axes, line)) for line in others]
    taken: list[Bbox] = []
    for name, line in lines.items():
        away = np.concatenate([FAR, *rest, *(x for other, x in lines.items() if other != name)])
        alone = [point for point in line[::3] if np.hypot(*(away - point).T).min() > APART]
        beside = alone or (line[::3] if name in must else [])
        places = [x for x in _places(beside, name, panel) if not x.count_overlaps(taken)]
        if places:
            box = max(
                places, key=lambda box: min(_gap(box, away), 9) - 2 * abs(_gap(box, line) - 2)
            )
            taken.append(box)
            _write(axes, name, box, {"color": BLUE, "fontweight": "bold"} if name == own else {})


def _write(axes: Axes, name: str, box: Bbox, style: Mapping[str, Any]) -> None:
    """Write a name from the lower left corner of its box."""
    corner = np.asarray(box.min) * axes.figure.dpi / 72
    x, y = axes.transData.inverted().transform(corner)
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.7}
    look = {"fontsize": SIZE, "color": GREY, "va": "bottom", "bbox": paper, "zorder": 5, **style}
    annotate(axes, literal(name), (float(x), float(y)), (0, 0), **look)


def _places(points: Sequence[Any] | np.ndarray, name: str, panel: Bbox) -> list[Bbox]:
    """Boxes for a name on each side of points of its line, within the panel."""
    width, height = SIZE * LETTER * len(name), SIZE * HEIGHT
    corners = [
        (x + right, y + up)
        for x, y in points
        for right in (3, -3 - width)
        for up in (2, -2 - height, -height / 2)
    ]
    boxes = [Bbox.from_bounds(x, y, width, height) for x, y in corners]
    return [x for x in boxes if panel.contains(x.x0, x.y0) and panel.contains(x.x1, x.y1)]


def _gap(box: Bbox, points: np.ndarray) -> float:
    """The distance of a box from the nearest of some points `[P, 2]`; 0 if it is in it."""
    away = np.maximum(np.maximum(box.min - points, points - box.max), 0)
    return float(np.hypot(*away.T).min())


def _points(axes: Axes, line: Line, transform: Any = None) -> np.ndarray:
    """The points of a line on the page, in points of 1/72 inch, `[P, 2]`."""
    place = (transform or axes.transData).transform(np.array(line, float).T)
    return place * 72 / axes.figure.dpi


def _dense(points: np.ndarray) -> np.ndarray:
    """Points along a line, about 3 apart."""
    steps = np.maximum(np.hypot(*np.diff(points, axis=0).T) / 3, 1).astype(int)
    pieces = [
        np.linspace(a, b, n, endpoint=False)
        for a, b, n in zip(points, points[1:], steps, strict=False)
    ]
    return np.concatenate([*pieces, points[-1:]])
