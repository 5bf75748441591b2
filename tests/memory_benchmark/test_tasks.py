import jax
import numpy as np
import pytest

from echo_jax.memory_benchmark.tasks import alphabet, draw, lagged


@pytest.mark.parametrize("lag", [0, 1, 2, 5, 11, 12])
def test_the_target_of_a_stream_is_the_token_so_many_steps_before(lag):
    drawn = jax.jit(draw, static_argnums=(0, 2, 4))("stream", jax.random.key(1), (4, 12), lag, 5)
    tokens, targets, scored = map(np.asarray, drawn)
    for step in range(12):
        assert scored[:, step].tolist() == [step >= lag] * 4
        if step >= lag:
            np.testing.assert_array_equal(targets[:, step], tokens[:, step - lag])


@pytest.mark.parametrize("distractors", [1, 3, 8])
def test_a_hold_sequence_shows_a_value_and_asks_for_it_behind_its_distractors(distractors):
    drawn = jax.jit(draw, static_argnums=(0, 2, 4))(
        "hold", jax.random.key(2), (64, 12), distractors, 3
    )
    tokens, targets, scored = map(np.asarray, drawn)
    asked = distractors + 1
    assert set(tokens[:, 0]) == {3, 4, 5}
    assert set(tokens[:, 1:asked].ravel()) == {0, 1, 2}
    assert set(tokens[:, asked]) == {6}
    np.testing.assert_array_equal(targets[:, asked], tokens[:, 0] - 3)
    assert scored.sum(axis=0).tolist() == [64 * (step == asked) for step in range(12)]
    assert tokens.max() < alphabet("hold", 3)


def test_distractors_say_nothing_of_the_value():
    drawn = jax.jit(draw, static_argnums=(0, 2, 4))("hold", jax.random.key(3), (4096, 6), 3, 2)
    tokens, targets, _ = map(np.asarray, drawn)
    for step in (1, 2, 3):
        together = np.mean(tokens[:, step] == targets[:, 4])
        assert abs(together - 0.5) < 0.04  # five standard errors


def test_a_lag_may_be_traced_and_is_the_same_for_every_axis():
    tokens = np.arange(24).reshape(2, 3, 4)
    before, there = map(np.asarray, jax.jit(lagged)(tokens, np.int32(2)))
    np.testing.assert_array_equal(before[..., 2:], tokens[..., :2])
    assert there.tolist() == [False, False, True, True]
