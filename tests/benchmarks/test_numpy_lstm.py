"""The NumPy peer is an oracle: forty updates of Flax and of echo_jax are its own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import peers
import pytest
from drawn import learner_of
from learner import JOB, cut
from numpy_lstm import NumpyLSTM, Weights

from echo_jax.config import RunConfig, changed
from echo_jax.echo import training

LEARNING = changed(
    RunConfig(), length=14, vocab_size=6, window=3, batch_size=3, hidden_size=8, learning_rate=0.02
)
"""Small enough that much is learned in forty updates."""


def weights_of(params):
    cell, readout = params["cell"], params["readout"]
    leaves = (cell["kernel"], cell["recurrent_kernel"], cell["bias"])
    return Weights(*(np.array(x) for x in (*leaves, readout["kernel"], readout["bias"])))


@pytest.mark.slow
@pytest.mark.parametrize(("config", "learned"), [(JOB, -1), (LEARNING, 0.1)])
def test_forty_updates_are_those_of_the_numpy_oracle(config, learned):
    """From the same weights and tokens."""
    shape = 10, config.task.length
    tokens = np.random.default_rng(7).integers(0, config.task.vocab_size, shape, dtype=np.int32)
    learner = learner_of(config)
    state = jax.jit(functools.partial(training.init, learner))(config.dynamic)
    oracle = NumpyLSTM(config)
    oracle.start()
    oracle.weights = start = weights_of(state.params)
    start = Weights(*map(np.copy, start))
    train = jax.jit(functools.partial(training.train_on, config, learner))
    state, metrics = train(config.dynamic, state, jnp.asarray(tokens))
    expected, _ = oracle.run(cut(tokens, config.task), learn=True)
    assert expected[-1].mean() < expected[0].mean() - learned
    np.testing.assert_allclose(metrics.loss, expected, rtol=1e-3)
    for ours, numpys, before in zip(weights_of(state.params), oracle.weights, start, strict=True):
        change = np.linalg.norm(numpys - before)
        assert change > 0
        assert np.linalg.norm(ours - numpys) <= 1e-2 * change


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
