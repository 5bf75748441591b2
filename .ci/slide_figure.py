"""Make the PDF of the figure for a slide from its SVG, and the digests of both.

Usage: python .ci/slide_figure.py, with vl-convert-python 1.9.0 and the fonts of DejaVu. A test
compares the digests, so that the PDF is made again when the SVG changes.
"""

import hashlib
from pathlib import Path

import vl_convert

SVG = Path(__file__).parents[1] / "docs" / "figures" / "which-row-continues-which.svg"


def main() -> None:
    """Write the PDF and `SHA256SUMS` beside the SVG."""
    pdf = SVG.with_suffix(".pdf")
    pdf.write_bytes(vl_convert.svg_to_pdf(SVG.read_text("utf-8")))
    lines = [f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}" for each in (pdf, SVG)]
    (SVG.parent / "SHA256SUMS").write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
