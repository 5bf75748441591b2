"""The formulas of `target_place`, beside what a network is fed: time stamps in place of numbers.

A sequence is 0, 1, 2, ... The state of a row is what it was fed: for each time stamp the batch
that fed it last, and the steps since. So a row that asks for x(t-n) was fed it where its state has
the stamp t - n. The gradient reaches it where that batch is one of the last `bptt_batches`, and a
delay line has lost it where the steps are too many. `test_carried_state` and
`test_token_by_token` test that a network is fed so.
"""

import collections
import functools
from typing import NamedTuple, get_args
from unittest import mock

import numpy as np
import pytest
from random_runs import random_runs

from echo_jax.config import changed
from echo_jax.echo import data
from echo_jax.echo.target_place import (
    TargetPlace,
    accuracy_ceiling,
    batches_back,
    knowable_share,
    target_place,
)

TIMES = 24  # of the longest sequence
NEVER = 1000  # batches ago, of what was not fed


class Found(NamedTuple):
    """Of all targets of a sequence: the batches since each was fed, and the steps."""

    batches: np.ndarray
    steps: np.ndarray


def fed_to(config):
    """What each target of a sequence was fed, NEVER or more batches ago if it was not."""
    task, rows, found = config.task, np.arange(config.task.batch_size), []
    tokens = np.arange(task.length)
    if task.layout == "streams":
        tokens = np.tile(tokens, (task.batch_size, 1))
    with mock.patch.object(data, "jnp", np):  # which compiles nothing for a new shape
        batch = data.sequence_batches(tokens, task, task.lag)
    mask = np.ones(batch.inputs.shape, bool) if batch.mask is None else batch.mask
    scored = np.ones(batch.targets.shape, bool) if batch.scored is None else batch.scored
    first = batch.inputs.shape[2] - batch.targets.shape[2]  # step that is asked
    for number, inputs in enumerate(batch.inputs):
        if number == 0 or not config.network.stateful:
            last, since = np.full((2, task.batch_size, TIMES), -NEVER)
        for step, fed_now in enumerate(inputs.T):
            seen = mask[number, :, step, None]
            now = seen & (fed_now[:, None] == np.arange(TIMES))
            last, since = np.where(now, number, last), np.where(now, 0, since + seen)
            if step >= first:
                asked = rows[scored[number, :, step - first]]
                at = asked, batch.targets[number, asked, step - first]
                found.append((number - last[at], since[at]))
    return Found(*map(np.concatenate, zip(*found, strict=True)))


def longer(config):
    """The run with sequences so long that a row continues one that ends before x(t-n)."""
    task = config.task
    if task.lag < 0:
        return config
    length = (task.lag // task.batches_apart + 2) * task.batches_apart
    if task.layout != "streams":
        length += task.target_times.start
    return changed(config, length=max(length, task.length))


@functools.cache
def fed():
    """What the targets of each run were fed, in its sequences and in longer ones."""
    return [(config, fed_to(config), fed_to(longer(config))) for config in random_runs()]


def reach(config):
    """The steps that a cell remembers: all, or of an mlp those in its delay line."""
    line = config.network.delay_line or config.task.window
    return line if config.network.cell == "mlp" else np.inf


def known(config, found):
    """True for each target that was fed, and is remembered."""
    return (found.batches < NEVER) & (found.steps < reach(config))


def place_of(config, found, in_longer):
    """The place of the target by what was fed; in longer sequences nothing is too early."""
    if known(config, found).any():
        back = found.batches[known(config, found)].min()
        if back == 0:
            return "window"
        return "replayed" if back < config.training.bptt_batches else "state"
    if config.task.lag < 0:
        return "future"
    ever = in_longer.batches < NEVER
    steps = in_longer.steps[ever].min() if ever.any() else config.task.lag
    if steps >= reach(config):
        return "delayed"
    if ever.any():
        return "early"
    return "skipped" if config.network.stateful else "zeroed"


def test_the_place_of_the_target_is_where_it_was_fed():
    places = collections.Counter()
    for config, *found in fed():
        place = place_of(config, *found)
        assert target_place(config) == place, config
        places[place] += 1
    assert set(places) == set(get_args(TargetPlace))
    assert min(places.values()) > 20


def test_the_batches_back_are_those_since_the_target_was_fed():
    for config, _, in_longer in fed():
        back = in_longer.batches[in_longer.batches < NEVER]
        assert len(back) == 0 or batches_back(config) == back.min(), config


def test_the_share_that_can_be_known_and_the_ceiling_are_those_of_the_targets_that_were_fed():
    for config, found, _ in fed():
        right = np.where(known(config, found), 1.0, 0.25)  # a guess among four
        assert knowable_share(config) == pytest.approx(np.mean(right == 1)), config
        assert accuracy_ceiling(config, 0.25) == pytest.approx(np.mean(right)), config
