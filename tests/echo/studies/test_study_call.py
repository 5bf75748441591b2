"""`echo_jax.study` reads rows and trains nothing; `echo_jax.sweep` is the command as a call."""

import shutil

import numpy as np
import pytest

import echo_jax
from echo_jax.echo.studies import study_folder
from echo_jax.exceptions import ConfigError


def test_a_folder_of_the_users_own_is_read(root, tmp_path):
    rows = study_folder.rows_path(tmp_path, "parts")
    rows.parent.mkdir()
    shutil.copy(root / "docs" / "results" / "rows" / "parts.jsonl", rows)
    mine = echo_jax.study("parts", tmp_path)
    assert mine.rows == echo_jax.study("parts").rows
    assert "Medians over 16 seeds" in repr(mine)
    assert not mine.answer  # what was published is said of the published rows alone
    with pytest.raises(ConfigError, match="has no rows of study state"):
        echo_jax.study("state", tmp_path)
    run = echo_jax.study("parts", tmp_path, run=True, progress=False)  # it lacks nothing
    assert run.rows == mine.rows
    assert (tmp_path / "README.md").exists()
    with pytest.raises(ConfigError, match="run=True needs a place"):
        echo_jax.study("parts", run=True)


SIZES = {
    "vocab_size": 6, "length": 8, "hidden_size": 4, "batch_size": 2, "sequences": 6,
    "evaluation_sequences": 5, "seeds": 2,
}  # fmt: skip


def test_a_sweep_from_python_goes_on_in_its_folder(tmp_path, capfd):
    alone = echo_jax.sweep(window=2, lag=0, **SIZES, out=tmp_path / "here", progress=False)
    assert capfd.readouterr().out == ""
    both = echo_jax.sweep(window=np.int64(2), lag=np.arange(2), **SIZES, out=tmp_path / "here")
    assert "lag 0" not in capfd.readouterr().out  # it is there already
    assert [row.point for row in both.results] == ["lag 0", "lag 1"]
    assert both.results[0].by_seed == alone.results[0].by_seed
    assert (tmp_path / "here" / "README.md").exists()
    nowhere = echo_jax.sweep(window=2, lag=0, **SIZES, progress=False)
    assert nowhere.results[0].by_seed == alone.results[0].by_seed


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"lags": [1]}, "^lags is not an argument: use lag, or see help"),
        ({"lag": []}, "^lag has no value: give one or several values"),
        ({"lag": [0, 30], "window": 2}, "lag"),
        ({"cell": ["lstm", "gruu"]}, "gruu"),
        ({"cell": dict}, "is not a value of a sweep: use numbers, names, True or False"),
        ({"delay_line": [None, 2]}, "delay_line=None is not a value of a sweep"),
        ({"lag": [[0, 1]]}, r"lag=\[0, 1\] is not a value of a sweep"),
        ({"part": "x"}, "part='x' is unknown: use one of current"),
    ],
)
def test_a_sweep_that_cannot_be_run_is_refused_before_anything_is_made(tmp_path, values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        echo_jax.sweep(**values, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
