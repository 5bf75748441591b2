"""`echo_jax.train` is the command: the same bits, folder and sentences; and what it alone takes."""

import dataclasses
import inspect
import threading
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from run_folders import snapshot

import echo_jax
from echo_jax.commands import command_line, train
from echo_jax.config import PARTS, RunConfig, TrainOptions, changed, flags_of, flat
from echo_jax.echo.run import checkpoint, run_folder
from echo_jax.engine.process import Interrupts
from echo_jax.exceptions import ConfigError, DivergedError

SMALL = {
    "length": 8, "vocab_size": 6, "window": 2, "batch_size": 2, "hidden_size": 4, "sequences": 6,
    "evaluation_sequences": 5, "seeds": 2, "seed": 3, "stateful": False,
}  # fmt: skip
CONFIG = changed(PARTS["context"], **SMALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that writes nothing, trained in a thread, where no signal handler can be installed."""
    here, before, found = tmp_path_factory.mktemp("nothing"), Path.cwd(), []
    thread = threading.Thread(target=lambda: found.append(echo_jax.train(**SMALL)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        thread.start()
        thread.join(300)
    assert Path.cwd() == before
    assert not snapshot(here)
    return found[0]


def test_a_call_and_the_command_have_the_same_bits(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = command_line.parse(train.TrainCommand, [*flags_of(SMALL), "--out", "command"])
    train.run(command, Interrupts())
    folder = Path("command")
    assert run.result.digest == checkpoint.read_finished(folder).result.digest
    assert run.history.text() == (folder / run_folder.METRICS).read_bytes()
    assert run.folder is None
    for seed in (3, 4):
        network = echo_jax.load(folder, seed=seed)
        assert run.network(seed).config == network.config
        jax.tree.map(np.testing.assert_array_equal, run.network(seed).params, network.params)
        assert run.predict([1, 2, 3, 4], seed=seed) == network.predict([1, 2, 3, 4])
    with pytest.raises(ConfigError, match=r"^out='command' is an existing folder"):
        echo_jax.train(**SMALL, out="command")


def test_a_seed_that_the_run_does_not_have_is_refused(run):
    with pytest.raises(
        ConfigError, match=r"^seed=5 is not a seed of this run: use one from 3 to 4$"
    ):
        run.predict([1, 2], seed=5)


def test_a_configuration_is_taken_and_other_arguments_change_it(run):
    config = changed(CONFIG, seeds=1, seed=0, lag=2)
    again = echo_jax.train(config, seed=3, seeds=2, lag=1)
    assert (again.config, again.result.digest) == (run.config, run.result.digest)
    with pytest.raises(ConfigError, match=r"^part='context' cannot be used with config"):
        echo_jax.train(config, part="context")


def test_a_transformation_of_optax_is_applied_as_it_is_and_on_chunk_is_told_what_the_log_has(run):
    built_in, told = echo_jax.train(CONFIG, learning_rate=0.01), []
    given = echo_jax.train(
        CONFIG, optimizer=optax.adam(0.01, eps=1e-7), checkpoint_every=4,
        on_chunk=lambda *chunk: told.append(chunk),
    )  # fmt: skip
    loss, accuracy = given.history.curves()
    np.testing.assert_allclose(loss, built_in.history.curves()[0], rtol=1e-5)
    assert not np.array_equal(loss, run.history.curves()[0])
    assert [sequence for sequence, _, _ in told] == [4, 6]
    np.testing.assert_array_equal(np.concatenate([each for _, each, _ in told], 1), loss)
    np.testing.assert_array_equal(np.concatenate([each for _, _, each in told], 1), accuracy)


def test_a_transformation_is_given_the_weights_and_its_updates_are_added():
    away = optax.chain(optax.set_to_zero(), optax.add_decayed_weights(-1.0))
    leaves = jax.tree.leaves(echo_jax.train(CONFIG, optimizer=away)._params)
    assert not any(map(np.any, leaves))
    down = echo_jax.train(CONFIG, optimizer=optax.sgd(0.5), sequences=60, seeds=1)
    curve = down.history.curves()[0][0]
    assert curve[-10:].mean() < curve[:10].mean() - 0.1
    with pytest.raises(DivergedError, match=r"use an optimizer that takes smaller steps$"):
        echo_jax.train(CONFIG, optimizer=optax.sgd(1e38), seeds=1)


def no_start(params):
    raise KeyError("momentum")


def keep(updates, state, params=None):
    return updates, state


@pytest.mark.parametrize(
    ("init", "update", "sentence"),
    [
        (no_start, keep, "fails (KeyError: 'momentum')"),
        (lambda _: (), lambda updates, *_: updates["cell"], "fails (ValueError"),
        (lambda _: (), lambda *_: ({}, ()), "returns updates that have other shapes"),
        (lambda _: (), lambda updates, *_: (updates, (1,)), "returns a state of another form"),
    ],
)
def test_a_transformation_that_does_not_fit_the_weights_is_refused(init, update, sentence):
    broken = optax.GradientTransformation(init, update)
    with pytest.raises(ConfigError) as refusal:
        echo_jax.train(CONFIG, optimizer=broken)
    assert str(refusal.value).startswith(f"the optimizer {sentence}")


def opposite(sign):
    """A cell without weights or memory; the cells of both signs have one name."""

    def step(params, state, x):
        return state, sign * x

    def initial_state(params, batch_size, size):
        return jnp.zeros((batch_size, 1))

    return types.SimpleNamespace(init=lambda *_: {}, initial_state=initial_state, step=step)


def test_the_arguments_are_the_flags_of_the_command_with_their_defaults():
    arguments = inspect.signature(echo_jax.train).parameters
    options = {field.name for field in dataclasses.fields(TrainOptions)}
    flags = {field.name for field in dataclasses.fields(train.TrainCommand)} | options
    of_the_command = {"run", "options", "resume", "format"}
    assert {*arguments} - {"config", "args", "on_chunk", "progress"} == (
        (flags | flat(RunConfig()).keys()) - of_the_command
    )
    defaults = flat(PARTS["context"]) | {"part": "context", "compute": "fast"}
    assert {k: arguments[k].default for k in defaults} == defaults


def test_objects_of_one_name_share_no_program():
    given = [(1, 0.1), (-1, 0.1), (1, 0.9)]
    objects = [{"cell": opposite(x), "optimizer": optax.sgd(rate)} for x, rate in given]
    runs = [echo_jax.train(CONFIG, **each) for each in objects]
    assert runs[0].config == runs[1].config == runs[2].config
    assert len({run.history.text() for run in runs}) == 3
    for run, (sign, _) in zip(runs, given, strict=True):
        readout = run.network(3).params["readout"]
        answers = np.argmax(sign * readout["kernel"] + readout["bias"], axis=1)
        assert run.predict([*range(6)], seed=3)[2:] == answers[2:].tolist()
        assert run.states([1, 2, 3], seed=3)
    again = runs[0].explain() + runs[0].report()
    assert "cell=..., " in again
    assert "optimizer=..." in again
    for missing, other in (("cell", {"optimizer": "adam"}), ("optimizer", {"cell": "lstm"})):
        with pytest.raises(ConfigError, match=f"pass the object again as {missing}$"):
            echo_jax.train(runs[0].config, **other)
    other = echo_jax.train(runs[0].config, cell="lstm", optimizer="adam", learning_rate=0.1)
    assert other.config == changed(CONFIG, learning_rate=0.1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"learning_rate": 0.001}, "^learning_rate=0.001 has no effect on a transformation of"),
        ({"config": changed(CONFIG, learning_rate=0.1)}, "^learning_rate=0.1 has no effect"),
        ({"frozen": True}, "^frozen=True cannot be guaranteed"),
        ({"out": "new"}, "^an optimizer of optax cannot be imported by a later"),
        ({"out": "new", "cell": opposite(1)}, "^cell=.* cannot be imported by a later process"),
        ({"on_chunk": 3}, "^on_chunk=3 is not a function"),
    ],
)
def test_what_goes_with_no_transformation_is_refused(options, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=sentence):
        echo_jax.train(**{"config": CONFIG, "optimizer": optax.sgd(0.1)} | options)
    assert not snapshot(tmp_path)
