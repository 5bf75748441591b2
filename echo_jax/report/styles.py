"""Styles of all figures: colours, marks, sizes, axes and labels; and writing as PNG or SVG."""

import contextlib
import html
import io
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from echo_jax.exceptions import ConfigError, reason

if TYPE_CHECKING:  # matplotlib is imported where it draws: it may fail over the user's settings
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"
INK = "#1A1A1A"  # of text
RULE = "#E4E4E4"  # of grid lines, and of fields without data
SERIES = (
    (BLUE, "o", "-", ""),
    (ORANGE, "s", (0, (5, 2)), "//"),
    ("#000000", "^", (0, (1, 1.5)), ".."),
    ("#009E73", "D", (0, (7, 2, 1.5, 2)), "xx"),
    ("#CC79A7", "v", (0, (2.5, 1.5)), "--"),
    ("#A57200", "P", (0, (5, 1.5, 1.5, 1.5, 1.5, 1.5)), "||"),
)
"""Colour, marker, dashes and hatching of each series; any one of the four tells series apart.

The colours are from the palette of Okabe and Ito, for readers with any colour vision, its orange
darkened to a contrast of 3 to 1.
"""

COLOURS = {
    "#ffffff": "var(--paper)", INK.lower(): "var(--ink)", "#000000": "var(--ink)",
    GREY: "var(--grey)", RULE.lower(): "var(--rule)", BLUE.lower(): "var(--blue)",
    ORANGE.lower(): "var(--orange)", "#009e73": "var(--green)", "#cc79a7": "var(--pink)",
    "#a57200": "var(--brown)",
}  # fmt: skip
"""The names of colours in the style sheet of pages; those of maps are in none."""

WIDTH, NARROW = 7.2, 3.7
"""Inches of a figure, on a page and on a phone; text of 10 points is then nearly as large as that
of the page."""


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Figures are made and written within it, with the settings of matplotlib, never the user's.

    Whatever fails, be it the import of matplotlib, is a ConfigError.
    """
    try:
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            yield
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"the figure cannot be drawn ({reason(error)}): mend the installation of matplotlib, "
            "or its settings"
        ) from error


def style_axes(axes: "Axes") -> None:
    """Draw the left and the bottom edge of a panel only, and all lines behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(labelsize=10, color=GREY, labelcolor=INK)
    axes.set_axisbelow(True)


def annotate(
    axes: "Axes", words: str, at: tuple[float, float], points: tuple[float, float], **style: Any
) -> None:
    """Write words at a place, moved by `points` to the right and upwards."""
    style = {"fontsize": 10, "color": INK, **style}
    axes.annotate(words, at, points, textcoords="offset points", **style)


def wrapped(words: str, width: int) -> str:
    """Words in lines of at most `width` characters, with dollar signs that start no formula."""
    return textwrap.fill(words, width).replace("$", r"\$")


Format = Literal["png", "svg", "pdf"]


def image(figure: "Figure", kind: Format) -> bytes:
    """The content of a file of a figure; the same each time. Text in a PDF is text."""
    if kind == "svg":
        return f"{svg(figure, 'figure')}\n".encode()
    if kind == "png":
        return png(figure)
    import matplotlib
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    content = io.BytesIO()
    with matplotlib.rc_context({"pdf.fonttype": 42}):  # TrueType, which publishers ask for
        no_date = dict.fromkeys(("CreationDate", "Producer", "Creator"))
        FigureCanvasPdf(figure).print_pdf(content, metadata=no_date)
    return content.getvalue()


def png(figure: "Figure") -> bytes:
    """The content of a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def tell(axes: "Axes", x: Sequence[float], y: Sequence[float], words: Sequence[str]) -> None:
    """Say these words of places in a panel under the pointer, and where the arrow keys lead.

    Places that are not finite are left out. Nothing is drawn: `svg` adds the words to the figure.
    """
    known = [each for each in zip(x, y, words, strict=True) if isfinite(each[0] + each[1])]
    if known:
        (line,) = axes.plot(*list(zip(*known, strict=True))[:2], visible=False)
        line.set_gid("\n".join(each[2].replace("\n", " ") for each in known))


def svg(figure: "Figure", name: str) -> str:
    """One `<svg>` element to be embedded in a page, with text as text; the same each time.

    It has no width and height, so that the page scales it, no style sheet, which would apply to the
    whole page, and what `tell` says as `data-marks`. `name` is the prefix of its ids, unique on the
    page: letters, digits, `-` and `_`. The figure was not drawn before, because a second drawing
    may move its layout.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    content = io.StringIO()
    fonts: dict[Any, Any] = {"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]}
    with matplotlib.rc_context(fonts | {"svg.hashsalt": name}):
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(content, metadata=no_metadata)
    drawing = content.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    for pattern, instead in (
        (r"[ \n]+", " "),
        (r"<defs> ?<style.*?</defs>|<!--.*?-->", ""),
        (r"(?<=>) | (?=<)", ""),
        (r"font-family: [^;\"]*;? ?", ""),
        (r' transform="rotate\(-0 [^"]*"', ""),
    ):
        drawing = re.sub(pattern, instead, drawing)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]*)', drawing))

    def in_page(tag: re.Match[str]) -> str:
        """A tag without unused names and needless digits; names begin with that of the figure."""
        short = re.sub(r' id="([^"]*)"', lambda each: each[0] * (each[1] in used), tag[0])
        short = re.sub(r"(\.\d\d)\d+", r"\1", short)
        return re.sub(r' id="|href="#|url\(#', rf"\g<0>{name}-", short)

    drawing = re.sub(r"<[^<>]+>", in_page, drawing)
    font = "'DejaVu Sans', Arial, sans-serif"  # a font that exists on every system
    root = f'style="stroke-linejoin: round; stroke-linecap: butt; font-family: {font}"'
    root += _marks(figure)
    return re.sub(r'(?<= )width="\S*" height="\S*"', lambda _: root, drawing, count=1)


def _marks(figure: "Figure") -> str:
    """The words of `tell`, once the figure is drawn: the attribute data-marks of its SVG."""
    from matplotlib.lines import Line2D

    height, marks = 72 * figure.get_figheight(), []
    for line in figure.findobj(Line2D):
        if line.axes and (words := line.get_gid()):
            at = line.axes.transData.transform(line.get_xydata()) * 72 / figure.dpi
            marks += [
                [round(x), round(height - y), each]
                for (x, y), each in zip(at.tolist(), words.split("\n"), strict=True)
            ]
    said = json.dumps(marks, ensure_ascii=False, separators=(",", ":"))
    return f' data-marks="{html.escape(said)}"' if marks else ""
