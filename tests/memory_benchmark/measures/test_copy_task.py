import dataclasses
import math
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.vector_state.delay_line_mlp import DelayLineMLP
from echo_jax.cells.vector_state.lru import LRUCell
from echo_jax.cells.vector_state.lstm import LSTMCell
from echo_jax.cells.vector_state.minimal_rnns import MinGRUCell
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.measures import copy_task as cm
from echo_jax.memory_benchmark.measures.copy_task import CopyTraining
from echo_jax.memory_benchmark.protocol import COPY
from echo_jax.memory_benchmark.training import Run

KEY = jax.random.key(0)
draw, score = jax.jit(cm.draw, static_argnums=(1, 2)), jax.jit(cm.score)


def copy(cell, **fields):
    chosen = dataclasses.replace(COPY, **fields)
    return CopyTraining(cell, chosen.ladders[0], chosen)


def run(rate=0.01, seed=0):
    return Run(np.int32(seed), np.int32(3), np.float32(rate), np.bool_(True))


def as_text(tokens):
    return "".join("01234567.!"[token] for token in np.asarray(tokens))


@pytest.mark.parametrize("blanks", [1, 3, 100])
def test_the_task_is_the_published_one_symbol_by_symbol(blanks):
    inputs, targets, _ = map(np.asarray, draw(KEY, 5, blanks + 20))
    assert inputs.dtype == targets.dtype == jnp.int32
    assert len({as_text(row[:10]) for row in inputs}) == 5
    for row, target in zip(inputs, targets, strict=True):
        symbols = as_text(row[:10])
        assert re.fullmatch("[0-7]{10}", symbols)
        assert as_text(row) == symbols + "." * (blanks - 1) + "!" + "." * 10
        assert as_text(target) == "." * (blanks + 10) + symbols


def test_all_symbols_are_as_likely_at_every_place():
    inputs = np.asarray(draw(KEY, 4000, 21).tokens)
    shares = np.eye(8)[inputs[:, :10]].mean(axis=0)
    np.testing.assert_allclose(shares, 1 / 8, atol=5 * np.sqrt(7 / 64 / 4000))


@pytest.mark.slow
@pytest.mark.parametrize("blanks", [3, 1000])
def test_the_memoryless_loss_is_that_of_a_predictor_that_knows_only_the_time(blanks):
    targets = draw(KEY, 64, blanks + 20).targets
    logits = np.full((64, blanks + 20, 10), -30.0, np.float32)
    logits[:, : blanks + 10, cm.BLANK] = 30
    logits[:, blanks + 10 :, : cm.SYMBOLS] = 30
    scores = score(logits, targets)
    assert float(scores["loss"]) == pytest.approx(protocol.memoryless_loss(blanks), rel=1e-5)
    assert float(scores["recall"]) == pytest.approx(math.log(8), rel=1e-5)
    assert float(scores["accuracy"]) == pytest.approx(1 / 8, abs=0.06)


def test_scores_are_means_over_all_steps_and_over_the_last_ten():
    targets = np.asarray(draw(KEY, 2, 23).targets)
    logits = np.random.default_rng(0).normal(size=(2, 23, 10)).astype(np.float32)
    logits[0, 13:15] += 9 * np.eye(10)[targets[0, 13:15]]
    right = np.take_along_axis(logits, targets[..., None], -1).squeeze(-1)
    nats = np.log(np.exp(logits).sum(-1)) - right
    accuracy = (logits.argmax(-1) == targets)[:, 13:].mean()
    expected = {"loss": nats.mean(), "recall": nats[:, 13:].mean(), "accuracy": accuracy}
    chex.assert_trees_all_close(score(logits, targets), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [LRUCell(12, state_size=16), LSTMCell(6)], ids=["lru", "lstm"])
def test_an_answer_depends_on_no_later_input_and_on_every_earlier_one(cell):
    training = copy(cell)
    params = jax.jit(training.init)(run()).params
    inputs = draw(KEY, 1, 22).tokens
    answer = jax.jit(lambda tokens: training.logits(params, tokens))
    before = answer(inputs)
    for place in (0, 9, 15):
        after = answer(inputs.at[0, place].set((inputs[0, place] + 1) % 8))
        differs = np.any(np.asarray(before != after), axis=(0, 2))
        np.testing.assert_array_equal(differs, np.arange(22) >= place)


@pytest.mark.slow
def test_blocks_of_training_are_one_run_on_fresh_batches_and_a_rate_of_zero_keeps_the_weights():
    three, six = (copy(MinGRUCell(5), batch_size=4, evaluate_every=n) for n in (3, 6))
    start = jax.jit(three.init)(run())
    block = jax.jit(lambda run, state: three.train_block(22, run, state))
    end = block(run(), block(run(), start).state)
    assert int(end.state.step) == 6
    whole = jax.jit(lambda run, state: six.train_block(22, run, state))(run(), start)
    chex.assert_trees_all_equal(whole, end)
    unmoved = block(run(rate=0.0), start)
    chex.assert_trees_all_equal(unmoved.state.params, start.params)
    again = block(run(rate=0.0), unmoved.state)
    chex.assert_trees_all_equal(again.scores, unmoved.scores)  # evaluated on the same sequences


def recall_after(cell, rate, updates, length):
    training = copy(cell, evaluate_every=updates)
    trained = jax.jit(lambda run: training.train_block(length, run, training.init(run)))(run(rate))
    return float(trained.scores["recall"])


@pytest.mark.slow
def test_a_delay_line_just_long_enough_learns_the_task_and_one_shorter_does_not():
    assert recall_after(DelayLineMLP(16, 12), 0.02, 200, 21) < 0.5 * math.log(8)
    assert recall_after(DelayLineMLP(16, 11), 0.02, 200, 21) > 0.9 * math.log(8)


@pytest.mark.slow
def test_linear_recurrent_units_that_start_close_to_the_circle_recall_over_a_thousand_blanks():
    close = LRUCell(50, r_min=0.999, r_max=1.0, recurrent_rate=0.01)
    assert recall_after(close, 0.01, 500, 1020) < 0.5 * math.log(8)
    assert recall_after(LRUCell(50), 0.01, 500, 1020) > 0.9 * math.log(8)  # 0.999^1000 is left
