import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells import known_memory
from echo_jax.cells.block import Block
from echo_jax.cells.state_numbers import state_bytes
from echo_jax.memory.by_key.key_measurement import KeyMeasurement
from echo_jax.memory.by_key.key_rows_and_bits import accuracy_of_list
from echo_jax.memory.protocol import STANDARD, Protocol
from echo_jax.memory.tasks import by_key


def test_attention_is_shared_among_the_inputs_so_far_and_the_present_one_always_has_some():
    params = known_memory.CacheParams(
        W_c=np.eye(2), W_q=np.zeros((2, 2)), W_v=np.eye(2), b=np.zeros(3)
    )
    cell = known_memory.AttentionCache(2, slots=2, size=2)
    xs = np.float32([[0, 0], [6, 0], [0, 12], [24, 0], [0, 0], [0, 0], [0, 0]])[:, None]

    @jax.jit
    def run(params, xs):
        return cell.scan(params, cell.initial_state(params, 1, 2), xs)[1]

    expected = [[0, 0], [6, 0], [3, 6], [10, 4], [8, 4], [12, 0], [0, 0]]
    np.testing.assert_allclose(np.asarray(run(params, xs))[:, 0], expected, atol=1e-5)


def test_what_first_weights_hold_is_what_the_untrained_lstm_holds():
    cell = known_memory.FirstWeights(6)
    first = jax.jit(cell.init, static_argnums=1)(jax.random.key(0), 4)
    trained = first | {"trained": jax.tree.map(lambda x: 2 * x, first["trained"])}
    xs = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)

    @jax.jit
    def run(params):
        return cell.scan(cell.prepare(params), cell.initial_state(params, 3, 4), xs)

    (carry, outputs), (same, others) = run(first), run(trained)
    lstm = jax.jit(cell.lstm.scan)(first["first"], cell.initial_state(first, 3, 4), xs)
    chex.assert_trees_all_close((carry, outputs), lstm, atol=1e-6)
    chex.assert_trees_all_equal(same, carry)
    assert np.abs(others - outputs).min() > 0
    gradient = jax.jit(jax.grad(lambda params: run(params)[1].sum()))(first)
    assert not any(np.any(x) for x in jax.tree.leaves(gradient["first"]))


PAIRS = STANDARD.pairs
ROWS = 100
REGISTER = known_memory.ProjectedRegister(2, 2, "int8")
RING = known_memory.RingReservoir(2, scale=0.5)
POINTS = [[64, 0, 0, 0], [0, 32, 64, 0], [127, 0, 0, 32], [0, -64, 127, 0]]


@pytest.mark.parametrize(
    ("cell", "inputs", "expected"),
    [(RING, [1, 1, 1], [[-1, 0], [0, -0.5], [0.75, 0]]), (REGISTER, [1, 0.503, -9, 1], POINTS)],
)
def test_designed_projections_are_evenly_placed(cell, inputs, expected):
    xs = jnp.diag(jnp.array(inputs))[:, None]
    params = cell.init(jax.random.key(0), len(inputs))
    _, ys = cell.scan(params, cell.initial_state(params, 1, len(inputs)), xs)
    np.testing.assert_allclose(ys[:, 0], expected, atol=1e-6)


def test_after_the_gap_a_network_without_recurrence_knows_nothing_of_the_pairs():
    """Its convolutions see fillers alone before the first measurement, but where there are none."""
    cell = Block(known_memory.PresentInput(3), width=4, layers=2)  # one layer sees less

    def changes(protocol):
        measurement = KeyMeasurement(cell, protocol, 4)
        params = measurement.init_params(jax.random.key(0))
        rows = measurement.task.draw(jax.random.key(1), 2, "final", 4)
        others = jnp.where(jnp.arange(rows.tokens.shape[1]) < 8, 0, rows.tokens)
        before, after = (measurement.logits(params, x)[:, -4:] for x in (rows.tokens, others))
        return bool((before != after).any())

    assert not changes(STANDARD)
    assert changes(Protocol(fillers=2))


def right(cell):
    """The right answers by key of a cell without weights, a share of each row: `[K, rows]`."""

    def step(state, token):
        state, y = cell.step({}, state, jax.nn.one_hot(token, STANDARD.tokens))
        return state, jnp.argmax(y, axis=-1)

    @jax.jit
    def count(key):
        pairs = jnp.repeat(jnp.array(PAIRS), ROWS)
        asked = by_key.recall(
            STANDARD, by_key.draw_pairs(STANDARD, key, len(pairs), PAIRS[-1]), pairs, 3
        )
        start = cell.initial_state({}, len(pairs), STANDARD.tokens)
        answers = jax.lax.scan(step, start, asked.tokens.T)[1].T
        return jnp.sum((answers == asked.targets) & asked.scored, axis=1)

    return np.asarray(count(jax.random.key(0))).reshape(-1, ROWS) / np.array(PAIRS)[:, None]


def test_a_table_of_65_bytes_answers_every_question_by_key():
    """127 is the largest value of a byte, so the last of 129 values takes four."""
    assert right(known_memory.RecallTable()).min() == 1.0
    sizes = [state_bytes(known_memory.RecallTable(), of) for of in (STANDARD.tokens, 256, 257)]
    assert sizes == [65, 129, 4 * 129]


def test_a_list_of_values_has_the_accuracy_that_is_computed_for_it():
    shares = right(known_memory.ValueList())
    errors = shares.mean(axis=1) - [accuracy_of_list(pairs, STANDARD.values) for pairs in PAIRS]
    assert np.abs(errors / shares.std(axis=1)).max() < 3.5 / ROWS**0.5
