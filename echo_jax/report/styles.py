"""Set the style of all figures: colours, marks, axes and labels; write PNG, SVG or PDF."""

import contextlib
import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from echo_jax.exceptions import ConfigError, EchoError, one_line, reason

if TYPE_CHECKING:  # matplotlib is imported where it draws: it may fail over the user's settings
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE = "#0072B2"
ORANGE = "#D55E00"
GREY = "#595959"
PALE = "#BDBDBD"  # of lines in the background
INK = "#1A1A1A"  # of text
RULE = "#E4E4E4"  # of grid lines, and of fields without data
SERIES = (
    (BLUE, "o", "-"),
    (ORANGE, "s", (0, (5, 2))),
    (INK, "^", (0, (1, 1.5))),
    ("#009E73", "D", (0, (7, 2, 1.5, 2))),
    ("#CC79A7", "v", (0, (2.5, 1.5))),
    ("#A57200", "P", (0, (5, 1.5, 1.5, 1.5, 1.5, 1.5))),
)
"""The colour, the marker and the dashes of each series; any one of the three identifies a series.

The colours are from the palette of Okabe and Ito, for readers with any colour vision. Orange is
darkened to a contrast of 3 to 1.
"""

DARK = {
    "#ffffff": "#15181c",
    INK: "#f0f0f0",
    GREY: "#a8b0b8",
    PALE: "#5c646d",
    RULE: "#33393f",
    BLUE: "#5ab4e6",
    ORANGE: "#ff9a52",
    "#000000": "#e0e0e0",
    "#009e73": "#3cc79a",
    "#cc79a7": "#e39ac2",
    "#a57200": "#d9a233",
}
"""The colour of an SVG on a dark page for each colour on a light page."""

WIDTH = 7.2  # inches of a figure of a page


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Let this context draw and write figures with matplotlib's default settings, not the user's.

    An `EchoError` in the context passes. Any other exception, such as a failed import of
    matplotlib, becomes a ConfigError.
    """
    try:
        import matplotlib

        # A matplotlibrc in the current folder, MPLBACKEND and text.usetex would reach every figure.
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            yield
    except EchoError:
        raise
    except Exception as error:
        rule = f"cannot be drawn ({reason(error)})"
        fix = "repair the installation of matplotlib, or its settings"
        raise ConfigError(None, "the figure", rule, fix) from error


def style_axes(axes: "Axes") -> None:
    """Show only the left and bottom edges of a panel, with grid lines behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(labelsize=10, color=GREY, labelcolor=INK)
    axes.set_axisbelow(True)


def literal(words: str) -> str:
    """Return `words` on one line, with dollar signs escaped so that no formula starts there."""
    return one_line(words).replace("$", r"\$")


def wrapped(words: str, width: int) -> str:
    """Return `words` as `literal` does, but in lines of at most `width` characters."""
    return textwrap.fill(one_line(words), width).replace("$", r"\$")


Format = Literal["png", "svg", "pdf"]

WRITTEN: Any = {
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "svg.fonttype": "none",
    # Without a salt matplotlib draws the ids of an SVG at random, and no two files are equal.
    "svg.hashsalt": "echo_jax",
    "pdf.fonttype": 42,
}
"""The settings of matplotlib for files.

An SVG stores text as text, and not as curves; the first font comes with matplotlib. The fonts of a
PDF are TrueType, as publishers ask.
"""

UNDATED: Mapping[Format, Sequence[str]] = {
    "png": (),
    "svg": ("Creator", "Date", "Format", "Type"),
    "pdf": ("CreationDate", "Producer", "Creator"),
}
"""The metadata that are left out of a file of each format, so that it has no date."""


def image(figure: "Figure", kind: Format) -> bytes:
    """Return the bytes of a file of `figure` in format `kind`; equal figures give equal bytes.

    An SVG is dark on a dark page. The coordinates in an SVG have two decimals, which makes the file
    a quarter smaller. The figure must not have been drawn before, because a second drawing may move
    its layout.
    """
    import matplotlib

    content = io.BytesIO()
    with matplotlib.rc_context(WRITTEN):
        # Matplotlib leaves out metadata that are None.
        figure.savefig(content, format=kind, metadata=dict.fromkeys(UNDATED[kind]))
    if kind == "svg":
        # Within tags only, so that a number in a text of the figure keeps its digits.
        tags = re.compile(rb"<[^>]*>")
        short = tags.sub(lambda tag: re.sub(rb"(\.\d\d)\d+", rb"\1", tag[0]), content.getvalue())
        return short.replace(b"</style>", f"\n{_rules()}</style>".encode(), 1)
    return content.getvalue()


def _rules() -> str:
    """Return rules of CSS for the colours of an SVG on a dark page.

    Matplotlib writes each colour into an attribute, except the colour of black text, which needs a
    rule of its own.
    """
    rules = [
        f'[style*="{kind}: {day.lower()}"] {{{kind}: {night} !important}}'
        for day, night in DARK.items()
        for kind in ("fill", "stroke")
    ]
    black_text = f"text {{fill: {DARK['#000000']}}}"
    return "\n".join(["@media (prefers-color-scheme: dark) {", black_text, *rules, "}"])
