"""What a run folder says of the text of a user's cell, and what follows where it has changed."""

import sys
from pathlib import Path

import numpy as np
import pytest
from run_folders import AVERAGE, OWN, PLAIN, prepared, saved_of, sign_arrays

import echo_jax
from echo_jax import machine
from echo_jax.config import changed
from echo_jax.echo.run import checkpoint, own_data
from echo_jax.echo.run.run_folder import RunSpec
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.storage import atomic_files

CONFIG = changed(PLAIN, cell="average_of_all.py", hidden_size=50)
SINCE = "the text of cell average_of_all.py has changed since run was started"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes the file of the cell; what follows is as in a new process."""
    monkeypatch.chdir(tmp_path)

    def written(text):
        sys.modules.pop("average_of_all", None)
        Path("average_of_all.py").write_text(text)

    yield written
    sys.modules.pop("average_of_all", None)


@pytest.fixture
def run(write):
    """The folder of a run of a text, which is to be trained for longer."""
    write(AVERAGE)
    prepared(Path("run"), RunSpec(changed(CONFIG, sequences=9)))
    checkpoint.write(Path("run"), checkpoint.read_inputs(Path("run")), saved_of(CONFIG))
    return Path("run")


def load(folder):
    return echo_jax.load(folder, cell="average_of_all.py")


def test_a_run_goes_on_with_the_text_that_it_was_begun_with_alone(run, write):
    before = (run / "config.json").read_bytes()
    source = atomic_files.read_json(run / "config.json")["cell_source"]
    assert source == atomic_files.digest(AVERAGE.encode())
    assert prepared(run, cell=CONFIG.network.cell).saved.history.sequences == 4
    write(f"{AVERAGE}# a remark\n")
    with pytest.raises(ConfigError, match=f"^{SINCE}, .* start a new run$"):
        prepared(run, cell=CONFIG.network.cell)
    write(AVERAGE)
    assert prepared(run, cell=CONFIG.network.cell).saved
    assert (run / "config.json").read_bytes() == before


def test_bits_may_differ_on_another_number_of_cores(tmp_path):
    checkpoint.begin(tmp_path, RunSpec(PLAIN))
    assert prepared(tmp_path).note is None
    sign_arrays(tmp_path / checkpoint.CHECKPOINT, begun__cores=77)
    here = f"cores {machine.threads()} here, '77' before"
    assert prepared(tmp_path).note == f"results may differ in their last bits: {here}"


def test_a_run_of_an_earlier_version_is_refused_with_what_to_do(tmp_path):
    checkpoint.begin(tmp_path, RunSpec(PLAIN))
    earlier = {"csv": None, "column": None, "held_out": 0.2}  # before there was a text
    sign_arrays(tmp_path / checkpoint.CHECKPOINT, config__data=earlier)
    fix = "'text' is missing.*: restore it, or train again with the configuration in config.json"
    with pytest.raises(StorageError, match=f"does not describe a run of this version .*{fix}"):
        checkpoint.read_inputs(tmp_path)


def test_what_could_not_be_saved_is_refused_before_anything_is_written(tmp_path, write):
    write(AVERAGE.replace("{", '{"a.b": jnp.ones(1), "a": {"b": jnp.ones(1)}, '))
    with pytest.raises(ConfigError, match=r"array 'params\.cell\.a\.b' does not have a unique"):
        prepared(tmp_path / "run", RunSpec(CONFIG))
    assert not (tmp_path / "run").exists()


def test_the_longest_values_are_read_back(tmp_path):
    values = sorted("😀" * 96 + f"{number:04}" for number in range(1999))
    config = changed(OWN, vocab_size=len(values))
    spec = own_data.column_inputs(config, values, np.arange(1999, dtype=np.int32))
    checkpoint.begin(tmp_path, spec)
    assert (tmp_path / "vocabulary.json").stat().st_size > 2**20
    assert checkpoint.read_inputs(tmp_path).values == values


def test_a_network_of_another_text_is_loaded_with_a_warning(run, write, call):
    assert load(run).sequences == 4
    write(AVERAGE.replace("0.5", "0.9"))
    with pytest.warns(UserWarning, match=f"^{SINCE}, .* train again$") as warned:
        load(run)
    assert (len(warned), warned[0].filename) == (1, __file__)
    said = call("predict.py", "run", "1", "2", "3", "--cell", "average_of_all.py", cwd=".")
    assert "4 of 9 sequences" in said.stderr.partition(SINCE)[2]
    assert len(said.stdout.split()) == 3
