"""Numbers as text and as JSON values, by hand."""

import json
import math

import numpy as np
import pytest

from echo_jax.report.number_formats import decimals, number, percent, plain


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0%"), (1, "100%"), (0.01, "1.00%"), (0.99726, "99.73%"), (0.9999, "99.99%"),
        (0.99996, ">99.99%"), (1 / 50_000, "<0.01%"), (6e-5, "0.01%"), (math.nan, "unknown"),
    ],
)  # fmt: skip
def test_a_share_is_never_rounded_to_none_or_all(share, words):
    assert percent(share) == words


def test_numbers_as_text():
    said = [number(x) for x in (0, 999.6, 12345, math.inf)]
    assert said == ["0", "1,000", "12,345", "never"]
    assert [decimals(x) for x in (6.644, -0.001, -1.5)] == ["6.64", "0.00", "-1.50"]


def test_values_for_json_have_six_digits_and_none_for_what_is_not_finite():
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
    assert plain(np.pi, ".3g") == 3.14
    assert json.dumps(plain(tree), allow_nan=False)
