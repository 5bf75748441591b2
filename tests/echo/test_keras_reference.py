"""What real Keras did on fixed tokens and fixed initial weights, replayed update by update."""

import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from drawn import learner_of

from echo_jax.config import RunConfig, changed
from echo_jax.echo import training
from echo_jax.learner import update

FOLDER = Path(__file__).parents[1] / "keras_reference"
CASES = (
    "part2_current", "part3_stateful", "part4_stateless", "part4_window", "prefixes_masked",
    "stream_sequence",
)  # fmt: skip
LAYOUTS = {"windows": "windows", "prefixes": "prefixes", "sequence": "streams"}
FIELDS = ("length", "vocab_size", "lag", "batch_size", "hidden_size", "stateful", "learning_rate")
PLACES = {
    "kernel": ("cell", "kernel"),
    "recurrent_kernel": ("cell", "recurrent_kernel"),
    "bias": ("cell", "bias"),
    "dense_kernel": ("readout", "kernel"),
    "dense_bias": ("readout", "bias"),
}


def configuration(meta):
    assert meta["epsilon"] == update.ADAM["eps"]
    layout = LAYOUTS[meta["framing"]]
    fields = {name: meta[name] for name in FIELDS}
    fields["window"] = meta["length"] if layout == "prefixes" else meta["window"]
    return changed(RunConfig(), layout=layout, optimizer="keras-adam", **fields)


@pytest.mark.parametrize("of", CASES)
def test_every_loss_and_every_weight_is_that_of_keras(of):
    case = np.load(FOLDER / f"{of}.npz")
    config = configuration(json.loads(str(case["meta"])))
    tokens = case["tokens"]
    if config.task.layout == "streams":
        tokens = tokens.reshape(-1, config.task.batch_size, config.task.length)
    params = {"cell": {}, "readout": {}}
    for name, (module, leaf) in PLACES.items():
        params[module][leaf] = case[f"initial/{name}"]
    learner = learner_of(config)
    moments = jax.jit(learner.optimizer.rule.init)(params)
    state = update.TrainState(np.int32(0), params, moments)
    train = jax.jit(functools.partial(training.train_on, config, learner))
    state, metrics = train(config.dynamic, state, tokens)
    losses, params = np.asarray(metrics.loss).ravel(), jax.tree.map(np.asarray, state.params)
    assert losses.shape == case["losses"].shape
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-5, atol=1e-6)
    for name, (module, leaf) in PLACES.items():
        before, after = case[f"initial/{name}"], case[f"final/{name}"]
        change = np.linalg.norm(after - before)
        assert np.linalg.norm(params[module][leaf] - after) <= 1e-3 * change, name
