"""Write numbers as text and as JSON: the one place for percentages, decimals and rounding."""

import math
from collections.abc import Mapping
from typing import Any


def percent(fraction: float) -> str:
    """Return a fraction as text in percent, with two decimals; only 0 is 0%, and only 1 is 100%.

    97.25%      0%      100%      <0.01%      >99.99%      unknown for NaN
    """
    if math.isnan(fraction):
        return "unknown"
    if fraction in (0, 1):
        return f"{100 * fraction:.0f}%"
    if not 5e-5 <= fraction < 1 - 5e-5:
        return ">99.99%" if fraction > 0.5 else "<0.01%"
    return f"{100 * fraction:.2f}%"


def decimals(value: float) -> str:
    """Return `value` with two decimals, and without a minus sign if it rounds to 0."""
    # -0.0 + 0.0 is 0.0.
    return f"{round(value, 2) + 0.0:.2f}"


def number(value: float) -> str:
    """Return `value` rounded to a whole number, with thousands separators."""
    return f"{value:,.0f}"


def counted(count: int, noun: str) -> str:
    """Return `count` with `noun`, which gets an s unless the count is 1: 1 seed, 8 seeds."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def three_digits(value: float) -> str:
    """Return `value` rounded to three digits, but with all digits before the decimal point.

    There are at most two decimals, and no zeros at their end.

    14.2      5      0.05      10,902      0 for -0.0003
    """
    # 99.95 and 9.995 round to one digit more before the point, so they have one less behind it.
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    written = f"{value:.{1 if abs(value) >= 9.995 else 2}f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written


def plain(values: Any, number_format: str = ".6g") -> Any:
    """Return `values`, a tree of mappings, lists and arrays, as plain values for JSON.

    Arrays become lists, floats are rounded to `number_format`, and non-finite floats become None.
    """
    if isinstance(values, Mapping):
        return {name: plain(value, number_format) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value, number_format) for value in values]
    if hasattr(values, "tolist"):  # arrays and numbers of NumPy and JAX
        return plain(values.tolist(), number_format)
    if isinstance(values, float):
        return float(format(values, number_format)) if math.isfinite(values) else None
    return values
