"""The weights that `card --keep` writes: those that were scored, read back by one call."""

import functools
import re
import sys

import jax
import msgspec
import numpy as np
import pytest
from made_up_cards import card as made_up
from made_up_cards import lag_row, stored
from safetensors.numpy import load_file
from tiny_memory import TINY

import echo_jax
from echo_jax.cells.registry import build
from echo_jax.engine.grid import Execution
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.memory import card_contents as cards
from echo_jax.memory.by_lag.lag_measurement import LagMeasurement
from echo_jax.memory.by_task.task_rows_and_bits import MeasuredTask, TaskRow
from echo_jax.memory.card import kept_weights, make_card, verify_card
from echo_jax.memory.card.train_and_score import cell_of_file, named_cell, weights_digest
from echo_jax.report.number_formats import plain
from echo_jax.storage import tensor_files

UNITS = {"features": 3}


@pytest.fixture
def carding(tmp_path, monkeypatch):
    """Makes a card of one seed, keeping weights, in the folder `cards`; its folder."""
    monkeypatch.chdir(tmp_path)

    def make(cell, name="mine", **options):
        given = {"seeds": 1, "protocol": TINY, "keep": True} | options
        echo_jax.card(cell, name=name, out="cards", **given)
        return tmp_path / "cards" / name

    return make


def files(folder):
    return sorted(path.name for path in (folder / "weights").iterdir())


def test_the_weights_of_each_run_are_those_that_were_scored(carding):
    folder = carding("gru", args=UNITS)
    card, rows = cards.read(folder)
    assert files(folder) == sorted(kept_weights.path_of(folder, row.key).name for row in rows)
    assert "seed-0-by-key-rate-0.003-4-updates.safetensors" in files(folder)
    *_, row = (row for row in rows if row.configuration.question == "by lag")
    path = kept_weights.path_of(folder, row.key)
    measurement = LagMeasurement(build("gru", UNITS), TINY)
    shapes = jax.eval_shape(measurement.init_params, jax.random.key(0))
    params, about = tensor_files.read(path, shapes, "")
    assert (about["run"], about["seed"], about["cell"]["args"]) == (row.key, 0, UNITS)
    sets = measurement.draw_sets(row.seed, weights_digest(params))
    assert plain(jax.jit(measurement.score)(params, sets).final, ".3f") == row.final
    kept = kept_weights.read(path)
    assert (kept.about.cell, kept.about.protocol) == (card.cell, TINY)
    asked = slice(TINY.asked.start, TINY.asked.stop, TINY.asked.step)
    expected = measurement.states(params, sets.final)
    np.testing.assert_allclose(kept.states(sets.final)[:, asked], expected, atol=1e-5)
    for odd in ([[16]], [[-1]], [0, 1], [[1], [1, 2]]):
        with pytest.raises(ConfigError, match=r"not integers \[streams, T\] from 0 to 15"):
            kept.states(odd)
    about["cell"]["source"] = 64 * "0"
    other_text = tensor_path(folder, about)
    with pytest.raises(ConfigError):
        kept_weights.read(other_text)
    for path in (folder / "card.json", tensor_path(folder)):
        with pytest.raises(StorageError, match=r"(is damaged|does not hold the weights)"):
            kept_weights.read(path)


def tensor_path(folder, about=None):
    """A file of other arrays."""
    tensor_files.write(folder / "a.safetensors", "state", {"a": np.ones(2)}, about or {})
    return folder / "a.safetensors"


def test_weights_are_there_before_a_row_and_a_row_without_them_is_not_made_again(
    carding, tmp_path, monkeypatch, capsys
):
    by_lag = functools.partial(carding, "simple", args=UNITS, only="by-lag")
    with monkeypatch.context() as patch:
        patch.setattr(make_card, "row_kind", None)  # the first row cannot be stored
        with pytest.raises(TypeError):
            by_lag()
    folder = tmp_path / "cards" / "mine"
    assert (len(files(folder)), cards.read(folder)[1]) == (1, [])
    by_lag()
    by_lag(keep=False, seeds=2)
    before = (folder / "rows.jsonl").read_bytes()
    by_lag(seeds=2)
    assert (len(files(folder)), (folder / "rows.jsonl").read_bytes()) == (5, before)
    assert "mine: 1 run with a row but without weights" in capsys.readouterr().out


def test_a_layer_of_pytorch_has_its_state_dict_in_the_file_and_is_read_back(
    carding, tmp_path, monkeypatch
):
    torch = pytest.importorskip("torch")
    file = tmp_path / "kept_layers.py"
    file.write_text(
        "from torch import nn\n\n\ndef make(input_size, features=3):\n"
        "    return nn.GRU(input_size, features, batch_first=True)\n"
    )
    folder = carding("kept_layers.py:make", only="by-lag")
    path = folder / "weights" / files(folder)[0]
    saved = load_file(path).items()
    arrays = {name[5:]: torch.from_numpy(x) for name, x in saved if name.startswith("cell.")}
    gru = torch.nn.GRU(16, 3, batch_first=True)
    gru.load_state_dict(arrays)
    tokens = np.random.default_rng(0).integers(16, size=(4, 9))
    with torch.no_grad():
        expected = gru(torch.nn.functional.one_hot(torch.from_numpy(tokens), 16).float())[0]
    np.testing.assert_allclose(
        kept_weights.read(path, "kept_layers.py:make").states(tokens), expected, atol=1e-6
    )
    file.write_text(f"{file.read_text()}\n\nMORE = 1\n")
    monkeypatch.delitem(sys.modules, "kept_layers")
    with pytest.raises(ConfigError, match=r"was made with another version of kept_layers\.py:make"):
        kept_weights.read(path, "kept_layers.py:make")


@pytest.mark.parametrize("source", [None, "0" * 64])
@pytest.mark.parametrize(
    "name", ["evil.py:Cell", "{}/evil.py:Cell", "evil.py", "block:evil.py:Cell", "evil:Cell"]
)
def test_no_line_of_a_strangers_cell_is_executed(tmp_path, monkeypatch, name, source):
    """Unless it is named, and then only if it is of the text that was measured."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("open('executed', 'w')\n\n\nclass Cell:\n    pass\n")
    cell = cards.MeasuredCell(name.format(tmp_path), {}, source)
    made = msgspec.structs.replace(made_up([lag_row([3.0])], "gru", name="mine"), cell=cell)
    folder = stored(made, [lag_row([3.0])], tmp_path)
    stated = kept_weights.Stated(cell, TINY, None, "seed 0", "by lag", 0, 16)
    tensor_files.write(tmp_path / "a.safetensors", "weights", {}, msgspec.to_builtins(stated))

    def read(cell=None):
        kept_weights.read(tmp_path / "a.safetensors", cell)

    def verify(cell=None):
        verify_card.verify(folder, Execution(progress=False), cell)

    for reads in (read, verify):
        for other in (None, "gru"):
            with pytest.raises(ConfigError, match=r"imported only if you name it: add cell=.*evil"):
                reads(other)
        with pytest.raises(ConfigError, match=r"was made with another version of"):
            reads(cell.name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("args", "tokens"), [(UNITS, 0), (UNITS, -3), ({"features": [3]}, 9), ({"features": 2**31}, 9)]
)
def test_impossible_sizes_in_a_strangers_file_are_one_sentence(tmp_path, args, tokens):
    cell = cards.MeasuredCell("gru", args)
    stated = kept_weights.Stated(cell, TINY, None, "seed 0", "by lag", 0, tokens)
    tensor_files.write(tmp_path / "a.safetensors", "weights", {}, msgspec.to_builtins(stated))
    with pytest.raises(StorageError, match=r"does not hold|states sizes that no cell can have"):
        kept_weights.read(tmp_path / "a.safetensors")


@pytest.mark.parametrize("units", [[3], 2**31])
def test_impossible_options_in_a_strangers_card_are_one_sentence(tmp_path, units):
    cell = cards.MeasuredCell("gru", {"features": units})
    made = msgspec.structs.replace(made_up([lag_row([3.0])], "gru", name="mine"), cell=cell)
    folder = stored(made, [lag_row([3.0])], tmp_path)
    with pytest.raises(ConfigError, match=r"^cell 'gru' fails in"):
        verify_card.verify(folder, Execution(progress=False))


def test_a_card_of_a_task_imports_no_file_and_our_cells_need_not_be_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil-task.py").write_text("open('executed', 'w')\n")
    made = made_up([], "gru", name="mine", task=MeasuredTask("evil-task", None, "0" * 64))
    row = TaskRow(0, 0.01, 3000, made.task, None, None)
    with pytest.raises(ConfigError, match="whose file a card does not name"):
        verify_card.verify(stored(made, [row], tmp_path), Execution(progress=False))
    assert not (tmp_path / "executed").exists()
    ours = cards.MeasuredCell("block:echo_jax.cells.known_memory:OrthogonalReservoir", UNITS)
    assert cell_of_file(tmp_path, ours, None).measured == ours
    for name in (
        "echo_jax.storage.atomic_files:locked",
        "echo_jax.cells.registry:build",
    ):  # no cells
        with pytest.raises(ConfigError, match="imported only if you name it"):
            cell_of_file(tmp_path, cards.MeasuredCell(name, {}), None)


def test_a_cell_that_its_module_takes_from_another_one_is_read_where_it_is_named(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "defines_it.py").write_text(
        "import flax.linen as nn\n\n\nclass Mine(nn.GRUCell):\n    pass\n"
    )
    (tmp_path / "hands_it_on.py").write_text("from defines_it import Mine\n")
    measured = named_cell("hands_it_on:Mine").measured
    assert cell_of_file(tmp_path, measured, "hands_it_on:Mine").measured == measured


def test_the_lines_of_the_page_probe_a_run(carding, root, capsys):
    page = (root / "docs/formats.md").read_text().replace("(512, 100)", "(90, 80)")
    (code,) = re.findall(r"```python\n([^`]*kept_weights.*?)```", page, re.S)
    folder = carding("gru", name="gru", args=UNITS, only="by-lag")
    (shown,) = re.findall(r"weights/.*safetensors", code)
    *_, row = cards.read(folder)[1]
    kept_weights.path_of(folder, row.key).rename(folder / shown)
    exec(compile(code, "formats.md", "exec"), {})
    assert "bits" in capsys.readouterr().out
