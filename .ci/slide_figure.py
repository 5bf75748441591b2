"""Make the slide, 1920 x 1080, of the figure of which row continues which and the published rows.

Usage: python .ci/slide_figure.py, with echo_jax, vl-convert-python 1.9.0 and the fonts of DejaVu.
"""

import json
from pathlib import Path

import vl_convert

from echo_jax.statistics import summary_of

DOCS = Path(__file__).parents[1] / "docs"
SVG = DOCS / "figures" / "which-row-continues-which.svg"
ROWS = DOCS / "results" / "rows" / "mistake.jsonl"

SLIDE = """<svg xmlns="http://www.w3.org/2000/svg" width="1920" height="1080">
<rect width="1920" height="1080" fill="#ffffff"/>
<text x="100" y="96" style="font: bold 50px DejaVu Sans">{headline}</text>
<svg x="240" y="125" width="1440" height="822" viewBox="0 -34 760 434">{figure}</svg>
{numbers}
</svg>"""
NUMBERS = '<text x="100" y="{y}" style="font: 23px DejaVu Sans; fill: #404040">{line}</text>'


def accuracies() -> dict[str, tuple[float, float, float]]:
    """The median accuracy in percent with its interval, by the name of the grid point."""
    rows = map(json.loads, ROWS.read_text("utf-8").splitlines())
    summaries = {row["point"]: summary_of(row["by_seed"]["accuracy"]) for row in rows}
    return {
        name: tuple(100 * x for x in (middle, interval.low, interval.high))
        for name, (middle, interval, *_) in summaries.items()
        if interval
    }


def slide() -> str:
    """The slide as SVG: the headline, the figure in its light colours, the numbers."""
    known = accuracies()
    part3, cut, cured = (known[f"batch {b}, batches back {k}"] for b, k in ((6, 1), (1, 1), (1, 2)))
    headline = f"Wrong state, cut gradient: {part3[0]:.0f}% instead of {cured[0]:.0f}%"
    lines = (
        "Accuracy on fresh sequences, median of 16 seeds (92% interval); chance is 1.00%. Batches "
        f"of 6: {_shown(part3)}.",
        f"Batches of 1, where row 6 starts from row 5: {_shown(cured)} with a gradient through two "
        f"batches, {_shown(cut)} with the gradient cut.",
    )
    numbers = (NUMBERS.format(y=995 + 40 * i, line=line) for i, line in enumerate(lines))
    figure = SVG.read_text("utf-8").partition(">")[2].rpartition("</svg>")[0]
    return SLIDE.format(headline=headline, figure=figure, numbers="".join(numbers))


def _shown(accuracy: tuple[float, float, float]) -> str:
    middle, low, high = accuracy
    return f"{middle:.2f}% ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    SVG.with_suffix(".png").write_bytes(vl_convert.svg_to_png(slide()))
