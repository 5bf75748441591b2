"""Files of rows: what is written comes back, what was changed is refused, and the keys of rows."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import msgspec
import pytest
from fabricated import row

from echo_jax.config import RunConfig, changed
from echo_jax.echo.studies import result_rows
from echo_jax.echo.studies.grid_point import GridPoint
from echo_jax.echo.studies.result_rows import RESULT_ROWS
from echo_jax.engine.grid import missing
from echo_jax.exceptions import StorageError

POINT = GridPoint({"lag": 1, "network": "a"}, changed(RunConfig(), seeds=3), ("other_state",))
DOCS = Path(__file__).parents[3] / "docs"
FILES = sorted([*DOCS.glob("results/rows/*.jsonl"), DOCS / "play" / "sweep.jsonl"])
PUBLISHED = json.loads(Path(__file__).with_name("published_rows.json").read_text())
"""By file the SHA-256 of the digests of its rows, in their order."""


@pytest.fixture
def file(tmp_path):
    """Three rows in a file."""
    for rng in range(3):
        RESULT_ROWS.append(tmp_path / "a.jsonl", [row(POINT, rng)])
    return tmp_path / "a.jsonl"


def test_rows_come_back_as_they_were_in_their_order(file):
    assert RESULT_ROWS.read(file) == [row(POINT, rng) for rng in range(3)]
    assert len({json.loads(line)["digest"] for line in file.read_text().splitlines()}) == 3
    assert RESULT_ROWS.read(file.with_name("none.jsonl")) == []


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_an_append_that_fails_leaves_the_rows_that_were_there(file, monkeypatch, call):
    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        with pytest.raises(StorageError, match="No space left"):
            RESULT_ROWS.append(file, [row(POINT, 3)])
    assert RESULT_ROWS.read(file) == [row(POINT, rng) for rng in range(3)]
    file.write_bytes(file.read_bytes().rstrip(b"\n"))  # an editor took the end of the last line
    RESULT_ROWS.append(file, [row(POINT, 3)])
    assert RESULT_ROWS.read(file) == [row(POINT, rng) for rng in range(4)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_committed_rows_are_those_that_were_published_and_would_be_written_as_they_are(path):
    lines = path.read_bytes().splitlines(keepends=True)
    assert list(map(RESULT_ROWS.line, RESULT_ROWS.read(path))) == lines
    digests = "".join(json.loads(line)["digest"] for line in lines)
    assert hashlib.sha256(digests.encode()).hexdigest() == PUBLISHED[path.stem]


def test_a_row_of_a_users_cell_is_that_of_one_text_of_its_file(tmp_path):
    texts = {text: dataclasses.replace(POINT, cell_source=64 * text) for text in "ab"}
    rows = [row(POINT, 0), *(row(point, 1) for point in texts.values())]
    for each in rows:
        RESULT_ROWS.append(tmp_path / "a.jsonl", [each])
    assert RESULT_ROWS.read(tmp_path / "a.jsonl") == rows
    assert [each.grid_point.cell_source for each in rows] == [None, 64 * "a", 64 * "b"]
    assert len({each.key for each in rows}) == 3
    assert result_rows.finished([texts["a"]], rows) == [rows[1]]
    assert missing([texts["a"]], [rows[0], rows[2]]) == [texts["a"]]
    assert texts["a"].program != texts["b"].program


def resigned(**changes):
    """A line of a row with changes and the digest that belongs to them."""
    values = RESULT_ROWS.encode(row(POINT, 1)) | changes
    return json.dumps(values | {"digest": RESULT_ROWS.digest(values)}).encode()


def with_task(**fields):
    config = msgspec.to_builtins(POINT.config)
    return {"config": config | {"task": config["task"] | fields}}


def with_scores(**scores):
    return {"by_seed": msgspec.to_builtins(row(POINT, 1).by_seed) | scores}


PROBE = {"network": [0.5] * 3, "before": [[0.5] * 9] * 3, "after": [[0.5] * 9] * 3}
OTHER_DIGEST = "its digest does not match"
REFUSED = [
    (lambda line: line.replace(b'"sequences":2000', b'"sequences":2001', 1), OTHER_DIGEST),
    (lambda line: line[: line.index(b',"digest"')] + b"}", OTHER_DIGEST),
    (lambda line: line[: len(line) // 2], "line 1 column"),
    (lambda line: b"[" * 100_000, "maximum recursion depth exceeded"),
    (lambda line: line.replace(b"{", b'{"point":"",', 1), "a name occurs twice"),
    ({"seconds": {}}, "the seconds of the training are missing"),
    ({"date": 5}, "Expected `date`, got `int` - at `$.date`"),
    (with_scores(accuracy=[0.5] * 100_000), "accuracy has 100000 values for 3 seeds"),
    ({"accuracy_by_position": [0.5] * 21}, "accuracy_by_position does not have 20 positions"),
    (with_scores(seed=[0, 1, 1]), "the seeds differ from"),
    ({"measured": {"other_state": {"accuracy": [0.5]}}},
     "other_state accuracy has 1 values for 3 seeds"),
    ({"measured": {"probe": PROBE | {"before": [[0.5] * 9, [0.5], 0.5]}}},
     "probe before does not have shape (9,)"),
    ({"measured": {"probe": {"before": PROBE["before"]}}},
     "probe does not measure before"),
    (with_task(window=0), "window=0 is below 1: use 1 or more"),
    ({"\x1b[2J": 1}, r"Object contains unknown field `\x1b[2J`"),
]  # fmt: skip
"""How a line is edited, or what is changed in it before it is signed again; and the reason."""


@pytest.mark.parametrize(("edit", "why"), REFUSED)
def test_a_line_that_was_edited_or_breaks_the_schema_is_refused_by_its_number(file, edit, why):
    lines = file.read_bytes().splitlines()
    line = edit(lines[1]) if callable(edit) else resigned(**edit)
    assert line != lines[1]
    file.write_bytes(b"\n".join([lines[0], line, lines[2], b""]))
    with pytest.raises(StorageError) as said:
        RESULT_ROWS.read(file)
    refused, rest = str(said.value).split(why)
    assert refused.startswith(f"line 2 of {file} is not a row of results (")
    assert "): remove that line" in rest
    file.write_bytes(lines[0] + b"\n" + lines[2] + b"\n")  # the remedy
    assert RESULT_ROWS.read(file) == [row(POINT, 0), row(POINT, 2)]


def test_a_row_is_found_by_what_was_run_and_told_under_the_labels_of_today():
    """Of two rows of one key the one of the same name, else the later."""
    points = [GridPoint({"lag": n}, changed(POINT.config, lag=n)) for n in range(3)]
    old, later, other = row(points[2], 0), row(points[2], 1), row(points[0], 2)
    assert missing(points, [old, other]) == [points[1]]
    assert result_rows.finished(points, [old, other, later]) == [other, later]
    reworded = dataclasses.replace(points[2], labels={"steps back": 2})
    assert missing([reworded, points[2]], []) == [reworded]  # one run for both
    (told,) = result_rows.finished([reworded], [old, later])
    assert (told.point, told.labels) == ("steps back 2", {"steps back": 2})
    assert told.by_seed == later.by_seed
    of_both = [row(reworded, 3), later]
    assert result_rows.finished([reworded, points[2]], of_both) == of_both
