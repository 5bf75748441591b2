import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.vector_state.lstm import LSTMCell
from echo_jax.core.data import Purpose
from echo_jax.core.training import clipped_adam, fused_adam
from echo_jax.memory_benchmark import parallel_runs, protocol
from echo_jax.memory_benchmark.lag_training import LagTraining, Run
from echo_jax.memory_benchmark.protocol import FULL

SMALL = dataclasses.replace(
    FULL,
    batch_size=8,
    shortest_stream=16,
    evaluate_every=5,
    evaluation={"stream": 8, "hold": 16},
)
RUN = Run(np.int32(3), np.int32(2), np.float32(0.01), np.bool_(True))
LSTM = LagTraining(LSTMCell(6), "stream", SMALL)


@pytest.fixture(scope="module")
def block():
    return jax.jit(parallel_runs.skipping(lambda run, state: LSTM.train_block(16, run, state)))


@pytest.fixture(scope="module")
def trained(block):
    return block(RUN, LSTM.init(RUN))


def loss_by_hand(training, params, asked):
    """Mean over the steps that have a target, cell step by cell step."""
    carry = training.network.initial_state(params, len(asked.tokens))
    losses = []
    for step in range(asked.tokens.shape[1]):
        x = jnp.eye(2)[asked.tokens[:, step]]
        carry, output = training.cell.step(params["cell"], carry, x)
        logits = output @ params["readout"]["kernel"] + params["readout"]["bias"]
        right = jnp.eye(2)[asked.targets[:, step]]
        losses.append(-jnp.sum(jax.nn.log_softmax(logits) * right, axis=-1))
    return jnp.mean(jnp.stack(losses)[2:])


@pytest.mark.slow
def test_a_block_is_adam_on_the_clipped_gradient_of_fresh_sequences(trained):
    key = LSTM.data_key(RUN, Purpose.DATA)
    params, m, v = LSTM.init(RUN).params, None, None
    for step in range(SMALL.evaluate_every):
        asked = LSTM.draw(jax.random.fold_in(key, step), (8, 16), 2)
        gradient = jax.grad(lambda p, a=asked: loss_by_hand(LSTM, p, a))(params)
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
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=2e-5),
        trained.state.params,
        params,
    )
    assert int(trained.state.step) == SMALL.evaluate_every


@pytest.mark.slow
def test_a_run_that_is_over_keeps_its_state(block, trained):
    kept = block(RUN._replace(active=jnp.bool_(False)), trained.state)
    jax.tree.map(np.testing.assert_array_equal, kept.state, trained.state)
    assert int(block(RUN, trained.state).state.step) == 2 * SMALL.evaluate_every


@pytest.mark.slow
def test_a_non_finite_loss_is_noted(block, trained):
    assert trained.finite
    broken = jax.tree.map(lambda x: x * jnp.nan, trained.state.params)
    assert not block(RUN, trained.state._replace(params=broken)).finite


@pytest.mark.parametrize("accuracy", [0.4, 0.7])
def test_only_an_accuracy_that_reaches_a_threshold_is_confirmed_by_steps_on_other_sequences(
    monkeypatch, accuracy
):
    seen = []

    def share(self, params, asked, net):
        def note(tokens):
            seen.append((net.compute, np.asarray(tokens).tobytes()))

        jax.debug.callback(note, asked.tokens)
        return jnp.float32(accuracy) + 0 * asked.tokens.sum()

    monkeypatch.setattr(LagTraining, "accuracy", share)
    found = LSTM.evaluate(16, RUN, LSTM.start({}))
    jax.effects_barrier()
    by_steps = ["literal"] * SMALL.confirmation if accuracy > 0.6 else []
    assert [compute for compute, _ in seen] == ["fast", *by_steps]
    assert len({tokens for _, tokens in seen}) == len(seen)
    assert float(found["accuracy"]) == pytest.approx(accuracy)
    assert bool(np.isnan(found["confirmed"])) == (accuracy < 0.6)


def test_each_seed_task_lag_and_purpose_has_its_own_data():
    keys = {
        jax.random.key_data(
            LagTraining(LSTM.cell, task, SMALL).data_key(Run(seed, lag, 0.1), purpose)
        ).tobytes()
        for seed in (0, 1)
        for lag in (1, 2)
        for task in protocol.TASKS
        for purpose in (Purpose.DATA, Purpose.EVALUATION)
    }
    assert len(keys) == 16


def test_a_long_gradient_is_scaled_to_norm_one_before_adam_and_a_short_one_is_not():
    long, short, scaled = np.float32([[6.0, 8.0], [0.3, -0.4], [0.6, 0.8]])

    @functools.partial(jax.jit, static_argnums=0)
    def second_direction(adam, first, second):
        _, state = adam.update(first, adam.init(first))
        return adam.update(second, state)[0]

    found = second_direction(clipped_adam(SMALL.clip), long, short)
    expected = second_direction(fused_adam(), scaled, short)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
