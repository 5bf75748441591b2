"""Numbers as text and as JSON values: percentages, counts, rounding."""

import math
from collections.abc import Mapping
from typing import Any


def percent(share: float) -> str:
    """A share in percent, with two decimals unless it is none or all of it."""
    if math.isnan(share):
        return "unknown"
    if share in (0, 1):
        return f"{100 * share:.0f}%"
    if not 5e-5 <= share < 1 - 5e-5:
        return ">99.99%" if share > 0.5 else "<0.01%"
    return f"{100 * share:.2f}%"


def decimals(value: float) -> str:
    """A number with two decimals, without the minus of what rounds to 0."""
    return f"{round(value, 2) + 0.0:.2f}"


def number(value: float) -> str:
    """A count, or never."""
    return "never" if math.isinf(value) else f"{value:,.0f}"


def three_digits(value: float) -> str:
    """A number with three digits, but all its whole ones, and at most two decimals.

    14.2      5      0.05      10,902      -0.0003 is 0
    """
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    written = f"{value:.{1 if abs(value) >= 9.995 else 2}f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written


def plain(values: Any, digits: int = 6) -> Any:
    """Arrays in a tree of dictionaries as lists, to so many significant digits; NaN as None."""
    if isinstance(values, Mapping):
        return {name: plain(value, digits) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value, digits) for value in values]
    if hasattr(values, "tolist"):  # arrays and numbers of NumPy and JAX
        return plain(values.tolist(), digits)
    if isinstance(values, float):
        return float(f"{values:.{digits}g}") if math.isfinite(values) else None
    return values
