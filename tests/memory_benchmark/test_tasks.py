"""Each task against its definition in plain Python, and what can be known of it without memory."""

import functools
import itertools

import jax
import numpy as np
import pytest

from echo_jax.memory_benchmark import protocol, tasks
from echo_jax.memory_benchmark.protocol import BLOCK_LADDERS, CELL_FULL, CELL_LADDERS, to_dict
from echo_jax.memory_benchmark.tasks import alphabet, classes, lagged

FIELDS = to_dict(CELL_FULL)
LADDERS = {ladder.name: ladder for ladder in (*BLOCK_LADDERS, *CELL_LADDERS)}
draw = jax.jit(tasks.draw, static_argnums=(0, 2, 4))


def drawn(task, rung, vocab_size, rows, seed=0, length=None):
    """Tokens, targets and where they are scored, as NumPy arrays `[rows, L]`."""
    shape = rows, length or protocol.length(FIELDS, task, rung)
    found = draw(task, jax.random.key(seed), shape, rung, vocab_size)
    tokens, targets, scored = map(np.asarray, found)
    assert tokens.shape == targets.shape == scored.shape == shape
    assert tokens.dtype == targets.dtype == np.int32
    assert 0 <= tokens.min() <= tokens.max() < alphabet(task, vocab_size)
    assert 0 <= targets[scored].min() <= targets[scored].max() < classes(task, vocab_size)
    return tokens, targets, scored


def answers_by_lag(tokens, n, vocab_size):
    return {t: tokens[t - n] for t in range(n, len(tokens))}


def answer_of_hold(tokens, k, vocab_size):
    """The value V + x at the first step; the question 2V after k plain tokens."""
    assert tokens.index(2 * vocab_size) == k + 1
    assert all(x < vocab_size for x in tokens[1 : k + 1])
    return {k + 1: tokens[0] - vocab_size}


def answers_of_marked(tokens, m, vocab_size):
    among = len(tokens) - m
    assert tokens[among:] == [2 * vocab_size] * m
    marked = [x - vocab_size for x in tokens[:among] if x >= vocab_size]
    assert len(marked) == m
    return dict(enumerate(marked, among))


def answers_by_key(tokens, pairs, vocab_size):
    """Keys below V/2, values from V/2 on, each key and each value once; each key asked once."""
    half = vocab_size // 2
    keys, values, asked = tokens[: 2 * pairs : 2], tokens[1 : 2 * pairs : 2], tokens[2 * pairs :]
    assert len({*keys}) == len({*values}) == pairs
    assert max(keys) < half <= min(values)
    assert sorted(asked) == sorted(keys)
    held = dict(zip(keys, values, strict=True))
    return {2 * pairs + i: held[key] - half for i, key in enumerate(asked)}


DEFINITIONS = {
    "lag": answers_by_lag,
    "hold": answer_of_hold,
    "marked": answers_of_marked,
    "key": answers_by_key,
}


@pytest.mark.parametrize("name", LADDERS)
def test_the_targets_are_those_of_the_definition_at_every_rung(name):
    ladder = LADDERS[name]
    for rung in ladder.rungs:
        # lags of up to 200 steps share a program, as a lag may be traced
        length = 600 if ladder.task == "lag" else 202 if ladder.task == "hold" else None
        tokens, targets, scored = drawn(ladder.task, rung, ladder.vocab_size, 3, length=length)
        for row in range(3):
            wanted = DEFINITIONS[ladder.task](tokens[row].tolist(), rung, ladder.vocab_size)
            assert np.flatnonzero(scored[row]).tolist() == sorted(wanted)
            assert targets[row, scored[row]].tolist() == [wanted[t] for t in sorted(wanted)]


CASES = [("lag", 5, 16), ("hold", 3, 2), ("marked", 4, 16), ("key", 6, 16)]


@pytest.mark.parametrize(("task", "rung", "vocab_size"), CASES)
def test_sequences_are_a_function_of_their_key_jitted_or_not(task, rung, vocab_size):
    once, again, other = (drawn(task, rung, vocab_size, 5, seed) for seed in (0, 0, 1))
    shape = 5, protocol.length(FIELDS, task, rung)
    plain = tasks.draw(task, jax.random.key(0), shape, rung, vocab_size)
    for ours, same, unjitted in zip(once, again, plain, strict=True):
        np.testing.assert_array_equal(ours, same)
        np.testing.assert_array_equal(ours, unjitted)
    assert len({row.tobytes() for row in (*once[0], *other[0])}) == 10


@pytest.mark.parametrize(("task", "rung", "vocab_size"), CASES)
def test_every_answer_is_as_likely_whatever_the_token_of_its_step_says(task, rung, vocab_size):
    """By key too, where 1 in M is 2 / V: who does not know which values occurred has no more."""
    tokens, targets, scored = drawn(task, rung, vocab_size, 4096)
    asked, wanted, count = tokens[scored], targets[scored], classes(task, vocab_size)
    for token in np.unique(asked):
        shares = np.bincount(wanted[asked == token], minlength=count) / np.sum(asked == token)
        assert np.all(abs(shares - 1 / count) < 5 * (count * np.sum(asked == token)) ** -0.5)


@pytest.mark.parametrize(("pairs", "vocab_size"), [(2, 16), (6, 16), (16, 64)])
def test_who_knows_which_values_occurred_but_not_where_is_right_once_in_k(pairs, vocab_size):
    """Any guess of one of them is right exactly once a sequence, as each is asked for once."""
    tokens, targets, scored = drawn("key", pairs, vocab_size, 512)
    wanted = targets[scored].reshape(512, pairs)
    for place in range(pairs):
        guess = tokens[:, 2 * place + 1] - vocab_size // 2
        right = np.mean(wanted == guess[:, None])
        assert right == pytest.approx(protocol.floor_of("key", vocab_size, pairs))
    # which pair is asked for first cannot be known, so no other guess is better
    keys = tokens[:, : 2 * pairs : 2]
    first = np.argmax(keys == tokens[:, 2 * pairs, None], axis=1)
    shares = np.bincount(first, minlength=pairs) / 512
    assert np.all(abs(shares - 1 / pairs) < 5 * (pairs * 512) ** -0.5)


def test_marked_places_are_anywhere_and_all_sets_of_them_as_likely():
    tokens, _, _ = drawn("marked", 4, 16, 4096)
    is_marked = (tokens[:, :40] >= 16).astype(float)
    np.testing.assert_allclose(is_marked.mean(axis=0), 4 / 40, atol=5 * 0.3 / 64)
    together = is_marked.T @ is_marked / 4096
    off = together[~np.eye(40, dtype=bool)]
    np.testing.assert_allclose(off, 4 * 3 / (40 * 39), atol=6 * 0.09 / 64)


def test_distractors_and_unmarked_tokens_say_nothing_of_the_answers():
    tokens, targets, _ = drawn("hold", 3, 2, 4096)
    for step in (1, 2, 3):
        assert abs(np.mean(tokens[:, step] == targets[:, 4]) - 0.5) < 0.04  # 5 standard errors
    tokens, targets, _ = drawn("marked", 4, 16, 2048)
    plain = np.where(tokens[:, :40] < 16, tokens[:, :40], -1)
    agree = np.mean(plain[:, :, None] == targets[:, None, 40:], axis=0)
    np.testing.assert_allclose(agree, 36 / 40 / 16, atol=6 * 0.23 / 45)


def test_different_numbers_are_drawn_and_every_order_is_as_likely():
    some = jax.jit(functools.partial(tasks.some_of, rows=6000, things=4, count=3))
    orders = [tuple(row) for row in np.asarray(some(jax.random.key(5))).tolist()]
    expected = set(itertools.permutations(range(4), 3))
    assert set(orders) == expected
    for order in expected:
        assert abs(orders.count(order) - 250) < 5 * 250**0.5


@pytest.mark.parametrize("lag", [0, 1, 5, 12])
def test_a_lag_may_be_traced_and_is_the_same_for_every_axis(lag):
    tokens = np.arange(36).reshape(3, 12)
    before, there = map(np.asarray, jax.jit(lagged)(tokens, np.int32(lag)))
    np.testing.assert_array_equal(before[:, lag:], tokens[:, : 12 - lag])
    assert there.tolist() == [step >= lag for step in range(12)]


def test_the_alphabet_has_room_for_marks_and_a_question_and_answers_are_values():
    assert [alphabet(task, 16) for task in ("lag", "hold", "marked", "key")] == [16, 33, 33, 16]
    assert [classes(task, 16) for task in ("lag", "hold", "marked", "key")] == [16, 16, 16, 8]
