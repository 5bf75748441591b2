"""The run of a card, joined: blocks, schedule, clipping, final data and standardisation."""

import functools
import hashlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from card_runs import by_key, by_lag, made, run_of
from tiny_memory import NUMBERS

from echo_jax.cells.registry import build
from echo_jax.learner.random_tokens import Purpose, purpose_key
from echo_jax.learner.recalibration import fitted_factors, recalibrated_nats
from echo_jax.memory.by_key.key_measurement import KeyMeasurement
from echo_jax.memory.by_lag.lag_measurement import LagMeasurement, draw_streams, earlier_tokens
from echo_jax.memory.card import train_and_score
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.tasks.by_key import draw_pairs, recall

UPDATES, STREAMS, RECALLS, KMAX = 6, 5, 3, 4
SMALL_NORM = 0.05  # every gradient is above it
SEED, RATE = 3, 0.05
OPTIONS = {"features": 6}

SIZES = {"updates": UPDATES, "updates_at_once": 3, "streams": STREAMS, "recalls": RECALLS}
SIZES |= {"pilot_updates": 3, "budgets": [3]}
PROTOCOL = Protocol(**NUMBERS | SIZES, largest_norm=SMALL_NORM)
HALF = Protocol(**NUMBERS | SIZES | {"updates": UPDATES // 2}, largest_norm=SMALL_NORM)


def row_and_weights(configuration, protocol=PROTOCOL):
    """The row of a run, and the weights that it scored; by lag its scan is right 2 more often."""
    kept, digest, by_scan = [], train_and_score.weights_digest, LagMeasurement.scan_accuracy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_and_score, "weights_digest", lambda p: kept.append(p) or digest(p))
        patch.setattr(LagMeasurement, "scan_accuracy", lambda *of: 2 + by_scan(*of))
        return made(run_of("simple", OPTIONS, configuration, SEED, protocol)), kept[0]


def assert_trained(row, trained, measurement):
    """The weights after all updates and the losses are those of a loop, and Adam of optax."""
    adam = optax.chain(optax.clip_by_global_norm(SMALL_NORM), optax.scale_by_adam(eps=1e-7))
    params = measurement.init_params(purpose_key(SEED, Purpose.WEIGHTS))
    moments, losses = adam.init(params), []

    @jax.jit
    def update(params, moments, i):
        key = jax.random.fold_in(purpose_key(SEED, Purpose.DATA), i)
        value, gradient = jax.value_and_grad(measurement.loss)(params, key, i / UPDATES)
        direction, moments = adam.update(gradient, moments)
        rate = RATE * (1 + jnp.cos(jnp.pi * i / UPDATES)) / 2
        params = jax.tree.map(lambda p, d: p - rate * d, params, direction)
        squares = [jnp.sum(x**2) for x in jax.tree.leaves(gradient)]
        return params, moments, jnp.sqrt(sum(squares)), value

    for i in range(UPDATES):
        params, moments, norm, value = update(params, moments, i)
        assert norm > SMALL_NORM
        losses.append(float(value))
    chex.assert_trees_all_close(trained, params, atol=2e-5)
    assert row.losses == pytest.approx([np.mean(losses[:3]), np.mean(losses[3:])], abs=1e-3)


def keys_of(params):
    """The keys of the data sets; that of the final one is of the SHA-256 of the weights."""
    key = purpose_key(SEED, Purpose.EVALUATION)
    digest = hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(params)))
    words = np.frombuffer(digest.digest(), np.uint32)
    final = functools.reduce(jax.random.fold_in, words, jax.random.fold_in(key, 2))
    return [jax.random.fold_in(key, 0), jax.random.fold_in(key, 1), final]


def test_a_run_by_lag_is_that_of_a_plain_loop_and_its_states_are_standardised_by_calibration():
    row, params = row_and_weights(by_lag(RATE, UPDATES))
    measurement = LagMeasurement(build("simple", OPTIONS), PROTOCOL)
    assert_trained(row, params, measurement)
    sets = [draw_streams(PROTOCOL, key, STREAMS) for key in keys_of(params)]
    calibration, validation, final = (np.asarray(measurement.states(params, x)) for x in sets)

    def examples(states, streams):
        states = (states - calibration.mean((0, 1))) / calibration.std((0, 1))
        targets = earlier_tokens(PROTOCOL, streams)
        logits = states @ params["heads"]["kernel"] + params["heads"]["bias"]
        shape = -1, PROTOCOL.lags, PROTOCOL.symbols
        return logits.reshape(shape), targets.reshape(shape[:2])

    known = examples(calibration, sets[0])
    factors = fitted_factors(*known, PROTOCOL.largest_factor, PROTOCOL.halvings)
    nats = functools.partial(recalibrated_nats, factors, 1 / len(known[0]))
    for found, of in ((row.final, (final, sets[2])), (row.validation, (validation, sets[1]))):
        assert found == pytest.approx(nats(*examples(*of)).mean(0).tolist(), abs=1e-3)
    assert row.difference == pytest.approx(2, abs=1e-6)  # scan less steps, standardised alike


def test_a_run_by_key_is_that_of_a_plain_loop():
    """Also of other updates than the usual: the rate falls and the ramp rises within its own."""
    row, params = row_and_weights(by_key(RATE, UPDATES), HALF)
    measurement = KeyMeasurement(build("simple", OPTIONS), PROTOCOL, KMAX)
    assert_trained(row, params, measurement)
    done = np.arange(UPDATES) / UPDATES
    assert measurement.ramp(done).tolist() == [2, 2, 3, 3, 4, 4]
    pairs = draw_pairs(PROTOCOL, keys_of(params)[2], 3 * RECALLS, KMAX)
    asked = recall(PROTOCOL, pairs, jnp.repeat(jnp.array([2, 3, 4]), RECALLS), fillers=3)
    right = (measurement.logits(params, asked.tokens).argmax(-1) == asked.targets) & asked.scored
    assert row.final == right.reshape(3, -1).sum(1).tolist()


@pytest.mark.parametrize("configuration", [by_lag(3e38, UPDATES), by_key(3e38, UPDATES)])
def test_a_run_whose_loss_is_not_finite_has_no_answers(configuration):
    row = made(run_of("simple", OPTIONS, configuration, SEED, PROTOCOL))
    found = row.validation, row.final, getattr(row, "associated", None)
    assert row.losses == []
    assert (row.updates, found) == (UPDATES, (None,) * 3)
