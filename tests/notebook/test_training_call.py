"""`echo_jax.train` is the command: the same bits, folder and sentences. What notebooks show."""

import threading
from pathlib import Path

import pytest
from run_folders import snapshot

import echo_jax
from echo_jax.commands import command_line, train
from echo_jax.exceptions import ConfigError
from echo_jax.host.interrupts import Interrupts
from echo_jax.runs import result, run_folder

SMALL = {
    "length": 8, "vocab_size": 6, "window": 2, "batch_size": 2, "hidden_size": 4, "sequences": 6,
    "evaluation_sequences": 5, "seeds": 2, "seed": 3, "stateful": False,
}  # fmt: skip
FLAGS = [
    "--length", "8", "--vocab-size", "6", "--window", "2", "--batch-size", "2", "--hidden-size",
    "4", "--sequences", "6", "--evaluation-sequences", "5", "--seeds", "2", "--seed", "3",
    "--no-stateful",
]  # fmt: skip


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    monkeypatch.setattr("echo_jax.environment.use_cpu_devices", lambda *_: None)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that writes nothing, trained in a thread, where no signal handler can be installed."""
    here, before, found = tmp_path_factory.mktemp("nothing"), Path.cwd(), []
    thread = threading.Thread(target=lambda: found.append(echo_jax.train(**SMALL)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("echo_jax.environment.use_cpu_devices", lambda *_: None)
        patch.chdir(here)
        thread.start()
        thread.join(300)
    assert Path.cwd() == before
    assert not snapshot(here)
    return found[0]


def test_a_call_and_the_command_have_the_same_bits(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = command_line.parse(train.TrainCommand, [*FLAGS, "--out", "command"])
    train.run(command, Interrupts())
    folder = Path("command")
    assert run.result.digest == result.read(folder).digest
    assert run.history.text() == (folder / run_folder.METRICS).read_bytes()
    assert run.folder is None
    for seed in (3, 4):
        network = echo_jax.load(folder, seed=seed)
        assert run.network(seed).digest == network.digest
        assert run.predict([1, 2, 3, 4], seed=seed) == network.predict([1, 2, 3, 4])
    with pytest.raises(ConfigError, match=r"^out='command' is a folder that exists"):
        echo_jax.train(**SMALL, out="command")


def test_a_seed_that_the_run_does_not_have_is_refused(run):
    with pytest.raises(ConfigError, match=r"^seed=5 is not in this run: use one from 3 to 4$"):
        run.predict([1, 2], seed=5)
