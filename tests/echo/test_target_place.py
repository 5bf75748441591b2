"""The formulas of `target_place`, beside what a network is fed: time stamps in place of numbers.

A sequence is 0, 1, 2, ... The state of the cell is what it was fed: for each time stamp the batch
that fed it last, and the steps since. So a row that asks for x(t-n) was fed it where its state has
the stamp t - n. The gradient reaches it where that batch is one of the last `bptt_batches`, and a
delay line has lost it where the steps are too many.
"""

import collections
import dataclasses
import functools
from typing import NamedTuple, get_args
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_runs import LONGEST, MOST_ROWS, random_runs

from echo_jax.cells.interface import Cell
from echo_jax.config import RunConfig, changed
from echo_jax.echo import data
from echo_jax.echo.network import around, feed, start
from echo_jax.echo.target_place import (
    TargetPlace,
    accuracy_ceiling,
    batches_back,
    knowable_share,
    target_place,
)

MOST_BATCHES = LONGEST + 2  # of a sequence that `longer` makes
TIMES = 24  # of the longest sequence
TOKENS = RunConfig().task.vocab_size + 1  # a missing value is the last one
NOTHING = -1  # in the place of a target
NEVER = 1000  # batches ago, of what was not fed


class Stamps(NamedTuple):
    """The batch that fed each time stamp last, and the steps since, each `[B, TIMES]`."""

    batch: jax.Array
    steps: jax.Array


@dataclasses.dataclass(frozen=True)
class Diary(Cell):
    """A cell that writes down what it is fed: a time stamp, and the number of the batch."""

    def initial_state(self, params, batch_size, input_size):
        return Stamps(*jnp.full((2, batch_size, TIMES), -NEVER))

    def step(self, params, state, x):
        now = x[:, :1] == jnp.arange(TIMES)
        state = Stamps(jnp.where(now, x[:, 1:], state.batch), jnp.where(now, 0, state.steps + 1))
        return state, jnp.stack(state, axis=-1)


DIARY = around(Diary(), TOKENS, TOKENS)._replace(encoding="embedding", input_size=2)


class Sequence(NamedTuple):
    """The batches of a sequence, all padded to one shape `[MOST_BATCHES, MOST_ROWS, LONGEST]`.

    The padding is masked steps before a row, rows and batches after the others.
    """

    stateful: np.ndarray
    inputs: np.ndarray
    mask: np.ndarray
    targets: np.ndarray


def sequence_of(config):
    task = config.task
    tokens = np.arange(task.length)
    if task.layout == "streams":
        tokens = np.tile(tokens, (task.batch_size, 1))
    with mock.patch.object(data, "jnp", np):  # which compiles nothing for a new shape
        batch = data.sequence_batches(tokens, task, task.lag)
    mask = np.ones(batch.inputs.shape, bool) if batch.mask is None else batch.mask
    scored = np.ones(batch.targets.shape, bool) if batch.scored is None else batch.scored
    targets = np.where(scored, batch.targets, NOTHING)

    def padded(values, nothing):
        shape = (MOST_BATCHES, MOST_ROWS, LONGEST)
        batches, rows, steps = np.subtract(shape, values.shape)
        return np.pad(values, [(0, batches), (0, rows), (steps, 0)], constant_values=nothing)

    return Sequence(
        np.array(config.network.stateful),
        padded(batch.inputs, 0), padded(mask, False), padded(targets, NOTHING),
    )  # fmt: skip


@jax.jit
@jax.vmap
def read(sequence):
    """Of each target the batches since it was fed, NEVER or more if it was not; the steps since."""
    stamps = jnp.arange(TOKENS)

    def step(carry, batch):
        number, inputs, mask, targets = batch
        table = jnp.stack([stamps, jnp.full(TOKENS, number)], axis=1)
        params = {"cell": {}, "embedding": table}
        carry, fed = feed(DIARY, sequence.stateful, params, carry, data.Rows(inputs, mask))
        asked = jnp.maximum(targets.T, 0)[..., None, None]
        batch, steps = jnp.moveaxis(jnp.take_along_axis(fed.outputs, asked, 2)[:, :, 0], -1, 0)
        return carry, (number - batch.T, steps.T)

    first = start(changed(RunConfig(), batch_size=MOST_ROWS), DIARY, {"cell": {}})
    return jax.lax.scan(step, first, (jnp.arange(MOST_BATCHES), *sequence[1:]))[1]


class Found(NamedTuple):
    """Of all targets of a sequence: the batches and the steps since each was fed."""

    batches: np.ndarray
    steps: np.ndarray


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
    configs = [each for config in random_runs() for each in (config, longer(config))]
    sequences = [sequence_of(config) for config in configs]
    answers = read(jax.tree.map(lambda *leaves: np.stack(leaves), *sequences))
    found = [
        Found(batches[each.targets != NOTHING], steps[each.targets != NOTHING])
        for each, batches, steps in zip(sequences, *map(np.asarray, answers), strict=True)
    ]
    return list(zip(random_runs(), found[::2], found[1::2], strict=True))


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
