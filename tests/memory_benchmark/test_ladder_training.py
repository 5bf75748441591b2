import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_cards import ladder

from echo_jax.cells.known_memory import Memoryless, ShiftRegister
from echo_jax.cells.vector_state.lstm import LSTMCell
from echo_jax.core.data import Purpose
from echo_jax.core.training import clipped_adam, fused_adam
from echo_jax.memory_benchmark import parallel_runs
from echo_jax.memory_benchmark.protocol import BLOCK_LADDERS, CELL_FULL, CELL_LADDERS
from echo_jax.memory_benchmark.training import HOPELESS, LadderTraining, Run

SMALL = dataclasses.replace(
    CELL_FULL,
    ladders=(ladder("lag", 2, (2,)),),
    batch_size=8,
    shortest_lag=16,
    evaluate_every=5,
    answers=88,
)
RUN = Run(np.int32(3), np.int32(2), np.float32(0.01), np.bool_(True))
LSTM = LadderTraining(LSTMCell(6), SMALL.ladders[0], SMALL)


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
        asked = LSTM.draw(jax.random.fold_in(key, step), 8, 16, 2)
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


def evaluated(monkeypatch, shares, training=LSTM, length=16):
    """What an evaluation finds where its parts have these accuracies; the forms and the tokens."""
    seen = []

    def share(self, params, asked, net):
        def look(tokens):
            seen.append((net.compute, np.asarray(tokens).tobytes(), np.shape(tokens)))
            return np.float32(shares[len(seen) - 1])

        return jax.pure_callback(look, jax.ShapeDtypeStruct((), jnp.float32), asked.tokens)

    monkeypatch.setattr(LadderTraining, "accuracy", share)
    found = training.evaluate(length, RUN, training.start({}))
    assert len({tokens for _, tokens, _ in seen}) == len(seen)  # each on sequences of its own
    return jax.tree.map(float, found), seen


@pytest.mark.parametrize(
    ("shares", "accuracy", "confirmed"),
    [([0.985], 0.985, np.nan), ([0.99, 0.98, 0.97], 0.99, 0.975), ([1, 1, 0.5], 1, 0.75)],
)
def test_an_accuracy_that_passes_is_confirmed_by_the_steps_on_twice_as_many_other_sequences(
    monkeypatch, shares, accuracy, confirmed
):
    found, seen = evaluated(monkeypatch, shares)
    assert [compute for compute, _, _ in seen] == ["fast", *["literal"] * (len(shares) - 1)]
    assert {shape for _, _, shape in seen} == {(8, 16)}  # 8 sequences of 11 answers, or more
    assert found["accuracy"] == pytest.approx(accuracy)
    assert found["confirmed"] == pytest.approx(confirmed, nan_ok=True)


@pytest.mark.parametrize(
    ("shares", "accuracy"),
    [([0.5], 0.5), ([0.9, 0.5], 0.7), ([0.98, 0.985, 0.982], 0.98233), ([1.0] * 9, 1.0)],
)
def test_the_rest_of_a_hopeless_evaluation_is_left_out(monkeypatch, shares, accuracy):
    """One of three parts: the rest is left out more than `HOPELESS` below the threshold."""
    chosen = dataclasses.replace(SMALL, answers=3 * 256 * 11)
    training = LadderTraining(LSTM.cell, SMALL.ladders[0], chosen)
    assert HOPELESS == 0.1
    found, seen = evaluated(monkeypatch, shares, training)
    assert len(seen) == len(shares)
    assert {shape[0] for _, _, shape in seen} == {256}
    assert found["accuracy"] == pytest.approx(accuracy, abs=1e-5)
    assert np.isnan(found["confirmed"]) == (accuracy < 0.99)


@pytest.mark.parametrize("name", ["lag-16", "marked-16", "key-16", "key-64"])
def test_the_parts_of_an_evaluation_have_the_answers_of_the_protocol(name):
    asked = next(each for each in BLOCK_LADDERS if each.name == name)
    training = LadderTraining(LSTM.cell, asked, CELL_FULL)
    for rung in asked.rungs:
        length = training.length(rung)
        parts, rows = training.parts(length)
        drawn = jax.eval_shape(lambda n=length, b=rows: training.draw(jax.random.key(0), b, n, 1))
        scored = {"lag": length - rung}.get(asked.task, rung)
        assert drawn.tokens.shape == (rows, length)
        assert parts * rows * scored >= CELL_FULL.answers


def test_each_seed_ladder_rung_and_purpose_has_its_own_data():
    trainings = [LadderTraining(LSTM.cell, each, SMALL) for each in (*CELL_LADDERS, *BLOCK_LADDERS)]
    keys = {
        jax.random.key_data(training.data_key(Run(seed, rung, 0.1), purpose)).tobytes()
        for training in trainings
        for seed in (0, 1)
        for rung in (4, 8)
        for purpose in (Purpose.DATA, Purpose.EVALUATION)
    }
    assert len(keys) == 8 * 6  # lag-16 of both tracks is one ladder


def test_the_initial_weights_depend_on_the_seed_alone():
    init = jax.jit(LSTM.init)
    first, later, other = (
        init(RUN._replace(seed=seed, rung=rung, rate=rate))
        for seed, rung, rate in ((3, 2, 0.01), (3, 9, 0.1), (4, 2, 0.01))
    )
    jax.tree.map(np.testing.assert_array_equal, first, later)
    assert np.any(first.params["readout"]["kernel"] != other.params["readout"]["kernel"])


def test_only_a_cell_without_parameters_is_exact_and_only_by_lag_and_on_demand():
    asked = {each.name: each for each in (*CELL_LADDERS, *BLOCK_LADDERS)}
    for name, exact in (("lag-2", True), ("hold-2", True), ("key-16", False), ("marked-16", False)):
        assert LadderTraining(ShiftRegister(3), asked[name], CELL_FULL).is_exact is exact
        assert not LadderTraining(Memoryless(3), asked[name], CELL_FULL).is_exact


def test_a_long_gradient_is_scaled_to_norm_one_before_adam_and_a_short_one_is_not():
    long, short, scaled = np.float32([[6.0, 8.0], [0.3, -0.4], [0.6, 0.8]])

    @functools.partial(jax.jit, static_argnums=0)
    def second_direction(adam, first, second):
        _, state = adam.update(first, adam.init(first))
        return adam.update(second, state)[0]

    found = second_direction(clipped_adam(SMALL.clip), long, short)
    expected = second_direction(fused_adam(), scaled, short)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
