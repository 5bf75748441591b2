"""Contrast of colours as WCAG 2 defines it, and text that can be read."""

import re
from xml.etree import ElementTree


def luminance(colour):
    """Relative luminance of `#rrggbb`, 0 for black and 1 for white."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other="#ffffff"):
    """From 1 for the same colour to 21 for black on white."""
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def assert_readable(drawing):
    """Each text of an SVG drawing has at least 9 points, and contrast to white."""
    for text in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text"):
        style = text.get("style") or "font-size: 9px"  # a formula, whose parts have their own
        assert float(re.search(r"font-size: ([\d.]+)px", style)[1]) >= 9
        colour = re.search(r"fill: (#\w{6})", style)
        assert contrast(colour[1] if colour else "#000000") >= 4.5
