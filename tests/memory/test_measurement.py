"""How the network of a question learns, and how it is scored."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.block import Block
from echo_jax.cells.known_memory import ShiftRegister
from echo_jax.cells.registry import build
from echo_jax.cells.vector_state.exprnn import ExpRNNCell
from echo_jax.memory.by_key.key_measurement import KeyMeasurement
from echo_jax.memory.by_lag.lag_measurement import LagMeasurement, standardised
from echo_jax.memory.protocol import STANDARD, Protocol

STREAMS, RECALLS, KMAX = 16, 3, 4
WEIGHTS = np.arange(8, dtype=np.uint32)
SLOTS = 3
KEY = jax.random.key(4)

SMALL = Protocol(streams=STREAMS, recalls=RECALLS)
SHORT = Protocol(updates=20, updates_at_once=10, rows=4)
LAGS = SMALL.lags
SYMBOLS = SMALL.symbols


class KnowsValues(KeyMeasurement):
    """Answers each question rightly where its parameter is 1, wrongly where it is -1."""

    def logits(self, params, tokens):
        same = (tokens[:, :, None] == tokens[:, None, :-1]) & (tokens[:, None, 1:] >= 64)
        place = jnp.argmax(same, axis=-1)
        return params * jax.nn.one_hot(jnp.take_along_axis(tokens, place + 1, 1) - 64, 64)


def test_the_right_answers_about_4_pairs_are_counted():
    knows = KnowsValues(build("simple", {"features": 2}), STANDARD, KMAX)
    assert [int(knows.associated(params, 0)) for params in (1.0, -1.0)] == [256 * 4, 0]


class PreparedForEachPart(ExpRNNCell):
    prepared_once = False


def test_a_cell_that_is_prepared_once_an_update_has_the_gradient_of_one_prepared_for_each_part():
    def gradient(cell):
        measurement = LagMeasurement(Block(cell), SHORT)
        params = measurement.init_params(jax.random.key(1))
        return jax.tree.leaves(jax.jit(jax.grad(measurement.loss))(params, jax.random.key(2), 0.0))

    with jax.enable_x64(True):
        once, in_parts = gradient(ExpRNNCell(4)), gradient(PreparedForEachPart(4))
    for a, b in zip(once, in_parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14)


def test_a_constant_number_is_standardised_to_0_and_others_by_hand():
    states = jnp.array([[[5.0, 1.0]], [[5.0, 4.0]], [[5.0, 7.0]]])
    by_hand = 3 / math.sqrt(6)
    assert standardised(states, states, 1e-12)[:, 0].tolist() == pytest.approx(
        np.array([[0, -by_hand], [0, 0], [0, by_hand]]), abs=1e-5
    )


def test_a_state_tells_nothing_of_later_tokens_or_other_rows():
    measurement = LagMeasurement(build("simple", {"features": 3}), SHORT)
    params = measurement.init_params(jax.random.key(1))
    streams = measurement.draw(jax.random.key(2))
    changed = streams.at[0, 70].set((streams[0, 70] + 1) % 16)
    states = jax.jit(measurement.states)
    away = np.abs(states(params, changed) - states(params, streams)).max(-1)
    assert away.shape == (4, len(STANDARD.asked))
    assert (away[1:] == 0).all()
    assert (away[0] > 0).tolist() == [step >= 70 for step in STANDARD.asked]


@pytest.fixture(scope="module")
def sets():
    return LagMeasurement(build("gru", {"features": 4}), SMALL).draw_sets(0, WEIGHTS)


@pytest.mark.parametrize("sureness", [0.1, 3.0])
def test_a_register_answers_exactly_and_the_doubt_is_all_that_it_loses(sets, sureness):
    """The head of lag n reads slot n, those of older tokens read nothing."""
    measurement = LagMeasurement(ShiftRegister(SLOTS), SMALL)
    kernel = np.zeros((SLOTS, SYMBOLS, LAGS, SYMBOLS), np.float32)
    for lag in range(1, SLOTS):
        kernel[lag, :, lag - 1] = sureness * np.eye(SYMBOLS)
    heads = {"kernel": kernel.reshape(SLOTS * SYMBOLS, -1), "bias": np.zeros(LAGS * SYMBOLS)}
    scores = jax.jit(lambda params: measurement.score(params, sets))({"cell": {}, "heads": heads})
    doubt = 1 / (STREAMS * len(SMALL.asked))
    lost = -np.log2(1 - doubt + doubt / SYMBOLS)
    for of_set in (scores.validation, scores.final):
        bits = np.log2(SYMBOLS) - np.asarray(of_set) / np.log(2)
        assert bits[: SLOTS - 1] == pytest.approx(4 - lost, abs=1e-4)
        assert bits[SLOTS - 1 :] == pytest.approx(0, abs=1e-4)


def test_right_answers_by_steps_are_counted_for_each_k_and_equal_those_of_the_scan():
    measurement = KeyMeasurement(build("block:gru", {"features": 16, "width": 8}), SMALL, KMAX)
    params = measurement.init_params(KEY)
    drawn = measurement.draw_sets(0, WEIGHTS)
    assert drawn.final.tokens.shape == (3, RECALLS, 3 * KMAX + 3)  # K = 2, 3, 4
    assert drawn.final.scored.sum((1, 2)).tolist() == [2 * RECALLS, 3 * RECALLS, 4 * RECALLS]
    scores = jax.jit(lambda p: measurement.score(p, drawn))(params)
    by_scan = jax.jit(lambda tokens: jax.lax.map(lambda x: measurement.logits(params, x), tokens))
    for of_set, counts in ((drawn.validation, scores.validation), (drawn.final, scores.final)):
        right = (by_scan(of_set.tokens).argmax(-1) == of_set.targets) & of_set.scored
        assert counts.tolist() == right.sum((1, 2)).tolist()
    assert scores.bytes == 4 * 16  # as carried, less the convolution of the block
    accuracy = scores.validation.sum() / (9 * RECALLS)
    assert scores.accuracy == pytest.approx(float(accuracy))
    assert measurement.scan_accuracy(params, drawn) == pytest.approx(float(accuracy))


def test_a_score_keeps_the_states_that_are_asked_and_not_those_of_all_steps(sets):
    """Of three sets; beside them there are their standardised copies, and the logits."""
    measurement = LagMeasurement(
        build("echo_jax.cells.known_memory:RingReservoir", {"features": 2000}), SMALL
    )
    params = jax.eval_shape(lambda: measurement.init_params(KEY))
    score = jax.jit(measurement.score).lower(params, sets)
    asked = 4 * measurement.numbers * 3 * STREAMS * len(SMALL.asked)
    scratch = score.compile().memory_analysis().temp_size_in_bytes
    assert asked < scratch < 4 * asked
