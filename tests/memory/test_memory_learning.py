import math

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from echo_jax.cells.block import Block, flat_state
from echo_jax.cells.registry import build
from echo_jax.cells.vector_state import exprnn
from echo_jax.memory.by_key import ByKey
from echo_jax.memory.by_lag import ByLag, standardised
from echo_jax.memory.protocol import STANDARD, Protocol

KMAX = 5
SHORT = Protocol(updates=20, updates_at_once=10, rows=4)
FEW_LAGS = msgspec.structs.replace(SHORT, lags=6, asked_steps=3)


class KnowsValues(ByKey):
    """Answers each question rightly where its parameter is 1, wrongly where it is -1."""

    def logits(self, params, tokens):
        same = (tokens[:, :, None] == tokens[:, None, :-1]) & (tokens[:, None, 1:] >= 64)
        place = jnp.argmax(same, axis=-1)
        return params * jax.nn.one_hot(jnp.take_along_axis(tokens, place + 1, 1) - 64, 64)


@pytest.fixture(scope="module")
def knows():
    return KnowsValues(build("simple", {"features": 2}), STANDARD, KMAX)


def test_the_loss_by_key_is_the_mean_over_all_questions(knows):
    """Logits of 1 and 0: the target has probability e / (e + 63) at every question."""
    loss = jax.jit(knows.loss)(1.0, jax.random.key(0), 0.3)
    assert loss == pytest.approx(math.log(math.e + 63) - 1, rel=1e-5)


def test_the_right_answers_about_4_pairs_are_counted(knows):
    assert [int(knows.associated(params, 0)) for params in (1.0, -1.0)] == [256 * 4, 0]


def loss_and_gradient(cell):
    question = ByLag(cell, FEW_LAGS)
    params = question.init_params(jax.random.key(1))
    return jax.jit(jax.value_and_grad(question.loss))(params, jax.random.key(2), 0.0)


class PreparedForEachPart(exprnn.ExpRNNCell):
    prepared_once = False


@pytest.mark.parametrize("network", [lambda cell: cell, Block], ids=["bare", "block"])
def test_an_exponential_is_taken_once_an_update_and_the_gradient_is_the_same(network, monkeypatch):
    taken, exponential = [], exprnn.exponential
    monkeypatch.setattr(exprnn, "exponential", lambda a: taken.append(a) or exponential(a))
    with jax.enable_x64(True):
        _, once = loss_and_gradient(network(exprnn.ExpRNNCell(4)))
        calls = len(taken)
        _, in_parts = loss_and_gradient(network(PreparedForEachPart(4)))
    assert len(taken) - calls == calls + 1  # that of the first part, and that of the later ones
    for a, b in zip(*map(jax.tree.leaves, (once, in_parts)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14)


def test_a_constant_number_is_standardised_to_0_and_others_by_hand():
    states = jnp.array([[[5.0, 1.0]], [[5.0, 4.0]], [[5.0, 7.0]]])
    by_hand = 3 / math.sqrt(6)
    assert standardised(states, states, 1e-12)[:, 0].tolist() == pytest.approx(
        np.array([[0, -by_hand], [0, 0], [0, by_hand]]), abs=1e-5
    )


def test_a_complex_number_is_two_and_a_convolution_none():
    lru = build("lru", {"features": 4, "state_size": 3})
    state = jnp.array([[1 + 2j, 3 + 4j, 5 + 6j]])
    assert flat_state(lru, state, 1).tolist() == [[1, 3, 5, 2, 4, 6]]
    block = build("block:simple", {"features": 3, "width": 5, "layers": 2})
    state = block.initial_state(block.init(jax.random.key(0), 16), 2, 16)
    cells = [layer._replace(cell=layer.cell + 1 + i) for i, layer in enumerate(state)]
    assert flat_state(block, tuple(cells), 2).tolist() == [[1, 1, 1, 2, 2, 2]] * 2


def test_a_state_tells_nothing_of_later_tokens_or_other_rows():
    question = ByLag(build("simple", {"features": 3}), SHORT)
    params = question.init_params(jax.random.key(1))
    streams = question.draw(jax.random.key(2))
    changed = streams.at[0, 70].set((streams[0, 70] + 1) % 16)
    states = jax.jit(question.states)
    away = np.abs(states(params, changed) - states(params, streams)).max(-1)
    assert away.shape == (4, len(STANDARD.asked))
    assert (away[1:] == 0).all()
    assert (away[0] > 0).tolist() == [step >= 70 for step in STANDARD.asked]
