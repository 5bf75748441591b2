import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.memory.by_lag.lag_measurement import draw_streams, earlier_tokens
from echo_jax.memory.protocol import STANDARD
from echo_jax.memory.tasks.by_key import Pairs, draw_pairs, recall

KMAX = 6


@pytest.fixture(scope="module")
def pairs():
    """400 rows of up to 6 pairs."""
    return jax.jit(draw_pairs, static_argnums=(0, 2, 3))(STANDARD, jax.random.key(3), 400, KMAX)


def test_the_worked_example_by_key():
    """Of three pairs two are shown; the second of them is asked first, as 0.2 is below 0.7."""
    drawn = Pairs(*map(jnp.array, ([[3, 0, 9]], [[1, 1, 5]], [[0.7, 0.2, 0.1]], [0.0])))
    asked = recall(STANDARD, drawn, jnp.array([2]), fillers=3)
    assert asked.tokens[0, :9].tolist() == [3, 65, 0, 65, 128, 128, 128, 0, 3]
    assert asked.targets[0, 7:9].tolist() == [1, 1]
    assert asked.scored[0].tolist() == [False] * 7 + [True] * 2 + [False] * 3


def test_each_lag_asks_for_the_token_so_many_steps_back_and_for_no_later_one():
    """The tokens are their steps here."""
    steps = earlier_tokens(STANDARD, np.arange(93)[None])[0]
    assert steps.shape == (8, 64)
    for row, asked in zip(steps, range(64, 96, 4), strict=True):
        assert row.tolist() == [asked - n for n in range(1, 65)]
    assert steps.min() == 0


def test_rows_of_one_batch_may_have_different_numbers_of_pairs(pairs):
    counts = np.arange(400) % KMAX + 1
    cut = jax.jit(recall, static_argnums=(0, 3))(STANDARD, pairs, jnp.array(counts), 1)
    for row, count in enumerate(counts[: 3 * KMAX]):
        keys, values, order = (np.asarray(x)[row][:count] for x in pairs[:3])
        shown = [token for k, v in zip(keys, values, strict=True) for token in (k, 64 + v)]
        asked = sorted(range(count), key=lambda i, order=order: order[i])
        tokens = [*shown, 128, *keys[asked]]
        assert cut.tokens[row, : len(tokens)].tolist() == tokens
        assert np.asarray(cut.targets)[row][cut.scored[row]].tolist() == values[asked].tolist()


@pytest.mark.parametrize("name", ["keys", "values"])
def test_keys_and_values_are_uniform(pairs, name):
    counts = np.bincount(np.asarray(getattr(pairs, name)).ravel(), minlength=64)
    expected = 400 * KMAX / 64
    assert len(counts) == 64
    assert np.sum((counts - expected) ** 2) / expected < 63 + 5 * np.sqrt(2 * 63)


def test_every_pair_may_be_asked_first(pairs):
    first = collections.Counter(np.asarray(pairs.order).argmin(1).tolist())
    assert sorted(first) == list(range(KMAX))
    assert max(first.values()) < 2 * min(first.values())


def test_places_are_uniform_and_say_nothing_of_the_order(pairs):
    place = np.asarray(pairs.place)
    assert np.isin(place, pairs.order).mean() < 0.01  # one key for both draws the same numbers
    assert 0 <= place.min() < 0.05
    assert 0.95 < place.max() < 1
    assert place.mean() == pytest.approx(0.5, abs=4 * 0.29 / 20)


def test_tokens_of_streams_are_uniform_and_independent_of_the_one_before():
    streams = np.asarray(draw_streams(STANDARD, jax.random.key(1), 64))
    assert streams.shape == (64, 93)
    both = np.bincount((16 * streams[:, :-1] + streams[:, 1:]).ravel(), minlength=256)
    expected = both.sum() / 256
    assert len(both) == 256
    assert np.sum((both - expected) ** 2) / expected < 255 + 5 * np.sqrt(2 * 255)
