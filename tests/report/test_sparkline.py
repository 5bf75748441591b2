"""A curve in one line: its characters, its parts and its width."""

import numpy as np

from echo_jax.report.sparkline import BLOCKS, sparkline


def test_a_character_stands_for_each_part_from_low_to_high():
    assert sparkline(np.linspace(0, 1, 8), 60) == BLOCKS
    assert sparkline(np.array([0, 0.2, 0.5, 0.7, 1, 1]), 3) == "▁▅█"
    assert sparkline(np.array([0.0, 1.0]), 60) == "▁█"
