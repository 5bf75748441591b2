"""A measurement that is stopped or killed goes on from its journal, to the same card."""

import json

import numpy as np
import pytest
from tiny_cards import TINY, made_card

from echo_jax.exceptions import StorageError
from echo_jax.memory_benchmark.journal import Journal, claimed

ABOUT = {"cell": "mine", "seeds": [0, 1]}
ROWS = [{"ladder": "lag-2", "accuracy": [0.1, None, 1e-7]}]
WEIGHTS = {"cell": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}, "bias": np.ones(2)}


@pytest.fixture
def written(tmp_path):
    """A journal of two trainings."""
    (tmp_path / "j").mkdir()
    journal = Journal(tmp_path / "j")
    for call in (["a"], ["b"]):
        assert journal.next(call) is None
        journal.append(call, ROWS, WEIGHTS)
    return journal.folder


def test_what_was_written_is_read_back_in_order_bit_for_bit(written):
    again = Journal(written)
    for call in (["a"], ["b"]):
        assert again.is_ahead
        rows, weights = again.next(call)
        assert rows == ROWS
        np.testing.assert_array_equal(weights["cell"]["kernel"], WEIGHTS["cell"]["kernel"])
        assert weights["bias"].dtype == np.float64
    assert not again.is_ahead
    assert again.next(["c"]) is None
    again.append(["c"], ROWS, WEIGHTS)
    assert len(Journal(written)) == 3


@pytest.mark.parametrize("damage", ["a line", "a digest", "half a line", "weights", "no weights"])
def test_it_goes_on_before_what_is_damaged(written, damage):
    path, weights = written / "rows.jsonl", written / "1.msgpack"
    lines = path.read_text().splitlines(keepends=True)
    if damage == "a line":
        path.write_text(lines[0] + lines[1].replace("0.1", "0.2"))
    if damage == "a digest":
        path.write_text(lines[0] + json.dumps({**json.loads(lines[1]), "digest": "x"}))
    if damage == "half a line":
        path.write_text(lines[0] + lines[1][:40])
    if damage == "weights":
        weights.write_bytes(weights.read_bytes()[:-1])
    if damage == "no weights":
        weights.unlink()
    assert len(Journal(written)) == 1


def test_the_folder_of_another_measurement_is_refused_and_one_in_use_too(tmp_path):
    folder = tmp_path / "j"
    with claimed(folder, ABOUT), pytest.raises(StorageError, match="in use by another process"):
        claimed(folder, ABOUT).__enter__()
    with claimed(folder, ABOUT):
        pass
    with pytest.raises(StorageError, match="of another cell, protocol, version or device: remove"):
        claimed(folder, {**ABOUT, "seeds": [0]}).__enter__()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(StorageError, match="is a link"):
        claimed(tmp_path / "link", ABOUT).__enter__()


def same(one, other):
    """Equal raw rows, times excepted."""
    return made_card(one, TINY)["digest"] == made_card(other, TINY)["digest"]
