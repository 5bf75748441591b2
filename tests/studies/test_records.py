"""Files of rows: what is written comes back, what was changed is refused, and who is whose row."""

import json
import os
import shutil

import numpy as np
import pytest
from fabricated import row

from echo_jax.config import ADDED_LATER, SECTION, RunConfig, TaskConfig, changed
from echo_jax.exceptions import StorageError
from echo_jax.report import number_formats
from echo_jax.studies import records
from echo_jax.studies.catalogue import Cell

CELL = Cell({"lag": 1, "network": "a"}, changed(RunConfig(), seeds=3), ("other_state",))


@pytest.fixture
def file(tmp_path):
    """Three rows in a file."""
    for rng in range(3):
        records.append(tmp_path / "a.jsonl", row(CELL, rng))
    return tmp_path / "a.jsonl"


def test_rows_come_back_as_they_were_in_their_order(file):
    assert records.read(file) == [row(CELL, rng) for rng in range(3)]
    assert len({each["digest"] for each in records.read(file)}) == 3


def test_where_there_is_no_file_there_are_no_rows(tmp_path):
    assert records.read(tmp_path / "a.jsonl") == []


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_an_append_that_fails_leaves_the_rows_that_were_there(file, monkeypatch, call):
    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        with pytest.raises(StorageError, match="No space left"):
            records.append(file, row(CELL, 3))
    assert records.read(file) == [row(CELL, rng) for rng in range(3)]
    records.append(file, row(CELL, 3))
    assert records.read(file) == [row(CELL, rng) for rng in range(4)]


def test_a_last_line_that_an_editor_left_without_its_end_is_not_run_into_the_next(file):
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    records.append(file, row(CELL, 3))
    assert records.read(file) == [row(CELL, rng) for rng in range(4)]


def signed(changes, without=()):
    """A line whose digest is right, of a row that is not."""
    made = {k: v for k, v in (row(CELL, 1) | changes).items() if k not in without}
    return json.dumps(made | {"digest": records.digest(made)}).encode()


def unsigned(changes):
    return json.dumps(row(CELL, 1) | changes).encode()


def with_task(**fields):
    config = CELL.identity["config"]
    return {"config": config | {"task": config["task"] | fields}}


DAMAGED = {
    "a changed number": lambda line: line.replace(b'"sequences": 2000', b'"sequences": 2001', 1),
    "a changed label": lambda line: line.replace(b'"network": "a"', b'"network": "b"', 1),
    "cut": lambda line: line[: len(line) // 2],
    "empty": lambda line: b"",
    "not JSON": lambda line: b"rows: 3",
    "no table": lambda line: b"[1, 2]",
    "a number": lambda line: b"7",
    "no UTF-8": lambda line: line.replace(b"network", b"netw\xff\xferk"),
    "too deep": lambda line: b"[" * 100_000,
    "no digest": lambda line: line[: line.index(b', "digest"')] + b"}",
    "a field gone": lambda line: unsigned({"trained": None}),
    "no number": lambda line: line.replace(b'"bytes": ', b'"bytes": NaN, "b": '),
    "no labels": lambda line: signed({}, without=("labels",)),
    "a configuration that cannot be": lambda line: signed(with_task(window=0)),
    "a configuration of fields unknown": lambda line: signed(with_task(wine=0)),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_line_is_refused_by_its_number(file, kind):
    lines = file.read_bytes().splitlines()
    damaged = DAMAGED[kind](lines[1])
    assert damaged != lines[1]
    file.write_bytes(b"\n".join([lines[0], damaged, lines[2], b""]))
    with pytest.raises(StorageError) as said:
        records.read(file)
    assert str(said.value) == (
        f"{file} is damaged in line 2, its digest is not that of its content: remove that line, "
        "and its cell is run again"
    )
    file.write_bytes(lines[0] + b"\n" + lines[2] + b"\n")  # which is what to do
    assert records.read(file) == [row(CELL, 0), row(CELL, 2)]


def test_rows_are_not_read_through_a_link(file, tmp_path):
    (tmp_path / "b.jsonl").symlink_to(file)
    with pytest.raises(StorageError, match=r"b\.jsonl is not a regular file: use the"):
        records.read(tmp_path / "b.jsonl")
    shutil.copy(file, tmp_path / "c.jsonl")
    assert len(records.read(tmp_path / "c.jsonl")) == 3


def test_a_row_from_before_a_field_was_there_is_that_of_its_default():
    new = row(CELL, 0)
    old = json.loads(json.dumps(new))
    for name in ADDED_LATER:
        del old["config"][SECTION[name]][name]
    assert records.key(old) == records.key(new) == records.key(CELL.identity)
    assert records.digest(old) != records.digest(new)


def test_every_change_of_a_cell_is_another_key():
    base = Cell({"a": 1}, RunConfig(TaskConfig(layout="prefixes")), ("probe",))
    fields = {
        "length": 26, "vocab_size": 9, "window": 4, "lag": 2, "batch_size": 4, "layout": "windows",
        "missing": "token", "framing": "values", "cell": "gru", "hidden_size": 9, "stateful": False,
        "encoding": "embedding", "sequences": 9, "learning_rate": 0.5,
        "optimizer": "keras-adam", "bptt_batches": 2, "seed": 1, "seeds": 2,
        "evaluation_sequences": 9, "held_out": 0.5,
    }  # fmt: skip
    others = [Cell({"a": 1}, changed(base.config, **{k: v}), ("probe",)) for k, v in fields.items()]
    wide = changed(base.config, encoding="embedding", embedding_dim=9)
    others += [
        Cell({"a": 1}, wide, ("probe",)),
        Cell({"a": 2}, base.config, ("probe",)),
        Cell({"b": 1}, base.config, ("probe",)),
        Cell({"a": 1}, base.config, ()),
        Cell({"a": 1}, base.config, ("follows",)),
        Cell({"a": 1}, base.config, ("probe",), until_learned=True),
    ]
    keys = [records.key(cell.identity) for cell in [base, *others]]
    assert len(set(keys)) == len(others) + 1
    whatever = Cell({"a": 1}, base.config, ("probe",), in_fast=False)
    assert records.key(whatever.identity) == keys[0]


def test_the_digest_is_of_all_but_seconds_versions_and_date():
    made = row(CELL, 0)
    for name in made:
        same = name in ("seconds", "versions", "date", "digest")
        assert (records.digest(made | {name: "other"}) == records.digest(made)) == same, name


def test_plain_values_are_lists_of_six_digits_and_none_for_no_number():
    tree = {
        "a": np.array([[1 / 3, np.nan], [np.inf, -123456.78]], np.float32),
        "b": (np.int32(3), True, "x", None),
        "c": {"d": np.float32(0.1), "e": np.array([1, 2])},
        "f": np.bool_(True),
    }
    assert number_formats.plain(tree) == {
        "a": [[0.333333, None], [None, -123457.0]],
        "b": [3, True, "x", None],
        "c": {"d": 0.1, "e": [1, 2]},
        "f": True,
    }
    assert number_formats.plain(np.pi, digits=3) == 3.14
    assert json.dumps(number_formats.plain(tree), allow_nan=False)
