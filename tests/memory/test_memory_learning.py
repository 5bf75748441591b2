import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.block import Block
from echo_jax.cells.registry import build
from echo_jax.cells.vector_state.exprnn import ExpRNNCell
from echo_jax.memory.by_key import ByKey
from echo_jax.memory.by_lag import ByLag, standardised
from echo_jax.memory.protocol import STANDARD, Protocol

KMAX = 5
SHORT = Protocol(updates=20, updates_at_once=10, rows=4)


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


class PreparedForEachPart(ExpRNNCell):
    prepared_once = False


def test_a_cell_that_is_prepared_once_an_update_has_the_gradient_of_one_prepared_for_each_part():
    def gradient(cell):
        question = ByLag(Block(cell), SHORT)
        params = question.init_params(jax.random.key(1))
        return jax.tree.leaves(jax.jit(jax.grad(question.loss))(params, jax.random.key(2), 0.0))

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
    question = ByLag(build("simple", {"features": 3}), SHORT)
    params = question.init_params(jax.random.key(1))
    streams = question.draw(jax.random.key(2))
    changed = streams.at[0, 70].set((streams[0, 70] + 1) % 16)
    states = jax.jit(question.states)
    away = np.abs(states(params, changed) - states(params, streams)).max(-1)
    assert away.shape == (4, len(STANDARD.asked))
    assert (away[1:] == 0).all()
    assert (away[0] > 0).tolist() == [step >= 70 for step in STANDARD.asked]
