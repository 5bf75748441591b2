import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.delay_line_mlp import DelayLineMLP
from echo_jax.cells.lru import LRUCell
from echo_jax.cells.lstm import LSTMCell
from echo_jax.cells.min_gru import MinGRUCell
from echo_jax.config import TracedParameters
from echo_jax.core import many_seeds
from echo_jax.core.training import clipped_adam, fused_adam
from echo_jax.memory_benchmark import copy_task as cm
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.protocol import COPY

KEY = jax.random.key(0)
SMALL = LRUCell(12, state_size=16)


def settings(seed=0, rate=0.01):
    return TracedParameters(jnp.asarray(seed), 0, jnp.asarray(rate), True)


def as_text(tokens):
    return "".join("01234567.!"[token] for token in np.asarray(tokens))


def test_the_task_with_three_blanks_is_the_published_one_symbol_by_symbol():
    inputs, targets = jax.jit(cm.draw, static_argnums=(1, 2))(KEY, 5, 3)
    assert inputs.dtype == targets.dtype == jnp.int32
    said = {as_text(row[:10]) for row in inputs}
    assert len(said) == 5
    for row, target in zip(inputs, targets, strict=True):
        symbols = as_text(row[:10])
        assert as_text(row) == symbols + ".." + "!" + ".........."
        assert as_text(target) == "............." + symbols


@pytest.mark.parametrize("blanks", [1, 2, 100])
def test_a_symbol_comes_back_as_many_steps_later_as_there_are_blanks_and_symbols(blanks):
    inputs, targets = cm.draw(KEY, 3, blanks)
    chex.assert_shape([inputs, targets], (3, blanks + 20))
    np.testing.assert_array_equal(targets[:, blanks + 10 :], inputs[:, :10])
    np.testing.assert_array_equal(inputs[:, blanks + 9], cm.DELIMITER)
    assert np.sum(inputs == cm.BLANK) == 3 * (blanks + 9)


def test_all_symbols_are_as_likely_at_every_place():
    inputs, _ = cm.draw(KEY, 4000, 1)
    shares = jax.nn.one_hot(inputs[:, :10], 8).mean(axis=0)
    np.testing.assert_allclose(shares, 1 / 8, atol=5 * np.sqrt(7 / 64 / 4000))


@pytest.mark.slow
@pytest.mark.parametrize("blanks", [3, 1000])
def test_the_memoryless_loss_is_that_of_a_predictor_that_knows_only_the_time(blanks):
    _, targets = cm.draw(KEY, 64, blanks)
    logits = np.full((64, blanks + 20, 10), -30.0, np.float32)
    logits[:, : blanks + 10, cm.BLANK] = 30
    logits[:, blanks + 10 :, : cm.SYMBOLS] = 30
    scores = cm.score(jnp.asarray(logits), targets)
    assert float(scores.loss) == pytest.approx(protocol.memoryless_loss(blanks), rel=1e-5)
    assert float(scores.recall) == pytest.approx(math.log(8), rel=1e-5)
    assert float(scores.accuracy) == pytest.approx(1 / 8, abs=0.06)
    assert round(protocol.memoryless_loss(1000), 4) == 0.0204


@pytest.mark.slow
def test_only_the_last_ten_steps_count_as_recall():
    _, targets = cm.draw(KEY, 2, 3)
    logits = np.random.default_rng(0).normal(size=(2, 23, 10)).astype(np.float32)
    logits[0, 13:15] += 9 * np.eye(10)[np.asarray(targets)[0, 13:15]]
    wrong_before = logits.copy()
    wrong_before[:, :13, 0] += 50
    nats = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(
        logits, np.asarray(targets)[..., None], -1
    ).squeeze(-1)
    for given in (logits, wrong_before):
        scores = cm.score(jnp.asarray(given), targets)
        assert float(scores.recall) == pytest.approx(nats[:, 13:].mean(), rel=1e-5)
        right = (logits.argmax(-1) == np.asarray(targets))[:, 13:].mean()
        assert float(scores.accuracy) == pytest.approx(right)
    assert float(scores.loss) > 20
    assert float(cm.score(jnp.asarray(logits), targets).loss) == pytest.approx(nats.mean())


@pytest.mark.slow
@pytest.mark.parametrize("cell", [SMALL, LSTMCell(6)], ids=["lru", "lstm"])
def test_an_answer_depends_on_no_later_input_and_on_every_earlier_one(cell):
    network, params = cm.copy_network(cell), jax.jit(lambda: cm.init(cell, settings()))().params
    inputs, _ = cm.draw(KEY, 1, 2)
    answer = jax.jit(lambda tokens: cm.answer(network, params, tokens))
    before = answer(inputs)
    for place in (0, 9, 15):
        after = answer(inputs.at[0, place].set((inputs[0, place] + 1) % 8))
        differs = np.any(np.asarray(before != after), axis=(0, 2))
        np.testing.assert_array_equal(differs, np.arange(22) >= place)


def test_a_long_gradient_is_clipped_to_norm_one_before_adam_and_a_short_one_is_not():
    long, short = {"a": jnp.array([6.0, 8.0])}, {"a": jnp.array([0.3, -0.4])}
    found, expected = clipped_adam(COPY.clip), fused_adam()
    state, plain = found.init(long), expected.init(long)
    _, state = found.update(long, state)
    _, plain = expected.update({"a": jnp.array([0.6, 0.8])}, plain)
    chex.assert_trees_all_close(
        found.update(short, state)[0], expected.update(short, plain)[0], rtol=1e-5
    )


@pytest.mark.slow
def test_chunks_of_training_are_one_run_on_fresh_batches_and_a_rate_of_zero_leaves_the_weights():
    cell = MinGRUCell(5)

    @functools.partial(jax.jit, static_argnums=2)
    def chunk(state, rate, updates=3):
        return cm.run_chunk(cell, settings(rate=rate), state, updates, (4, 2))

    start = jax.jit(lambda: cm.init(cell, settings()))()
    middle, _ = chunk(start, 0.01)
    end, scores = chunk(middle, 0.01)
    assert int(end.step) == 6
    again, whole = chunk(start, 0.01, 6)
    chex.assert_trees_all_equal(again, end)
    chex.assert_trees_all_equal(jax.tree.map(lambda leaf: leaf[3:], whole), scores)
    unmoved, of_one_network = chunk(start, 0.0)
    assert len(set(of_one_network.loss.tolist())) == 3  # a batch of its own for every update
    chex.assert_trees_all_equal(unmoved.params, start.params)


@pytest.mark.slow
def test_a_delay_line_just_long_enough_learns_the_task_and_one_shorter_does_not():
    def recall(delay_line):
        cell = DelayLineMLP(16, delay_line)

        def run(settings):
            state = cm.init(cell, settings)
            return cm.train_then_evaluate(cell, settings, state, 200, (8, 1))[1].recall

        return float(jax.jit(run)(settings(rate=0.02)))

    assert recall(12) < 0.5 * math.log(8)
    assert recall(11) > 0.9 * math.log(8)


@pytest.mark.slow
def test_linear_recurrent_units_that_start_close_to_the_circle_recall_over_a_thousand_blanks():
    def recall(cell):
        def run(settings):
            state = cm.init(cell, settings)
            return cm.train_then_evaluate(cell, settings, state, 500, (8, 1000))[1].recall

        return float(jax.jit(run)(settings(rate=0.01)))

    assert recall(LRUCell(50, r_min=0.999, r_max=1.0, recurrent_rate=0.01)) < 0.5 * math.log(8)
    assert recall(LRUCell(50)) > 0.9 * math.log(8)  # 0.999^1000 is the most that is left


@pytest.mark.slow
def test_each_of_many_seeds_is_the_run_of_that_seed_alone():
    cell, rates = MinGRUCell(5), jnp.array([0.01, 0.02])
    both = TracedParameters(jnp.array([3, 4]), jnp.zeros(2, int), rates, jnp.ones(2, bool))

    def run(settings, tree=None, shared=None):
        state = cm.init(cell, settings)
        return cm.train_then_evaluate(cell, settings, state, 3, (4, 2))

    mapped = many_seeds.over_runs(run, jax.local_devices()[:1], "map")
    found = jax.jit(mapped)(both, None, None)
    alone = jax.jit(run)
    for row in range(2):
        expected = alone(jax.tree.map(lambda leaf, row=row: leaf[row], both))
        chex.assert_trees_all_equal(jax.tree.map(lambda leaf, row=row: leaf[row], found), expected)
    assert float(found[1].loss[0]) != float(found[1].loss[1])


def test_a_row_is_plain_and_has_none_where_there_is_no_number():
    scores = [cm.Scores(*jnp.array([0.0201234567, 2.1, 0.125])), cm.Scores(jnp.nan, jnp.inf, 1.0)]
    assert cm.raw_row(100, 3, 0.003, [100, 200], scores) == {
        "kind": "copy",
        "T": 100,
        "seed": 3,
        "rate": 0.003,
        "updates": [100, 200],
        "loss": [0.020123, None],
        "recall": [2.1, None],
        "accuracy": [0.125, 1.0],
    }
