import contextlib
import itertools
import math

import chex
import jax
import numpy as np
import pytest
from drawn import network_of

from echo_jax.config import RunConfig, TaskConfig
from echo_jax.echo import data as t
from echo_jax.exceptions import ConfigError
from echo_jax.learner import network, random_tokens

jitted_batches = jax.jit(t.sequence_batches, static_argnums=1)
draw_sequences = jax.jit(t.draw_sequences, static_argnums=(1, 3))


def distinct_tokens(*shape):
    """Tokens that differ at every step, so that no wrong index goes unseen."""
    return np.random.default_rng(0).permutation(math.prod(shape)).reshape(shape).astype(np.int32)


def rows_by_definition(tokens, task):
    """The obvious loop: (window, mask, target) of every row that is kept, in order."""
    viable = []
    for time in range(task.length):
        if task.layout == "windows" and time < task.window - 1:
            continue
        if not 0 <= time - task.lag < task.length:
            continue
        steps = [time - back for back in reversed(range(task.window))]
        window = [tokens[s] if s >= 0 else None for s in steps]
        viable.append((window, [s >= 0 for s in steps], tokens[time - task.lag]))
    kept = len(viable) // task.batch_size * task.batch_size
    return viable[len(viable) - kept :]


def small_tasks(length, layout, missing):
    windows, lags = range(1, length + 1), range(1 - length, length)
    for window, lag, batch_size in itertools.product(windows, lags, (1, 2, 3)):
        with contextlib.suppress(ConfigError):
            yield TaskConfig(length, 99, window, lag, batch_size, layout, missing)


def check_rows(batches, task, tokens):
    expected = rows_by_definition(tokens, task)
    shape = (-1, task.batch_size, task.window)
    seen = np.array([mask for _, mask, _ in expected]).reshape(shape)
    gap = task.vocab_size if task.missing == "token" else 0
    windows = [[gap if x is None else x for x in window] for window, _, _ in expected]
    inputs = np.asarray(batches.inputs)
    inputs = inputs if task.missing == "token" else np.where(seen, inputs, 0)
    np.testing.assert_array_equal(inputs, np.array(windows).reshape(shape))
    targets = np.array([y for *_, y in expected]).reshape(*shape[:2], 1)
    np.testing.assert_array_equal(np.asarray(batches.targets), targets)
    if task.layout == "windows" or task.missing == "token":
        assert batches.mask is None
        assert task.missing == "token" or seen.all()
    else:
        np.testing.assert_array_equal(np.asarray(batches.mask), seen)


@pytest.mark.parametrize(
    "length", [1, 2, 3, *(pytest.param(n, marks=pytest.mark.slow) for n in (4, 5))]
)
@pytest.mark.parametrize(
    ("layout", "missing"), [("windows", "masked"), ("prefixes", "masked"), ("prefixes", "token")]
)
def test_rows_are_those_of_the_definition_for_every_small_task(layout, missing, length):
    """A program for each number of batches, whatever the lag, serves many seeds, and no more."""
    tokens, programs = distinct_tokens(length), set()
    for task in small_tasks(length, layout, missing):
        shapes = RunConfig(task).static_config.task
        check_rows(jitted_batches(tokens, shapes, np.int32(task.lag)), task, tokens)
        sizes = task.window, task.batch_size, task.updates_per_sequence
        programs.add((sizes, shapes))
    assert len({sizes for sizes, _ in programs}) == len(programs)


@pytest.mark.parametrize("lag", range(-6, 7))
@pytest.mark.parametrize("window", [1, 3, 7])
def test_streams_have_a_target_at_every_step_that_has_one(window, lag):
    """One program for all lags: what every program of many seeds relies on."""
    task = TaskConfig(7, 99, window, lag, 2, "streams")
    tokens = distinct_tokens(2, 7)
    batches = jitted_batches(tokens, RunConfig(task).static_config.task, lag)
    batches = jax.tree.map(np.asarray, batches)
    chex.assert_shape(batches.inputs, (task.updates_per_sequence, 2, window))
    for k, b, w in np.ndindex(*batches.inputs.shape):
        time = k * window + w
        has_target = time < 7 and 0 <= time - lag < 7
        assert batches.scored[k, b, w] == has_target
        if time < 7:
            assert batches.inputs[k, b, w] == tokens[b, time]
        if has_target:
            assert batches.targets[k, b, w] == tokens[b, time - lag]


def test_sequences_are_uniform_and_independent_of_each_other():
    tokens = draw_sequences(
        0, random_tokens.Purpose.DATA, np.arange(4000), TaskConfig(vocab_size=10)
    )
    chex.assert_shape(tokens, (4000, 25))
    tokens = np.asarray(tokens)
    counts = np.bincount(tokens.ravel(), minlength=10)
    chi_square = np.sum((counts - 10_000) ** 2 / 10_000)
    assert chi_square < 33.7  # 9 degrees of freedom, p = 1e-4
    pairs = np.bincount((tokens[:, 1:] * 10 + tokens[:, :-1]).ravel(), minlength=100)
    assert np.sum((pairs - 960) ** 2 / 960) < 161  # 99 degrees of freedom, p = 1e-4


def test_the_numbers_of_a_seed_are_those_of_every_version():
    """Committed results rest on them: another generator or another order of draws changes all."""
    tokens = np.asarray(draw_sequences(0, random_tokens.Purpose.DATA, np.arange(2), TaskConfig()))
    assert tokens[:, :6].tolist() == [[23, 16, 43, 7, 23, 26], [14, 86, 68, 63, 43, 91]]
    tokens = np.asarray(
        draw_sequences(7, random_tokens.Purpose.EVALUATION, np.arange(1), TaskConfig())
    )
    assert tokens[:, :6].tolist() == [[68, 43, 69, 14, 10, 22]]
    net = network_of(RunConfig())
    init = jax.jit(
        lambda: network.init_params(
            net, random_tokens.purpose_key(0, random_tokens.Purpose.WEIGHTS)
        )
    )
    cell = jax.tree.map(np.asarray, init()["cell"])
    assert float(cell["kernel"][0, 3]) == pytest.approx(0.0278468, rel=1e-5)
    assert float(cell["recurrent_kernel"][0, 3]) == pytest.approx(0.106148, rel=1e-4)
