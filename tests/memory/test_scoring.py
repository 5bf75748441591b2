import jax
import numpy as np
import pytest

from echo_jax.cells.known_memory import ShiftRegister
from echo_jax.cells.registry import build
from echo_jax.memory.by_key import ByKey
from echo_jax.memory.by_lag import ByLag
from echo_jax.memory.protocol import Protocol

STREAMS, RECALLS, KMAX = 16, 3, 4
WEIGHTS = np.arange(8, dtype=np.uint32)
SLOTS = 3
KEY = jax.random.key(4)

SMALL = Protocol(streams=STREAMS, recalls=RECALLS)
LAGS = SMALL.lags
SYMBOLS = SMALL.symbols


def draw_lag_sets(seed, weights):
    return ByLag(build("gru", {"features": 4}), SMALL).draw_sets(seed, weights)


@pytest.fixture(scope="module")
def sets():
    return draw_lag_sets(0, WEIGHTS)


def register_with_exact_heads(sureness):
    """A register, and heads: that of lag n reads slot n, those of older tokens read nothing."""
    question = ByLag(ShiftRegister(SLOTS), SMALL)
    kernel = np.zeros((SLOTS, SYMBOLS, LAGS, SYMBOLS), np.float32)
    for lag in range(1, SLOTS):
        kernel[lag, :, lag - 1] = sureness * np.eye(SYMBOLS)
    heads = {"kernel": kernel.reshape(SLOTS * SYMBOLS, -1), "bias": np.zeros(LAGS * SYMBOLS)}
    return question, {"cell": {}, "heads": heads}


@pytest.mark.parametrize("sureness", [0.1, 3.0])
def test_a_register_answers_exactly_and_the_doubt_is_all_that_it_loses(sets, sureness):
    question, params = register_with_exact_heads(sureness)
    scores = jax.jit(lambda params: question.score(params, sets))(params)
    doubt = 1 / (STREAMS * len(SMALL.asked))
    lost = -np.log2(1 - doubt + doubt / SYMBOLS)
    for of_set in (scores.validation, scores.final):
        bits = np.log2(SYMBOLS) - np.asarray(of_set) / np.log(2)
        assert bits[: SLOTS - 1] == pytest.approx(4 - lost, abs=1e-4)
        assert bits[SLOTS - 1 :] == pytest.approx(0, abs=1e-4)


def test_right_answers_by_steps_are_counted_for_each_k_and_equal_those_of_the_scan():
    question = ByKey(build("block:gru", {"features": 16, "width": 8}), SMALL, KMAX)
    params = question.init_params(KEY)
    drawn = question.draw_sets(0, WEIGHTS)
    assert drawn.final.tokens.shape == (3, RECALLS, 3 * KMAX + 3)  # K = 2, 3, 4
    assert drawn.final.scored.sum((1, 2)).tolist() == [2 * RECALLS, 3 * RECALLS, 4 * RECALLS]
    scores = jax.jit(lambda p: question.score(p, drawn))(params)
    by_scan = jax.jit(lambda tokens: jax.lax.map(lambda x: question.logits(params, x), tokens))
    for of_set, counts in ((drawn.validation, scores.validation), (drawn.final, scores.final)):
        right = (by_scan(of_set.tokens).argmax(-1) == of_set.targets) & of_set.scored
        assert counts.tolist() == right.sum((1, 2)).tolist()
    assert scores.bytes == 4 * 16  # as carried, less the convolution of the block
    accuracy = scores.validation.sum() / (9 * RECALLS)
    assert scores.accuracy == pytest.approx(float(accuracy))
    assert question.scan_accuracy(params, drawn) == pytest.approx(float(accuracy))


def test_a_score_keeps_the_states_that_are_asked_and_not_those_of_all_steps(sets):
    """Of three sets; beside them there are their standardised copies, and the logits."""
    question = ByLag(build("echo_jax.cells.known_memory:RingReservoir", {"features": 2000}), SMALL)
    params = jax.eval_shape(lambda: question.init_params(KEY))
    score = jax.jit(question.score).lower(params, sets)
    asked = 4 * question.numbers * 3 * STREAMS * len(SMALL.asked)
    scratch = score.compile().memory_analysis().temp_size_in_bytes
    assert asked < scratch < 4 * asked
