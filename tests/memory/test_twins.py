"""One cell written in five ways has the same bits.

The rows in `twins/` are those of `tests/support/lstm_twins.py`, of `lstm_in_pytorch.py` there, and
of the built-in LSTM, bare, by lag, seeds 0 to 7, 3,000 updates at rate 0.01.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from echo_jax.memory import card
from echo_jax.memory.card_rows import row_kind
from echo_jax.memory.protocol import STANDARD
from echo_jax.statistics import permutation_test

TWINS = Path(__file__).parent / "twins"


@pytest.fixture(scope="module")
def bits():
    """Bits by lag of each seed, by the way in which the LSTM is written."""
    rows = {
        path.stem: row_kind(STANDARD).read_unsigned(path, "")
        for path in sorted(TWINS.glob("*.jsonl"))
    }
    return {name: np.array(card.bits_of(each, STANDARD).by_seed) for name, each in rows.items()}


def test_intervals_of_differences_are_within_a_tenth_of_the_mean(bits):
    """Welch's interval of 95% of every difference."""
    assert len(bits) == 5
    for one, other in itertools.combinations(bits.values(), 2):
        assert len(one) == len(other) == 8
        low, high = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
        most = 0.1 * np.mean([one.mean(), other.mean()])
        assert -most < low < high < most


def test_no_more_pairs_than_chance_are_told_apart(bits):
    """Of ten pairs at 5%: two or more have a probability of about 9% if all are one cell."""
    pairs = itertools.combinations(bits.values(), 2)
    assert sum(permutation_test(*pair) < 0.05 for pair in pairs) <= 1
