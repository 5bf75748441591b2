import enum
import json
import re
from pathlib import Path

import numpy as np
import pytest

from echo_jax import config as c
from echo_jax.config import DataConfig, NetworkConfig, RunConfig, TaskConfig, TrainingConfig
from echo_jax.exceptions import ConfigError


def test_the_tutorials_parts_have_its_rows():
    tasks = {name: part.task for name, part in c.PARTS.items()}
    assert tasks["current"].row_times == range(25)
    assert tasks["no-context"].row_times == range(1, 25)
    assert tasks["context"].row_times == range(5, 25)
    assert [task.updates_per_sequence for task in tasks.values()] == [25, 4, 4]
    chunks = [TaskConfig(layout="streams", lag=lag).updates_with_targets for lag in (1, 5, 11, -5)]
    assert chunks == [[0, 1, 2, 3, 4], [1, 2, 3, 4], [2, 3, 4], [0, 1, 2, 3]]
    assert RunConfig(TaskConfig(lag=1, window=5)) == c.PARTS["context"] == RunConfig()
    for config in c.PARTS.values():
        assert c.from_dict(json.loads(json.dumps(c.to_dict(config)))) == config


REFUSED = [
    (TaskConfig, "length", 0),
    (TaskConfig, "vocab_size", 1),
    (TaskConfig, "vocab_size", 2**31),
    (TaskConfig, "window", 26),
    (TaskConfig, "lag", 1.0),
    (TaskConfig, "lag", 25),
    (TaskConfig, "lag", "x" * 999),
    (TaskConfig, "layout", ["windows"]),
    (TaskConfig, "missing", "token"),
    (NetworkConfig, "cell", "lstn"),
    (NetworkConfig, "cell", "block:block:gru"),
    (NetworkConfig, "cell", None),
    (NetworkConfig, "cell", "../a:B"),
    (NetworkConfig, "embedding_dim", 8),
    (NetworkConfig, "delay_line", 3),
    (TrainingConfig, "learning_rate", float("nan")),
    (TrainingConfig, "learning_rate", 10**400),
    (TrainingConfig, "optimizer", "sgd"),
    (DataConfig, "csv", 3),
    (DataConfig, "csv", "a\nb"),
    (DataConfig, "column", "n"),
    (DataConfig, "held_out", 0.3),
    (RunConfig, "seed", -1),
]


@pytest.mark.parametrize(("kind", "field", "value"), REFUSED)
def test_a_bad_value_is_refused_with_its_field_in_one_sentence(kind, field, value):
    with pytest.raises(ConfigError) as refusal:
        kind(**{field: value})
    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"{field}=")
    assert len(str(refusal.value).splitlines()) == 1


def test_numbers_of_numpy_and_paths_are_taken_as_those_of_python_and_text():
    text = enum.Enum("Cells", {"GRU": "gru"}, type=str)  # JSON takes text and no subclass of it
    fields = {"lag": np.int64(3), "stateful": np.bool_(False), "csv": Path("my.csv")}
    config = c.changed(RunConfig(), learning_rate=np.float64(0.1), cell=text.GRU, **fields)
    assert type(config.network.cell) is str
    assert config == c.from_dict(json.loads(json.dumps(c.to_dict(config))))
    assert (config.task.lag, config.data.csv) == (3, "my.csv")
    with pytest.raises(ConfigError, match="lag"):
        c.changed(RunConfig(), lag=np.array([3]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sede": 1}, "configuration field 'sede' is unknown: the fields are data, evaluation_"),
        ({"tied": True}, "configuration field 'tied' is unknown"),
        ({"task": {"length": 25}}, "task field 'batch_size' is missing"),
        ({"task": c.to_dict(RunConfig())["task"] | {"tied": True}}, "task field 'tied' is unknown"),
        ({"data": {"column": None, "held_out": 0.2}}, "data field 'csv' is missing"),
        ({"task": None}, "task None is not a table of fields: use a table that to_dict wrote"),
        (None, "configuration [] is not a table of fields"),
    ],
)
def test_a_damaged_configuration_is_refused_in_one_sentence(change, sentence):
    values = [] if change is None else c.to_dict(RunConfig()) | change
    with pytest.raises(ConfigError, match="^" + re.escape(sentence)):
        c.from_dict(values)
