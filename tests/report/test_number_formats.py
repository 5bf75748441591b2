import json
import math

import numpy as np
import pytest

from echo_jax.report.number_formats import decimals, number, percent, plain, three_digits


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (percent, 0, "0%"), (percent, 1, "100%"), (percent, 0.01, "1.00%"),
        (percent, 0.99726, "99.73%"), (percent, 0.9999, "99.99%"), (percent, 0.99996, ">99.99%"),
        (percent, 1 / 50_000, "<0.01%"), (percent, 6e-5, "0.01%"), (percent, math.nan, "unknown"),
        (decimals, 6.644, "6.64"), (decimals, -0.001, "0.00"), (decimals, -1.5, "-1.50"),
        (number, 0, "0"), (number, 999.6, "1,000"), (number, 12345, "12,345"),
        (three_digits, 14.24, "14.2"), (three_digits, 5.0, "5"),
        (three_digits, 0.05, "0.05"), (three_digits, 9.996, "10"), (three_digits, 99.96, "100"),
        (three_digits, 10902, "10,902"), (three_digits, -0.0003, "0"),
        (three_digits, -14.24, "-14.2"),
    ],
)  # fmt: skip
def test_a_number_as_text(show, value, text):
    assert show(value) == text


def test_plain_values_are_lists_of_rounded_numbers_and_none_for_a_non_finite_one():
    tree = {
        "a": np.array([[1 / 3, np.nan], [np.inf, -123456.78]], np.float32),
        "b": (np.int32(3), True, "x", None),
        "c": {"d": np.float32(0.1), "e": np.array([1, 2])},
        "f": np.bool_(True),
    }
    assert plain(tree) == {
        "a": [[0.333333, None], [None, -123457.0]],
        "b": [3, True, "x", None],
        "c": {"d": 0.1, "e": [1, 2]},
        "f": True,
    }
    assert plain(1000 * np.pi, ".3g") == 3140
    assert plain(1000 * np.pi, ".3f") == 3141.593
    assert json.dumps(plain(tree), allow_nan=False)
