"""Bits that a passed rung shows, against formulas worked out by hand and against exact memories."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_2_cards import SMALL, lag_rows, missed, run, skipped, wilson

from echo_jax.memory_cards import bits_held
from echo_jax.memory_cards.bits_held import bits_by_key, bits_by_lag, unknown_bits


def entropy(p):
    return 0.0 if p in (0, 1) else -p * math.log2(p) - (1 - p) * math.log2(1 - p)


@pytest.mark.parametrize(
    ("error", "choices", "bits"),
    [
        (0, 2, 0), (0, 16, 0),
        (0.25, 2, 0.811278),  # h(1/4)
        (0.5, 2, 1), (0.9, 2, 1),  # no worse than a guess
        (0.25, 16, 0.811278 + 0.25 * 3.906891),  # h(1/4) + log2(15) / 4
        (15 / 16, 16, 4), (1, 16, 4),
        (0.3, 1, 0),
    ],
)  # fmt: skip
def test_what_fano_leaves_unknown_of_one_of_equally_likely_tokens(error, choices, bits):
    assert unknown_bits(error, choices) == pytest.approx(bits, abs=1e-6)


@pytest.mark.parametrize("choices", [2, 8, 16])
def test_fano_is_met_by_an_error_that_is_any_other_token_with_one_probability(choices):
    """The uncertainty of a symmetric channel, whose wrong answers are all as likely."""
    for error in (0.01, 0.1, 0.4):
        right, wrong = 1 - error, error / (choices - 1)
        left = -right * math.log2(right) - error * math.log2(wrong)
        assert unknown_bits(error, choices) == pytest.approx(left)


def test_bits_by_lag_and_by_key_are_their_formulas():
    assert bits_by_lag(8, 2, 0) == 8
    assert bits_by_lag(8, 16, 0) == 32
    left = entropy(0.01) + 0.01 * math.log2(15)
    assert bits_by_lag(8, 16, 0.01) == pytest.approx(8 * (4 - left))
    assert bits_by_lag(8, 16, 0.01) == pytest.approx(31.041, abs=1e-3)
    # 8 x 7 x 6 x 5 ways to give four of eight values to four keys
    assert bits_by_key(4, 8, 0) == pytest.approx(math.log2(8 * 7 * 6 * 5))
    assert bits_by_key(8, 8, 0) == pytest.approx(math.log2(math.factorial(8)))
    left = entropy(0.1) + 0.1 * math.log2(7)
    assert bits_by_key(4, 8, 0.1) == pytest.approx(math.log2(1680) - 4 * left)
    assert bits_by_key(4, 8, 0.1) == pytest.approx(7.715, abs=1e-3)
    assert bits_by_lag(0, 2, 0) == bits_by_key(0, 8, 0) == 0


@given(st.floats(0, 1), st.integers(1, 200), st.sampled_from([2, 16]), st.integers(1, 8))
def test_bits_are_never_negative_and_never_more_than_was_asked_for(error, lag, vocab, keys):
    assert 0 <= bits_by_lag(lag, vocab, error) <= lag * math.log2(vocab) + 1e-9
    assert 0 <= bits_by_key(keys, 8, error) <= math.log2(math.perm(8, keys)) + 1e-9


@given(st.floats(0, 0.4), st.floats(0, 0.4))
def test_fewer_errors_show_no_fewer_bits(one, other):
    low, high = sorted((one, other))
    assert bits_by_lag(8, 2, low) >= bits_by_lag(8, 2, high) - 1e-12
    assert bits_by_key(4, 8, low) >= bits_by_key(4, 8, high) - 1e-12


def test_a_huge_number_of_keys_takes_no_time():
    assert bits_by_key(2**52, 2**53, 0.0) > 2**52
    assert bits_by_key(16, 32, 0) == pytest.approx(math.log2(math.perm(32, 16)), rel=1e-12)


def known_answers(steps, kept, rng):
    """The state of a memory of `kept` steps, of which one bit in twenty is lost, and the past."""
    past = rng.integers(0, 2, (4000, steps))
    state = past[:, :kept] ^ (rng.random((4000, kept)) < 0.05)
    return state, past


def test_a_memory_of_n_steps_shows_at_most_what_it_holds():
    """Of n independent bits, each lost with probability e, a state holds n (1 - h(e))."""
    state, past = known_answers(10, 6, np.random.default_rng(0))
    wrong = int(np.sum(state != past[:, :6]))
    shown = bits_by_lag(6, 2, wilson(wrong, state.size))
    assert 6 * (1 - entropy(0.055)) < shown < 6 * (1 - entropy(0.05))
    assert bits_by_lag(6, 2, 0) == 6


def test_the_error_is_the_upper_limit_of_the_confirmation():
    # lag 4: 64 sequences of 48 steps, 44 answers each; confirmed on twice as many
    asked = 2 * 64 * 44
    assert bits_held.upper_error(run(4, 0), SMALL) == pytest.approx(wilson(0, asked))
    assert wilson(0, asked) == pytest.approx(1.96**2 / (asked + 1.96**2))
    row = run(4, 0, share=0.9925)
    wrong = round(0.0075 * asked)
    assert bits_held.upper_error(row, SMALL) == pytest.approx(wilson(wrong, asked))
    again = row | {"accuracy": [0.995, 0.9925], "confirmed": [[0, 0.95], [1, 0.9925]]}
    assert bits_held.upper_error(again, SMALL) == bits_held.upper_error(row, SMALL)


@pytest.mark.parametrize(
    ("row", "asked", "bits_of"),
    [
        (run(4, 0), 2 * 64 * 44, lambda e: bits_by_lag(4, 2, e)),
        (run(2, 0, "hold-2"), 2 * 2048, lambda e: bits_by_lag(1, 2, e)),
        (run(6, 0, "key-16"), 2 * 2 * 171 * 6, lambda e: bits_by_key(6, 8, e)),
    ],
)
def test_a_run_shows_the_bits_of_what_its_task_asks_for_at_one_time(row, asked, bits_of):
    assert bits_held.held_by(row, SMALL) == pytest.approx(bits_of(wilson(0, asked)))


def test_a_ladder_shows_the_bits_of_the_last_rung_that_each_seed_climbed_to():
    raw = [*lag_rows(), run(8, 1)]  # above a miss: it does not count
    found = bits_held.of_ladder(raw, "lag-2", SMALL)
    error = wilson(0, 2 * 64 * 42), wilson(0, 2 * 64 * 44)
    assert found == pytest.approx([bits_by_lag(6, 2, error[0]), bits_by_lag(4, 2, error[1])])
    assert bits_held.of_ladder(missed(1, 0), "lag-2", SMALL) == [0]
    cut = [skipped(1), missed(2, 0)[0]]
    assert bits_held.of_ladder(cut, "lag-2", SMALL) == [0]
