"""Make the PDF of the figure for a slide from its SVG.

Usage: python .ci/slide_figure.py, with vl-convert-python 1.9.0 and the fonts of DejaVu.
"""

from pathlib import Path

import vl_convert

SVG = Path(__file__).parents[1] / "docs" / "figures" / "which-row-continues-which.svg"

if __name__ == "__main__":
    SVG.with_suffix(".pdf").write_bytes(vl_convert.svg_to_pdf(SVG.read_text("utf-8")))
