import dataclasses

import jax
import numpy as np
import pytest

from echo_jax.cells import known_memory
from echo_jax.memory_benchmark.measures import capacity
from echo_jax.memory_benchmark.measures.capacity import CapacityTraining
from echo_jax.memory_benchmark.protocol import CELL_FULL
from echo_jax.memory_benchmark.training import LadderTraining, Run

SMALL = dataclasses.replace(
    CELL_FULL,
    capacity_more=8,
    capacity_sequences=1024,
    evaluate_every=4,
    batch_size=4,
)
RUN = Run(np.int32(1), np.int32(8), np.float32(0.01))
recalibrated_bits = jax.jit(capacity.recalibrated_bits)


def on_all_lags(cell, chosen=SMALL, ladder=0):
    return CapacityTraining(LadderTraining(cell, chosen.ladders[ladder], chosen), lags=8)


def channel(flips, n, key):
    """Logits that are right but for a share of flips, and what was sent: `[n, lags, 2]`."""
    drawn = np.random.default_rng(key)
    sent = drawn.integers(0, 2, (n, len(flips)))
    got = sent ^ (drawn.random((n, len(flips))) < np.array(flips))
    return np.stack([1 - got, got], axis=-1).astype(np.float32), sent


def entropy(p):
    return 0.0 if p in (0, 1) else -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def test_the_bits_of_a_binary_symmetric_channel_are_its_capacity():
    flips = [0.0, 0.02, 0.11, 0.3, 0.5]
    bits = recalibrated_bits(*channel(flips, 40_000, 0), *channel(flips, 40_000, 1))
    np.testing.assert_allclose(bits, [1 - entropy(p) for p in flips], atol=0.015)
    assert bits[0] == pytest.approx(1, abs=1e-3)


@pytest.fixture(scope="module")
def register():
    """A shift register of 4 slots whose heads read lag n from slot n, and lags 4 to 8 from none."""
    kernel = np.zeros((8, 8, 2), np.float32)
    for lag in (1, 2, 3):
        kernel[2 * lag : 2 * lag + 2, lag - 1] = np.eye(2)
    heads = {"kernel": kernel.reshape(8, 16), "bias": np.zeros(16, np.float32)}
    return {"cell": {}, "heads": heads}


def test_a_register_of_d_plus_1_slots_holds_d_bits_of_the_past(register):
    cell = known_memory.ShiftRegister(4)
    loud = on_all_lags(cell, dataclasses.replace(SMALL, noise=1.0))
    known, noisy = jax.jit(
        lambda: [each.recalled_bits(RUN, register) for each in (on_all_lags(cell), loud)]
    )()
    for bits in (known["exact"], known["float16"]):
        np.testing.assert_allclose(bits, [1, 1, 1, 0, 0, 0, 0, 0], atol=1e-3)
    # ten deviations between the values; then noise as large as the signal
    np.testing.assert_allclose(np.asarray(known["noise"])[:3], 1, atol=0.01)
    assert np.all(np.asarray(noisy["noise"])[:3] < 0.8)
