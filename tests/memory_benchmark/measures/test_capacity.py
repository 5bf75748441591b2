import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells import known_memory
from echo_jax.cells.vector_state.delay_line_mlp import DelayLineMLP
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


def test_a_head_that_errs_once_in_thousands_is_not_sure_beyond_measure():
    flips = [1 / 8192] * 200
    bits = np.asarray(recalibrated_bits(*channel(flips, 2048, 6), *channel(flips, 2048, 7)))
    assert bits.min() > 0.95
    assert bits.mean() > 0.99


@pytest.mark.slow
def test_recalibration_forgives_a_factor_of_the_logits_and_no_more():
    fit, sent = channel([0.1], 20_000, 2)
    tried, asked = channel([0.1], 20_000, 3)
    plain = recalibrated_bits(fit, sent, tried, asked)
    for factor in (0.2, 5.0):
        scaled = recalibrated_bits(factor * fit, sent, factor * tried, asked)
        np.testing.assert_allclose(scaled, plain, atol=1e-4)
    wrong = recalibrated_bits(fit, 1 - sent, tried, 1 - asked)
    assert abs(float(wrong[0])) < 1e-3  # upside down is no use: a factor of 0, and 0 bits


def test_bits_are_not_clipped_at_zero():
    fit, sent = channel([0.5] * 40, 30, 4)
    tried, asked = channel([0.5] * 40, 300, 5)
    bits = np.asarray(recalibrated_bits(fit, sent, tried, asked))
    assert bits.min() < -0.005
    assert abs(np.median(bits)) < 0.05


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


def test_a_cell_without_a_state_holds_nothing():
    training = on_all_lags(DelayLineMLP(3, delay_line=1))
    assert training.state_size == 0
    params = jax.jit(lambda: training.init(RUN).params)()
    bits = jax.jit(lambda params: training.recalled_bits(RUN, params))(params)
    np.testing.assert_allclose(bits["exact"], 0, atol=1e-2)
    assert capacity.flatten((), 3).shape == (3, 0)


def test_both_parts_of_a_complex_state_are_read():
    carry = (jnp.asarray([[1 + 2j], [3 + 4j]], jnp.complex64), jnp.asarray([5, 6], jnp.int32))
    np.testing.assert_array_equal(capacity.flatten(carry, 2), [[1, 2, 5], [3, 4, 6]])


def test_targets_are_the_tokens_1_to_m_steps_back_and_belong_to_the_last_states(register):
    training, tokens = on_all_lags(known_memory.ShiftRegister(4)), np.arange(16)[None] % 7
    targets = np.asarray(jax.jit(training.targets)(tokens))
    assert targets.shape == (16, 1, 8)
    for step, lag in ((9, 1), (15, 8), (8, 8)):
        assert targets[step, 0, lag - 1] == tokens[0, step - lag]
    last_states = jax.jit(lambda key: training.last_states(register, key))
    seen, targets = map(np.asarray, last_states(jax.random.key(0)))
    for lag in (1, 2, 3):
        np.testing.assert_array_equal(seen[:, 2 * lag + 1], targets[:, lag - 1])


@pytest.mark.slow
def test_training_the_heads_of_a_register_finds_its_slots():
    training, losses = on_all_lags(known_memory.ShiftRegister(4)), []
    state, fast = training.init(RUN), RUN._replace(rate=jnp.float32(0.1))
    step = jax.jit(lambda run, state: training.train_block(16, run, state))
    for _ in range(12):
        state, scores, _ = step(fast, state)
        losses.append(float(scores["loss"]))
    assert losses[-1] < 0.55 < losses[0]  # 5 of 8 lags cannot be known: 5/8 ln 2 = 0.433
    assert int(state.step) == 48


def test_numbers_beyond_half_precision_are_set_to_its_ends():
    states = np.float32([1e6, -1e9, 0.1, 65504, np.inf])
    ends = [65504, -65504, np.float16(0.1), 65504, 65504]
    assert capacity.half_precision(states).tolist() == ends
