import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from echo_jax.cells import known_memory
from echo_jax.cells.lstm import LSTMCell
from echo_jax.core import network
from echo_jax.memory_benchmark import lag_training, protocol, tasks
from echo_jax.memory_benchmark.lag_training import Setting
from echo_jax.memory_benchmark.protocol import FULL

SMALL = dataclasses.replace(
    FULL,
    batch_size=8,
    shortest_stream=16,
    evaluate_every=5,
    evaluation={"stream": 8, "hold": 16},
    beyond=(1, 2, 4),
    gradient_sequences=6,
)
SETTING = Setting(jnp.int32(3), jnp.int32(2), jnp.float32(0.01), jnp.bool_(True))


def network_of(cell, task="stream"):
    return lag_training.build(cell, task, SMALL)


def block(net, task, setting, state):
    step = jax.jit(lambda s, x: lag_training.train_block(net, task, SMALL, 16, s, x))
    return step(setting, state)


@pytest.fixture(scope="module")
def lstm():
    return network_of(LSTMCell(6))


@pytest.fixture(scope="module")
def trained(lstm):
    return block(lstm, "stream", SETTING, lag_training.init(lstm, SMALL, SETTING))


@pytest.mark.slow
def test_a_block_is_so_many_steps_of_adam_on_the_clipped_gradient_of_fresh_sequences(lstm, trained):
    state = lag_training.init(lstm, SMALL, SETTING)
    key = lag_training.data_key(SETTING, "stream", memory_stream())
    params, m, v = state.params, None, None
    for step in range(SMALL.evaluate_every):
        asked = tasks.draw("stream", jax.random.fold_in(key, step), (8, 16), 2, 2)
        gradient = jax.grad(lambda p, a=asked: loss_by_hand(lstm, p, a))(params)
        leaves, tree = jax.tree.flatten(gradient)
        norm = np.sqrt(sum(np.sum(np.square(x)) for x in leaves))
        leaves = [np.asarray(x) * min(1.0, SMALL.clip / norm) for x in leaves]
        m = [0.9 * a + 0.1 * g for a, g in zip(m or [0] * len(leaves), leaves, strict=True)]
        v = [0.999 * a + 1e-3 * g**2 for a, g in zip(v or [0] * len(leaves), leaves, strict=True)]
        moved = [
            0.01 * a / (1 - 0.9 ** (step + 1)) / (np.sqrt(b / (1 - 0.999 ** (step + 1))) + 1e-7)
            for a, b in zip(m, v, strict=True)
        ]
        params = jax.tree.map(lambda p, d: p - d, params, jax.tree.unflatten(tree, moved))
    for ours, theirs in zip(
        jax.tree.leaves(trained[0].params), jax.tree.leaves(params), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert int(trained[0].step) == SMALL.evaluate_every


def memory_stream():
    from echo_jax.core.data import Purpose

    return Purpose.DATA


def loss_by_hand(net, params, asked):
    """Mean over the steps that have a target, cell step by cell step."""
    carry = network.zero_carry(net, len(asked.tokens))
    losses = []
    for step in range(asked.tokens.shape[1]):
        x = jnp.eye(net.tokens)[asked.tokens[:, step]]
        carry, output = net.cell.apply({"params": params["cell"]}, carry, x)
        logits = output @ params["readout"]["kernel"] + params["readout"]["bias"]
        right = jnp.eye(2)[asked.targets[:, step]]
        losses.append(-jnp.sum(jax.nn.log_softmax(logits) * right, axis=-1))
    return jnp.mean(jnp.stack(losses)[2:])


@pytest.mark.slow
def test_a_run_that_is_over_is_passed_over(lstm, trained):
    state, _ = trained
    idle = SETTING._replace(active=jnp.bool_(False))
    kept, progress = block(lstm, "stream", idle, state)
    for ours, theirs in zip(jax.tree.leaves(kept), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.isnan(progress.accuracy)
    assert np.isnan(progress.confirmed)
    assert progress.finite


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_seen(lstm, trained):
    state, _ = trained
    broken = state._replace(params=jax.tree.map(lambda x: x * jnp.nan, state.params))
    assert not block(lstm, "stream", SETTING, broken)[1].finite


@pytest.mark.parametrize("accuracy", [0.4, 0.7])
def test_only_an_accuracy_that_reaches_a_threshold_is_confirmed_and_on_other_sequences(
    monkeypatch, accuracy
):
    seen = []

    def share(net, params, asked):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), asked.tokens)
        return jnp.float32(accuracy) + 0 * asked.tokens.sum()

    monkeypatch.setattr(lag_training, "accuracy_of", share)
    state = lag_training.start(SMALL, {})
    found, confirmed = lag_training.evaluate(None, "stream", SMALL, 16, SETTING, state)
    jax.effects_barrier()
    assert len(seen) == (1 + SMALL.confirmation if accuracy > 0.6 else 1)
    assert len({tokens.tobytes() for tokens in seen}) == len(seen)
    assert float(found) == pytest.approx(accuracy)
    assert bool(np.isnan(confirmed)) == (accuracy < 0.6)


def test_lags_and_tasks_and_seeds_have_data_of_their_own():
    keys = set()
    for seed in (0, 1):
        for lag in (1, 2):
            for task in protocol.TASKS:
                key = lag_training.data_key(
                    SETTING._replace(seed=seed, lag=lag), task, memory_stream()
                )
                keys.add(jax.random.key_data(key).tobytes())
    assert len(keys) == 8


@pytest.mark.parametrize("slots", [1, 4])
def test_the_gradient_of_a_register_reaches_its_last_slot_and_is_exactly_zero_beyond(slots):
    net = network_of(known_memory.ShiftRegister(slots))
    params = lag_training.init(net, SMALL, SETTING).params
    profile = lag_training.gradient_profile(net, SMALL, 16, 10, SETTING, params)
    assert profile.shape == (11,)
    assert np.all(profile[:slots] > 0)
    assert np.all(profile[slots:] == 0)


@pytest.mark.slow
def test_the_gradient_is_that_of_the_margin_by_finite_differences(lstm, trained):
    params = jax.tree.map(lambda x: 3 * x, trained[0].params)
    profile = lag_training.gradient_profile(lstm, SMALL, 16, 4, SETTING, params)
    key = lag_training.data_key(SETTING, "stream", 2)
    asked = tasks.draw_stream(jax.random.fold_in(key, 2**31 - 1), (6, 16), 2, 2)
    inputs = np.eye(2, dtype=np.float32)[np.asarray(asked.tokens)]
    target = np.asarray(asked.targets[:, -1])

    def margin(inputs):
        zero = network.zero_carry(lstm, 6)
        _, out = network.unroll_inputs(lstm, params, zero, jnp.swapaxes(inputs, 0, 1), None)
        logits = np.asarray(network.read_out(lstm, params, out[-1]))
        return logits[np.arange(6), target] - logits[np.arange(6), 1 - target]

    for back in (0, 3):
        slopes = []
        for feature in (0, 1):
            moved = np.zeros_like(inputs)
            moved[:, 15 - back, feature] = 1e-2
            slopes.append((margin(inputs + moved) - margin(inputs - moved)) / 2e-2)
        assert float(profile[back]) == pytest.approx(
            np.linalg.norm(slopes, axis=0).mean(), rel=0.01
        )


@pytest.mark.slow
def test_an_answer_depends_on_what_a_gradient_cannot_see():
    class Rounded(known_memory.ShiftRegister):
        """A register whose carry no gradient passes."""

        def __call__(self, carry, inputs):
            return super().__call__(jax.lax.stop_gradient(carry), inputs)

    for cell, lag, seen in ((Rounded(3), 2, True), (known_memory.ShiftRegister(3), 3, False)):
        net = network_of(cell)
        setting = SETTING._replace(lag=jnp.int32(lag))
        params = lag_training.init(net, SMALL, setting).params
        assert lag_training.gradient_profile(net, SMALL, 16, 4, setting, params)[lag] == 0
        assert bool(lag_training.depends(net, SMALL, 16, setting, params)) == seen


@pytest.mark.slow
def test_what_stands_behind_a_shut_gate_is_found_at_weights_nearby():
    class Gated(known_memory.ShiftRegister):
        """A register whose carry passes a gate that starts shut, where it has no slope."""

        @nn.compact
        def __call__(self, carry, inputs):
            gate = jnp.clip(self.param("gate", nn.initializers.constant(-1.0), ()), 0, 1)
            return super().__call__(gate * carry, inputs)

    found = {"gated": [], "register": []}
    for seed in range(8):
        for name, cell, lag in (
            ("gated", Gated(3), 2),
            ("register", known_memory.ShiftRegister(3), 3),
        ):
            net = network_of(cell)
            setting = SETTING._replace(seed=jnp.int32(seed), lag=jnp.int32(lag))
            params = lag_training.init(net, SMALL, setting).params
            assert lag_training.gradient_profile(net, SMALL, 16, 4, setting, params)[lag] == 0
            assert not lag_training.depends(net, SMALL, 16, setting, params)
            found[name].append(bool(lag_training.depends_nearby(net, SMALL, 16, setting, params)))
    assert any(found["gated"])
    assert not any(found["register"])


@pytest.mark.slow
def test_beyond_goes_on_from_the_state_that_was_left():
    net = network_of(known_memory.ShiftRegister(3))
    kernel = np.zeros((6, 2), np.float32)
    kernel[4:] = np.eye(2)  # reads slot 2: the token two steps back
    params = {"cell": {}, "readout": {"kernel": kernel, "bias": np.zeros(2, np.float32)}}
    found = lag_training.beyond(net, SMALL, 16, SETTING, params)
    np.testing.assert_array_equal(found, np.ones(4))
    guessing = lag_training.beyond(net, SMALL, 16, SETTING._replace(lag=jnp.int32(3)), params)
    np.testing.assert_allclose(guessing, 0.5, atol=0.25)  # five standard errors
