"""Each task against its definition in plain Python, and what can be known of it without memory."""

import jax
import numpy as np
import pytest

from echo_jax.memory_benchmark import protocol, tasks
from echo_jax.memory_benchmark.protocol import BLOCK_LADDERS, CELL_FULL, CELL_LADDERS, to_dict
from echo_jax.memory_benchmark.tasks import alphabet, classes

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
