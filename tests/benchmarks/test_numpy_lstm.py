"""The NumPy peer is an oracle: its gradient is checked by differences, and echo_jax against it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpy_lstm
import peers
import pytest
from learner import JOB, SMALL_JOB, cut
from numpy_lstm import NumpyLSTM, State, Weights

from echo_jax.config import NetworkConfig, RunConfig, TaskConfig, TrainingConfig
from echo_jax.core import training

LEARNING = RunConfig(
    TaskConfig(length=14, vocab_size=6, window=3, lag=1, batch_size=3),
    NetworkConfig(hidden_size=8),
    TrainingConfig(learning_rate=0.02),
)
"""Small enough that much is learned in forty updates."""


def weights_of(params):
    cell, readout = params["cell"], params["readout"]
    leaves = (cell["kernel"], cell["recurrent_kernel"], cell["bias"])
    return Weights(*(np.array(x) for x in (*leaves, readout["kernel"], readout["bias"])))


def forty_updates(config):
    """Losses and final weights of echo_jax and of NumPy, from the same weights and tokens."""
    tokens = np.random.default_rng(7).integers(
        0, config.task.vocab_size, (10, config.task.length), dtype=np.int32
    )
    learner = training.build_learner(config)
    state = jax.jit(functools.partial(training.init, learner))(config.dynamic)
    oracle = NumpyLSTM(config)
    oracle.start()
    oracle.weights = start = weights_of(state.params)
    start = Weights(*map(np.copy, start))
    train = jax.jit(functools.partial(training.train_on, config, learner))
    state, metrics = train(config.dynamic, state, jnp.asarray(tokens))
    losses, _ = oracle.run(cut(tokens, config.task), learn=True)
    ours = (np.asarray(metrics.loss), weights_of(state.params))
    return ours, (losses, oracle.weights), start


@pytest.mark.slow
@pytest.mark.parametrize(("config", "learned"), [(JOB, -1), (LEARNING, 0.1)])
def test_forty_updates_are_those_of_the_numpy_oracle(config, learned):
    (losses, weights), (expected, expected_weights), start = forty_updates(config)
    assert expected[-1].mean() < expected[0].mean() - learned
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    for ours, numpys, before in zip(weights, expected_weights, start, strict=True):
        change = np.linalg.norm(numpys - before)
        assert change > 0
        assert np.linalg.norm(ours - numpys) <= 1e-2 * change


def test_the_gradient_of_the_oracle_is_the_slope_of_its_loss():
    oracle = NumpyLSTM(SMALL_JOB)
    oracle.start()
    w = Weights(*(x.astype(float) for x in oracle.weights))
    random = np.random.default_rng(3)
    state = State(*random.normal(size=(2, 2, 6)))
    window, target = random.integers(0, 8, (2, 3)), random.integers(0, 8, 2)

    def forward(w):
        last, steps = numpy_lstm.unroll(w, state, window)
        return last, steps, numpy_lstm.probabilities(w, last.h)

    def loss(w):
        return numpy_lstm.cross_entropy(forward(w)[2], target)

    gradients = numpy_lstm.backpropagate(w, *forward(w), target)
    for name, gradient in gradients._asdict().items():
        direction = random.normal(size=gradient.shape)
        value = getattr(w, name)
        ahead, behind = (
            loss(w._replace(**{name: value + sign * 1e-5 * direction})) for sign in (1, -1)
        )
        assert (ahead - behind) / 2e-5 == pytest.approx(np.sum(gradient * direction), rel=1e-5)


def test_flax_computes_what_numpy_computes_from_the_same_weights():
    oracle, flax = NumpyLSTM(LEARNING), peers.Linen(LEARNING)
    oracle.start()
    flax.start()
    w, cell = oracle.weights, {}
    for gate, columns in zip("ifgo", np.split(np.arange(4 * 8), 4), strict=True):
        cell[f"i{gate}"] = {"kernel": w.kernel[:, columns]}
        cell[f"h{gate}"] = {"kernel": w.recurrent[:, columns], "bias": w.bias[columns]}
    readout = {"kernel": w.readout, "bias": w.readout_bias}
    params = jax.tree.map(jnp.array, {"OptimizedLSTMCell_0": cell, "Dense_0": readout})
    assert jax.tree.structure(params) == jax.tree.structure(flax.state.params)
    flax.state = flax.state.replace(params=params)
    tokens = np.random.default_rng(7).integers(0, 6, (20, 14), dtype=np.int32)
    rows = cut(tokens, LEARNING.task)
    expected, _ = oracle.run(rows, learn=True)
    assert expected[-1].mean() < expected[0].mean() - 0.1
    np.testing.assert_allclose(flax.run(rows, learn=True)[0], expected, rtol=1e-3)
