"""The example in one file draws what the tutorial draws, and learns it, with every seed."""

import re

import echo_in_100_lines as example
import jax
import numpy as np
import pytest

draw_batches = jax.jit(example.draw_batches)


def test_a_sequence_is_cut_into_twenty_windows_each_with_the_integer_before_its_last():
    windows, answers = jax.tree.map(np.asarray, draw_batches(jax.random.key(7)))
    assert windows.shape == (4, 5, 5, 100)
    assert (windows.sum(-1) == 1).all()
    rows = windows.argmax(-1).reshape(20, 5)
    assert (rows[1:, :-1] == rows[:-1, 1:]).all()
    assert (answers.ravel() == rows[:, -2]).all()
    assert len(np.unique(rows)) > 10


def test_the_state_goes_on_from_batch_to_batch_and_is_zero_where_a_sequence_starts():
    params, moments = jax.jit(example.init)(jax.random.key(0))
    windows, answers = jax.tree.map(np.asarray, draw_batches(jax.random.key(1)))
    network, zero = jax.jit(example.network), example.zero_state()
    first, logits = jax.tree.map(np.asarray, network(params, zero, windows[0]))
    carry, _ = jax.jit(example.update)((params, moments, zero), (windows[0], answers[0]))
    assert jax.tree.all(jax.tree.map(np.allclose, carry[2], first))

    _, predicted = example.predict(params, jax.random.key(1))
    assert (predicted[:5] == logits.argmax(-1)).all()
    _, logits = network(params, first, windows[1])
    assert (predicted[5:10] == logits.argmax(-1)).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_example_learns(capsys, seed):
    example.main(seed=seed, sequences=2000)
    *_, score = capsys.readouterr().out.splitlines()
    found = re.fullmatch(r"1,000 fresh sequences: (\d+\.\d\d)% right \(chance: 1%\)", score)
    assert float(found[1]) >= 99
