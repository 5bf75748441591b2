"""Run folders without training: written by the functions that a run uses, around drawn numbers."""

import functools
import hashlib
import json
import operator
import os
import stat
from pathlib import Path

import jax
import numpy as np
from drawn import learner_of
from safetensors import numpy as safetensors

from echo_jax.config import RunConfig, TrainOptions, changed
from echo_jax.echo import training
from echo_jax.echo.run import checkpoint, own_data, train_run
from echo_jax.echo.run.checkpoint import History, Saved
from echo_jax.echo.run.run_folder import RunSpec

ZEROS = b"0" * 64
PLAIN = changed(
    RunConfig(), length=10, vocab_size=5, window=3, batch_size=2, hidden_size=3, sequences=4
)
"""A run on random integers, of one seed."""
OWN = changed(PLAIN, sequences=6, csv="mine.csv", column="n", seed=3, seeds=2)
"""A run on a column, of two seeds."""
AVERAGE = """
import jax.numpy as jnp


def init(key, input_size):
    return {"w": jnp.zeros((input_size, 3))}


def initial_state(params, batch_size, input_size):
    return jnp.zeros((batch_size, 3))


def step(params, state, x):
    state = 0.5 * state + x @ params["w"]
    return state, state
"""
"""The file of a user's cell."""


def inputs_of(config, draw=0):
    """What a run is a function of; the column is drawn, its values too."""
    if config.data.csv is None:
        return RunSpec(config)
    rng = np.random.default_rng(draw)
    values = sorted(rng.choice(np.arange(10, 99), config.task.vocab_size, replace=False).tolist())
    tokens = rng.integers(0, config.task.vocab_size, 200).astype(np.int32)
    return own_data.column_inputs(config, list(map(str, values)), tokens)


def shapes_of(config):
    return training.state_shapes(config, learner_of(config))


def saved_of(config, draw=0, sequences=4, last=None):
    """A state of drawn weights and a history of drawn curves; `last` replaces every weight."""
    rng = np.random.default_rng(draw)

    def drawn(leaf):
        if last is not None and np.issubdtype(leaf.dtype, np.floating):
            return np.full(leaf.shape, last, leaf.dtype)
        return (100 * rng.normal(size=leaf.shape)).astype(leaf.dtype)

    state = jax.tree.map(drawn, shapes_of(config))
    history = History(config)
    history.append(*rng.random((2, config.seeds, sequences)).astype(np.float32))
    return Saved(state, history)


def make_run(folder, config, draw=0, result=None, **saved):
    """A folder with the files that loading and going on read."""
    folder.mkdir()
    inputs = inputs_of(config, draw)
    checkpoint.begin(folder, inputs)
    checkpoint.write(folder, inputs, saved_of(config, draw, **saved), result)
    return inputs


def prepared(folder, inputs=None, cell=None, sequences=None):
    """A new run of these inputs in a folder, or the one that is there, which goes on."""
    if inputs:
        opening = train_run.new_run(inputs, folder, TrainOptions(devices=1))
    else:
        opening = train_run.resumed_run(folder, TrainOptions(devices=1), sequences, cell)
    with opening as run:
        return run


def contents_of(path):
    """The arrays of a file by their names, and the plain values about them."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return safetensors.load(data), json.loads(header["__metadata__"]["echo_jax"])


def assert_same_arrays(run, other):
    """The checkpoints of two runs have the same bits, but for their seconds."""
    arrays, others = (contents_of(each / checkpoint.CHECKPOINT)[0] for each in (run, other))
    assert arrays.keys() == others.keys()
    for name in arrays.keys() - {"result"}:
        assert arrays[name].tobytes() == others[name].tobytes(), name


def sign(path, data):
    """Write any bytes with their digest in the place of its zeros."""
    path.write_bytes(data.replace(ZEROS, hashlib.sha256(data).hexdigest().encode(), 1))


def sign_arrays(path, arrays=None, **changes):
    """Change the arrays of a file, or the values about them, and sign it again.

    The value of a nested field is that of `outer__inner`.
    """
    old, about = contents_of(path)
    for name, value in changes.items():
        *outer, last = name.split("__")
        functools.reduce(operator.getitem, outer, about)[last] = value
    text = json.dumps(about | {"sha256": ZEROS.decode()})
    sign(path, safetensors.save({**old, **(arrays or {})}, {"echo_jax": text}))


def snapshot(folder):
    """All that is below a folder: its names and what is behind each."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        info = os.lstat(path)
        regular = stat.S_ISREG(info.st_mode)
        found[str(path)] = (info.st_mode, path.read_bytes() if regular else None)
    return found
