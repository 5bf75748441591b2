"""Names written on the lines of a panel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from echo_jax.exceptions import one_line
from echo_jax.report.styles import BLUE, GREY, literal

Line = tuple[Sequence[float], Sequence[float]]
"""x and y of the points of a line, in the units of the axes."""

SIZE = 8.5  # points, of a name
FAR = np.array([[-1e6, -1e6]])  # a point that is near nothing
LETTER = 0.54  # width of a letter over its size


def shortened(words: str, width: int) -> str:
    """Words, `literal`, that end in an ellipsis if they are longer than `width` characters."""
    words = one_line(words)
    return literal(words if len(words) <= width else words[: width - 1].rstrip() + "\u2026")


def name_lines(axes: Axes, named: Mapping[str, Line], others: Sequence[Line], own: str) -> None:
    """Write each name on its line, where it is furthest from all others; limits are set before.

    A name that has no room is left out, but `own`, which is bold and blue.
    """
    low, high = axes.bbox.get_points() * 72 / axes.figure.dpi
    lines = {name: _dense(_points(axes, line)) for name, line in named.items()}
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
    look: dict[str, Any] = {"fontsize": SIZE, "color": GREY, "ha": "center", "va": "center"}
    look |= {"bbox": paper, "zorder": 5}
    own_look = look | {"color": BLUE, "fontweight": "bold"}
    taken = [_dense(_points(axes, line)) for line in others]
    for name, line in lines.items():
        half = SIZE * np.array([LETTER * len(name) / 2, 0.7])
        places = np.clip(line, low + half, high - half)
        away = np.concatenate([FAR, *taken, *(x for other, x in lines.items() if other != name)])
        gaps = np.maximum(np.abs(places[:, None] - away) - half / 2, 0)
        room = np.hypot(*gaps.T).min(axis=0)
        if room.max() > 0 or name == own:
            middle = places[np.argmax(room)]
            # A name that is placed is in the way of those that follow.
            taken.append(middle + np.linspace(-half, half, 9) * [1, 0])
            x, y = axes.transData.inverted().transform(middle * axes.figure.dpi / 72)
            axes.text(float(x), float(y), literal(name), **(own_look if name == own else look))


def _points(axes: Axes, line: Line) -> np.ndarray:
    """The points of a line on the page, in points of 1/72 inch, `[P, 2]`."""
    return axes.transData.transform(np.array(line, float).T) * 72 / axes.figure.dpi


def _dense(points: np.ndarray) -> np.ndarray:
    """Points along a line, about 3 apart."""
    steps = np.maximum(np.hypot(*np.diff(points, axis=0).T) / 3, 1).astype(int)
    pieces = [
        np.linspace(a, b, n, endpoint=False)
        for a, b, n in zip(points, points[1:], steps, strict=False)
    ]
    return np.concatenate([*pieces, points[-1:]])
