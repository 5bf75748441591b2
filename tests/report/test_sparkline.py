"""A curve in one line: its characters, its parts and its width."""

import re

import numpy as np

from echo_jax.report.sparkline import BLOCKS, curve_line, sparkline


def test_a_character_stands_for_each_part_from_low_to_high():
    assert sparkline(np.linspace(0, 1, 8), 60) == BLOCKS
    assert sparkline(np.array([0, 0.2, 0.5, 0.7, 1, 1]), 3) == "▁▅█"
    assert sparkline(np.array([0.0, 1.0]), 60) == "▁█"


def test_the_line_is_of_the_mean_seed_and_fits_the_terminal():
    accuracy = np.stack([np.linspace(0, share, 2000) for share in (0.2, 1, 1)])
    for columns, longest in ((1000, 110), (80, 80), (1, 60)):
        line = curve_line(accuracy, columns)
        assert line.startswith("Accuracy of 2,000 sequences: 0% ▁")
        assert line.endswith(" 73%")
        assert len(line) <= longest
    coarse = np.zeros((3, 40))
    coarse[0, ::4] = 0.6  # 15% of this seed, 5% of all; the median is 0
    assert re.fullmatch(r"Accuracy of 40 sequences: 5% [▁▂]+ 5%", curve_line(coarse, 80))
    assert curve_line(accuracy[:, :1], 80) == "Accuracy of 1 sequence: 0% ▁ 0%"
