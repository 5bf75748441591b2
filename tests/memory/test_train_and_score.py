"""The run of a card, joined: blocks, schedule, clipping, final data and standardisation."""

import functools
import hashlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from card_runs import made, run_of
from tiny_memory import NUMBERS

from echo_jax.cells.registry import build
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.core.recalibration import fitted_factors, recalibrated_nats
from echo_jax.memory import scoring, train_and_score
from echo_jax.memory.by_key import ByKey
from echo_jax.memory.by_lag import ByLag, draw_streams, earlier_tokens
from echo_jax.memory.learning import Level, RunInputs
from echo_jax.memory.protocol import Protocol, Recipe
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
    kept, digest, by_scan = [], train_and_score.weights_digest, ByLag.scan_accuracy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_and_score, "weights_digest", lambda p: kept.append(p) or digest(p))
        patch.setattr(ByLag, "scan_accuracy", lambda *of: 2 + by_scan(*of))
        return made(run_of("simple", OPTIONS, configuration, SEED, protocol)), kept[0]


def in_plain_python(question, ramp):
    """The weights and the level after all updates, and the losses: a loop, and Adam of optax."""
    adam = optax.chain(optax.clip_by_global_norm(SMALL_NORM), optax.scale_by_adam(eps=1e-7))
    params = question.init_params(purpose_key(SEED, Purpose.WEIGHTS))
    moments, level = adam.init(params), Level(jnp.int32(2), jnp.float32(0))
    run = RunInputs(SEED, RATE, UPDATES, ramp)
    losses = []

    @jax.jit
    def update(params, moments, level, i):
        key = jax.random.fold_in(purpose_key(SEED, Purpose.DATA), i)
        loss = lambda p: question.loss(p, key, level, run, i / UPDATES)  # noqa: E731
        (value, level), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        direction, moments = adam.update(gradient, moments)
        rate = RATE * (1 + jnp.cos(jnp.pi * i / UPDATES)) / 2
        params = jax.tree.map(lambda p, d: p - rate * d, params, direction)
        squares = [jnp.sum(x**2) for x in jax.tree.leaves(gradient)]
        return params, moments, level, jnp.sqrt(sum(squares)), value

    for i in range(UPDATES):
        params, moments, level, norm, value = update(params, moments, level, i)
        assert norm > SMALL_NORM
        losses.append(float(value))
    return params, level, losses


def keys_of(params):
    """The keys of the data sets; that of the final one is of the SHA-256 of the weights."""
    key = purpose_key(SEED, Purpose.EVALUATION)
    digest = hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(params)))
    words = np.frombuffer(digest.digest(), np.uint32)
    final = functools.reduce(jax.random.fold_in, words, jax.random.fold_in(key, 2))
    return [jax.random.fold_in(key, 0), jax.random.fold_in(key, 1), final]


def test_a_run_by_lag_is_that_of_a_plain_loop_and_its_states_are_standardised_by_calibration():
    cell = build("simple", OPTIONS)
    row, params = row_and_weights(PROTOCOL.by_lag(RATE))
    question = ByLag(cell, PROTOCOL)
    expected, _, losses = in_plain_python(question, True)
    chex.assert_trees_all_close(params, expected, atol=2e-5)
    assert row.losses == pytest.approx([np.mean(losses[:3]), np.mean(losses[3:])], abs=1e-3)
    sets = [draw_streams(PROTOCOL, key, STREAMS) for key in keys_of(params)]
    calibration, validation, final = (np.asarray(question.states(params, x)) for x in sets)

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
    rounded_nats = jax.jit(question.rounded_nats)
    for bits, found in zip(PROTOCOL.precisions, row.rounded, strict=True):
        ends = validation.min((0, 1)), validation.max((0, 1))
        rounding = scoring.Rounding(*ends, np.float32(2**bits))
        known = rounded_nats(params, scoring.Sets(*sets), rounding)
        assert found == pytest.approx(known.tolist(), abs=1e-3)
    assert max(np.abs(np.subtract(row.rounded[3], row.final))) > 0.01
    assert row.difference == pytest.approx(2, abs=1e-6)  # scan less steps, standardised alike


def test_a_run_by_key_is_that_of_a_plain_loop_with_its_own_schedule():
    """Also of other updates than the usual: the rate falls and the ramp rises within its own."""
    cell = build("simple", OPTIONS)
    recipe = Recipe("adaptive", RATE)
    row, params = row_and_weights(HALF.by_key(recipe, UPDATES), HALF)
    question = ByKey(cell, PROTOCOL, KMAX)
    expected, level, losses = in_plain_python(question, ramp=False)
    chex.assert_trees_all_close(params, expected, atol=2e-5)
    assert row.level == level.pairs == 2
    assert row.losses == pytest.approx([np.mean(losses[:3]), np.mean(losses[3:])], abs=1e-3)
    assert in_plain_python(question, ramp=True)[1].pairs == KMAX
    pairs = draw_pairs(PROTOCOL, keys_of(params)[2], 3 * RECALLS, KMAX)
    asked = recall(PROTOCOL, pairs, jnp.repeat(jnp.array([2, 3, 4]), RECALLS))
    right = (question.logits(params, asked.tokens).argmax(-1) == asked.targets) & asked.scored
    assert row.final == right.reshape(3, -1).sum(1).tolist()


@pytest.mark.parametrize(
    "configured", [PROTOCOL.by_lag, lambda rate: PROTOCOL.by_key(Recipe("ramp", rate))]
)
def test_a_run_whose_loss_is_not_finite_has_no_answers(configured):
    row = made(run_of("simple", OPTIONS, configured(3e38), SEED, PROTOCOL))
    found = (
        row.validation,
        row.final,
        getattr(row, "rounded", None),
        getattr(row, "associated", None),
    )
    assert row.losses == []
    assert (row.updates, found) == (UPDATES, (None,) * 4)
