import re

import pytest

from echo_jax.config import DataConfig, RunConfig, changed
from echo_jax.echo.run.own_data import read_inputs
from echo_jax.exceptions import ConfigError
from echo_jax.storage.vocabulary import encode


def column_of(folder, values):
    """The path of a CSV file with a column n of some values."""
    path = folder / "my.csv"
    path.write_text("\n".join(["n", *map(str, values)]))
    return path


def inputs_of(path, **fields):
    data = DataConfig(csv=path) if path.suffix == ".csv" else DataConfig(text=path)
    return read_inputs(changed(RunConfig(), **vars(data) | fields))


def test_a_column_becomes_the_inputs_of_a_run(tmp_path):
    inputs = inputs_of(column_of(tmp_path, [7, -3, 7, 12, 7] * 20), length=10, held_out=0.3)
    assert (inputs.config.task.vocab_size, inputs.config.data.column) == (3, "n")
    assert inputs.values == ["-3", "7", "12"]
    assert inputs.tokens.tolist() == [1, 0, 1, 2, 1] * 20
    assert [part.tolist() for part in inputs.corpus()] == [
        [1, 0, 1, 2, 1] * 14,
        [1, 0, 1, 2, 1] * 6,
    ]


def test_a_text_is_its_characters_and_any_white_space_is_one_that_is_a_value(tmp_path):
    text = tmp_path / "my.txt"
    text.write_text("\ufeff" + "  to\tbe\r\n\n or\u00a0not\n" * 5, encoding="utf-8")
    inputs = inputs_of(text, length=10, held_out=0.4)
    assert inputs.values == [" ", "b", "e", "n", "o", "r", "t"]
    words = [inputs.values[token] for token in inputs.tokens]
    assert "".join(words) == " ".join(["to be or not"] * 5)
    assert encode(inputs.vocabulary, [" ", "  ", " b ", "b"]).tolist() == [0, 0, 1, 1]
    text.write_text("a\x1bb" * 50)
    with pytest.raises(ConfigError, match=r"^value '\\x1b' is blank.*\(text .*my.txt\)"):
        inputs_of(text)


def test_values_of_the_held_out_part_alone_are_unknown_words(tmp_path):
    values = ["low", "high"] * 40 + ["Peak", "low"] * 10
    vocabulary = inputs_of(column_of(tmp_path, values), length=10).vocabulary
    with pytest.raises(ConfigError, match="'Peak' at position 2 occurs only in the held-out"):
        encode(vocabulary, ["low", "Peak"])
    assert encode(vocabulary, ["low", "Peak", "high"], "skip").tolist() == [2, -1, 1]


@pytest.mark.parametrize(
    ("values", "fields", "sentence"),
    [
        ([1] * 99, {}, "vocabulary of one value, '1', is too small"),
        ([1, 2] * 50, {"vocab_size": 7}, "vocab_size=7 is not 2, the number of different values"),
        ([1, 2] * 50, {"held_out": 0.1}, "held_out=0.1 leaves 90 of 100 values"),
        ([1, "b" * 101], {}, "value '" + "b" * 59 + "... is longer than 100 characters"),
    ],
)
def test_a_column_that_cannot_be_trained_on_is_refused_by_name(tmp_path, values, fields, sentence):
    path = column_of(tmp_path, values)
    with pytest.raises(ConfigError, match="^" + re.escape(sentence)) as refusal:
        inputs_of(path, **fields)
    assert f"(column n of {path})" in str(refusal.value)
