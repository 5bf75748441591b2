"""A curve in one line: its characters, its parts, its width, and where blocks may not be."""

import io
import re

import numpy as np
import pytest

from echo_jax.report.sparkline import BLOCKS, TENTHS, characters, curve_line, sparkline


def test_a_character_stands_for_each_part_from_low_to_high():
    assert sparkline(np.linspace(0, 1, 8), 60, BLOCKS) == BLOCKS
    assert sparkline(np.array([0, 0.2, 0.5, 0.7, 1, 1]), 3, TENTHS) == "169"
    assert sparkline(np.array([0.0, 1.0]), 60, TENTHS) == "09"


def test_the_line_is_of_the_mean_seed_and_fits_the_terminal():
    accuracy = np.stack([np.linspace(0, share, 2000) for share in (0.2, 1, 1)])
    for columns, longest in ((1000, 110), (80, 80), (1, 60)):
        line = curve_line(accuracy, columns, TENTHS)
        assert line.startswith("Accuracy in tenths of 2,000 sequences: 0% 0")
        assert line.endswith(" 73%")
        assert len(line) <= longest
    coarse = np.zeros((3, 40))
    coarse[0, ::4] = 0.6  # 15% of this seed, 5% of all; the median is 0
    assert re.fullmatch(r"Accuracy of 40 sequences: 5% [▁▂]+ 5%", curve_line(coarse, 80, BLOCKS))
    assert curve_line(accuracy[:, :1], 80, BLOCKS) == "Accuracy of 1 sequence: 0% ▁ 0%"


@pytest.mark.parametrize(
    ("encoding", "variables", "expected"),
    [
        ("utf-8", {}, BLOCKS),
        ("ascii", {}, TENTHS),
        ("latin-1", {}, TENTHS),
        ("utf-8", {"NO_COLOR": "1"}, TENTHS),
        ("utf-8", {"TERM": "dumb"}, TENTHS),
    ],
)
def test_blocks_are_for_terminals_that_have_them(monkeypatch, encoding, variables, expected):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert characters(io.TextIOWrapper(io.BytesIO(), encoding=encoding)) == expected
