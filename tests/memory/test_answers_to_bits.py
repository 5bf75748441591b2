import math

import numpy as np
import pytest

from echo_jax.memory import card as bits
from echo_jax.memory.card import lag_bits
from echo_jax.memory.protocol import STANDARD


def information(accuracy):
    """Bits between a uniform value of 64 and an answer whose errors are uniform, from the table."""
    joint = np.full((64, 64), (1 - accuracy) / 63) / 64
    np.fill_diagonal(joint, accuracy / 64)
    seen = joint[joint > 0]
    return float(np.sum(seen * np.log2(seen * 64 * 64)))


@pytest.mark.parametrize("accuracy", [1 / 64, 0.1, 0.5, 0.9, 1.0])
def test_accuracy_bits_are_the_information_of_answers_with_uniform_errors(accuracy):
    assert bits.accuracy_bits(8, accuracy, 64) == pytest.approx(8 * information(accuracy), abs=1e-9)


def test_answers_worse_than_chance_have_no_bits():
    assert bits.accuracy_bits(np.array([2, 24]), np.array([0.0, 1 / 64]), 64) == pytest.approx(
        [0, 0]
    )


def test_bits_of_a_lag_are_not_below_0():
    nats = [math.log(16), math.log(2), 0.0, math.log(32)]
    assert lag_bits(nats, STANDARD) == pytest.approx([0, 3, 4, 0])
