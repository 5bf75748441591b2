"""What measures find, where it is known what they must: by construction, or counted by hand."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import learner_of, network_of

from echo_jax.config import PARTS, RunConfig, changed
from echo_jax.echo import token_by_token, training
from echo_jax.echo.evaluation import evaluate
from echo_jax.echo.studies import measures

V, PROBED = 8, 60
STEP_BY_STEP = changed(
    PARTS["no-context"], vocab_size=V, hidden_size=16, length=13, evaluation_sequences=5
)
TINY = changed(
    RunConfig(), vocab_size=6, length=8, window=3, batch_size=2, hidden_size=4,
    evaluation_sequences=20,
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PROBED": PROBED, "STARTS": 3, "FED_BACK": 60, "STRETCH": 10}.items():
            patch.setattr(measures, name, value)
        patch.setattr(measures, "WINDOWS", 40)
        yield


def params_of(config, scale=1.0):
    init = functools.partial(training.init, learner_of(config))
    params = jax.jit(init)(config.dynamic).params
    return jax.tree.map(lambda leaf: jax.device_put(np.float32(scale) * np.asarray(leaf)), params)


def probe(stateful):
    """What the probe finds in the states of an untrained network that sees one value at a time."""
    config = changed(STEP_BY_STEP, batch_size=6, stateful=stateful)
    found = compiled_probe()(config.dynamic, params_of(config))
    rows = sum(t >= 8 for t in config.task.row_times)
    return {name: np.asarray(x) for name, x in found.items()}, PROBED * rows


@functools.cache
def compiled_probe():
    config = changed(STEP_BY_STEP, batch_size=6)
    return jax.jit(functools.partial(measures.probe, config, network_of(config)))


def at_chance(shares, tried):
    return np.abs(shares - 1 / V) < 4 * math.sqrt((1 - 1 / V) / V / tried)


def test_the_state_after_a_batch_of_six_holds_the_value_six_steps_back_and_none_nearer():
    """Row r continues row r - 6, whose one value is x(t-6)."""
    found, tried = probe(True)
    assert found["before"][6] > 0.95
    assert at_chance(found["before"][[*range(6), 7, 8]], tried).all()
    assert found["after"][0] > 0.95
    assert at_chance(found["after"][1:6], tried).all()


def test_a_state_that_is_zero_holds_nothing():
    found, tried = probe(False)
    assert found["before"].shape == (9,)
    assert at_chance(found["before"], tried).all()
    assert found["after"][0] > 0.95  # the row has seen that one itself
    assert at_chance(found["after"][1:], tried).all()


def test_the_newest_value_explains_all_of_a_state_that_saw_no_other():
    config = changed(STEP_BY_STEP, batch_size=6)
    newest = jax.jit(functools.partial(measures.newest, config, network_of(config)))
    params = params_of(config)
    zero, carried = (
        newest(changed(config, stateful=stateful).dynamic, params) for stateful in (False, True)
    )
    assert zero["explained"] == pytest.approx(float(zero["variance"]), rel=1e-4)
    assert 0.3 < carried["explained"] / carried["variance"] < 0.8


def test_the_other_state_is_the_score_of_a_network_trained_the_other_way():
    network, params = network_of(TINY), params_of(TINY, scale=5.0)

    @jax.jit
    def both(settings):
        swapped = measures.other_state(TINY, network, settings, params)["accuracy"]
        return swapped, evaluate(TINY, network, settings, params).accuracy

    carried, zero = (both(changed(TINY, stateful=state).dynamic) for state in (True, False))
    assert carried == zero[::-1]
    assert carried[0] != carried[1]


@pytest.mark.parametrize("layout", [pytest.param("windows", marks=pytest.mark.slow), "prefixes"])
def test_rows_with_and_without_missing_values_are_averaged_apart(layout):
    config = changed(TINY, layout=layout, window=5, stateful=False)
    network, asked = network_of(config), changed(config, layout="prefixes")
    params = params_of(config, scale=5.0)
    found, by_position = jax.jit(
        lambda settings: (
            measures.rows_apart(config, network, settings, params),
            evaluate(asked, network, settings, params).accuracy_by_position,
        )
    )(config.dynamic)
    # lag 1 leaves 7 rows, the last 6 used: they end at t = 2 .. 7, and windows of 5 are full at 4
    assert by_position.shape == (6,)
    assert found["missing"] == pytest.approx(np.mean(by_position[:2]))
    assert found["full"] == pytest.approx(np.mean(by_position[2:]))
    assert found["missing"] != found["full"]


class StepsBack:
    """Stands in for `token_by_token`: it answers with the value so many steps back."""

    def __init__(self, steps):
        self.steps = steps

    def start(self, config, network, params):
        return jnp.zeros(self.steps, jnp.int32)

    def feed(self, config, network, params, state, tokens):
        tokens = jnp.concatenate([state, tokens])
        token = tokens[: -self.steps]
        return tokens[-self.steps :], token_by_token.Answer(token >= 0, token, token)

    def step(self, config, network, params, state, token):
        state, answers = self.feed(config, network, params, state, token[None])
        return state, jax.tree.map(lambda leaf: leaf[0], answers)


def fed_back(config, params=None):
    measure = functools.partial(measures.fed_back, config, network_of(config))
    return jax.jit(measure)(config.dynamic, params)


def test_fed_back_a_perfect_echo_of_lag_1_says_the_last_two_values_for_ever(monkeypatch):
    config = changed(TINY, vocab_size=50)
    monkeypatch.setattr(measures, "token_by_token", StepsBack(1))
    found = fed_back(config)
    assert found["repeats"] == 1
    answers = np.asarray(found["answers"])
    assert answers[0] != answers[1]
    assert (answers == np.tile(answers[:2], 25)).all()
    np.testing.assert_allclose(found["distinct"], 2)  # 50 values: three starts end in two of them
    for steps, share in ((9, 1), (10, 0)):  # periods of 10, as long as a stretch, and of 11
        monkeypatch.setattr(measures, "token_by_token", StepsBack(steps))
        assert fed_back(config)["repeats"] == share
