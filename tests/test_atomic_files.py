"""Writing that fails, in one process: the k-th system call of a run's writing, for every k."""

import errno
import hashlib
import json
import os

import numpy as np
import pytest

from echo_jax import atomic_files, machine
from echo_jax.config import NetworkConfig, RunConfig, TaskConfig, TrainingConfig
from echo_jax.core.many_seeds import state_shapes
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.runs import checkpoint, run_folder
from echo_jax.runs.checkpoint import Saved
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.run_folder import Inputs

CONFIG = RunConfig(
    TaskConfig(length=6, vocab_size=4, window=2, lag=1, batch_size=2),
    NetworkConfig(hidden_size=2),
    TrainingConfig(sequences=9),
    seeds=2,
)
CALLS = ("open", "write", "fsync", "replace")


@pytest.fixture(scope="module")
def shapes():
    return state_shapes(CONFIG)


def saved_after(sequences, shapes):
    """A state and a history that differ for every number of sequences."""
    import jax

    rng = np.random.default_rng(sequences)
    state = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shapes)
    history = History(CONFIG)
    whole = np.random.default_rng(0).random((2, 2, 9), np.float32)
    history.append(*whole[:, :, :sequences])
    return Saved(state, history)


def same(a, b):
    import jax

    pairs = zip(jax.tree.leaves(a.state), jax.tree.leaves(b.state), strict=True)
    return a.history.text() == b.history.text() and all(np.array_equal(x, y) for x, y in pairs)


class Faults:
    """Counts the system calls that write, and fails one of them."""

    def __init__(self, monkeypatch, fails=None, error=errno.ENOSPC):
        self.log, self._fails, self._error = [], fails, error
        for name in ("open", "fsync", "replace"):
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name)))
        monkeypatch.setattr("builtins.open", self._wrap_file(open))

    def _count(self, name, what):
        self.log.append((name, what))
        if len(self.log) - 1 == self._fails:
            raise OSError(self._error, os.strerror(self._error))

    def _wrap(self, name, call):
        def wrapped(first, *rest, **options):
            writes = name != "open" or rest[0] & (os.O_WRONLY | os.O_DIRECTORY)
            if writes:
                target = os.readlink(f"/proc/self/fd/{first}") if name == "fsync" else first
                self._count(name, os.path.basename(str(target)))
            return call(first, *rest, **options)

        return wrapped

    def _wrap_file(self, call):
        def wrapped(file, mode="r", *rest, **options):
            opened = call(file, mode, *rest, **options)
            return TornFile(opened, self._count) if mode == "wb" else opened

        return wrapped


class TornFile:
    """Half of the bytes reach the disk before it is found to be full."""

    def __init__(self, file, count):
        self._file, self._count = file, count
        self._name = os.path.basename(os.readlink(f"/proc/self/fd/{file.fileno()}"))

    def write(self, data):
        self._file.write(data[: len(data) // 2])
        self._count("write", self._name)
        self._file.write(data[len(data) // 2 :])

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self._file.close()


def test_a_file_is_synced_before_it_takes_its_name_and_its_folder_after(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        faults = Faults(patch)
        atomic_files.write_bytes(tmp_path / "a.json", b"new")
    folder = tmp_path.name
    assert faults.log == [
        ("open", ".a.json.part"),
        ("write", ".a.json.part"),
        ("fsync", ".a.json.part"),
        ("replace", ".a.json.part"),
        ("open", folder),
        ("fsync", folder),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def writing(folder, shapes, until=3):
    """All that a run writes until its third checkpoint."""
    run_folder.write_inputs(folder, Inputs(CONFIG))
    for sequences in (2, 5, 9)[:until]:
        checkpoint.save(folder, Inputs(CONFIG), saved_after(sequences, shapes))


def number_of_calls(tmp_path, monkeypatch, shapes):
    with monkeypatch.context() as patch:
        faults = Faults(patch)
        writing(tmp_path, shapes)
    return len(faults.log)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_whatever_call_fails_the_old_or_the_new_checkpoint_is_whole(
    tmp_path, monkeypatch, shapes, error
):
    (tmp_path / "count").mkdir()
    calls = number_of_calls(tmp_path / "count", monkeypatch, shapes)
    assert calls == 6 * (1 + 2 * 3)
    found = []
    for k in range(calls):
        folder = tmp_path / str(k)
        folder.mkdir()
        with monkeypatch.context() as patch:
            Faults(patch, fails=k, error=error)
            with pytest.raises(StorageError, match=r"cannot be written \("):
                writing(folder, shapes)
        assert not list(folder.glob(".*.part"))
        if k < 6:
            assert not list(folder.iterdir())
            found.append(None)
            continue
        inputs = run_folder.read_inputs(folder)
        loaded = checkpoint.load(folder, inputs, shapes)
        done = loaded.history.sequences if loaded else 0
        assert loaded is None or same(loaded, saved_after(done, shapes))
        lines = (folder / "metrics.csv").read_text().splitlines() if k > 10 else ["header"]
        assert len(lines) - 1 in (2 * done, 2 * {0: 2, 2: 5, 5: 9, 9: 9}[done])
        found.append(done)
        checkpoint.save(folder, inputs, saved_after(9, shapes))  # and it goes on
        assert same(checkpoint.load(folder, inputs, shapes), saved_after(9, shapes))
    assert set(found) == {None, 0, 2, 5, 9}
    assert found[6:] == sorted(found[6:])


def test_what_a_kill_left_half_written_is_in_nobodys_way(tmp_path, shapes):
    writing(tmp_path, shapes, until=1)
    for name in (".checkpoint.msgpack.part", ".metrics.csv.part", ".config.json.part"):
        (tmp_path / name).write_bytes(b"half a ")
    run_folder.write_config(tmp_path, Inputs(CONFIG))
    checkpoint.save(tmp_path, Inputs(CONFIG), saved_after(5, shapes))
    assert same(checkpoint.load(tmp_path, Inputs(CONFIG), shapes), saved_after(5, shapes))
    assert not list(tmp_path.glob(".*.part"))


def test_a_link_in_the_place_of_a_half_written_file_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".a.json.part").symlink_to(tmp_path / "precious")
    atomic_files.write_bytes(tmp_path / "a.json", b"new")
    assert (tmp_path / "precious").read_text() == "mine"
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_metrics_beyond_the_checkpoint_are_left_out_and_missing_ones_are_noticed(tmp_path, shapes):
    writing(tmp_path, shapes, until=2)
    metrics = tmp_path / "metrics.csv"
    whole = metrics.read_bytes()
    metrics.write_bytes(whole + b"0,6,0.5,0.5\n1,6,0.")
    assert same(checkpoint.load(tmp_path, Inputs(CONFIG), shapes), saved_after(5, shapes))
    for damaged in (whole[:-1], whole[:40], b"", whole.replace(b"5", b"6")):
        metrics.write_bytes(damaged)
        with pytest.raises(StorageError, match=r"metrics\.csv is damaged before the line"):
            checkpoint.load(tmp_path, Inputs(CONFIG), shapes)


def test_the_lines_of_the_metrics_do_not_depend_on_how_they_were_cut():
    loss, accuracy = np.random.default_rng(1).random((2, 2, 9), np.float32)
    whole, cut = History(CONFIG), History(CONFIG)
    whole.append(loss, accuracy)
    for chunk in ([0, 1, 2], [3], [4, 5, 6, 7, 8]):
        cut.append(loss[:, chunk], accuracy[:, chunk])
    assert whole.text() == cut.text()
    lines = whole.text().decode().splitlines()
    assert lines[0] == "seed,sequence,loss,accuracy"
    assert [line.split(",")[:2] for line in lines[1:4]] == [["0", "1"], ["1", "1"], ["0", "2"]]


def test_curves_come_back_from_the_metrics_bit_for_bit():
    values = np.array([[0.05, 1 / 3, np.pi * 1e-8, 4.60517, 1e30], [0, 1, np.nan, np.inf, 2e-45]])
    values = values.astype(np.float32)
    history = History(CONFIG)
    history.append(values, values[:, ::-1])
    again = History.of_text(CONFIG, history.text())
    for mine, theirs in zip(history.curves(), again.curves(), strict=True):
        assert mine.tobytes() == theirs.tobytes()
    assert again.bad.tolist() == [False, True]


def test_of_a_run_for_longer_the_checkpoint_is_the_same_and_of_another_run_it_is_refused(
    tmp_path, shapes
):
    import dataclasses

    writing(tmp_path, shapes)
    longer = dataclasses.replace(CONFIG, training=TrainingConfig(sequences=90))
    other = dataclasses.replace(CONFIG, seed=1)
    assert same(checkpoint.load(tmp_path, Inputs(longer), shapes), saved_after(9, shapes))
    with pytest.raises(StorageError, match=r"is not of the run in config\.json"):
        checkpoint.load(tmp_path, Inputs(other), shapes)


def test_a_json_file_is_believed_only_with_its_digest(tmp_path):
    path = tmp_path / "a.json"
    atomic_files.write_json(path, {"b": [1, 2.5, None], "a": "é"})
    assert atomic_files.read_json(path) == {"b": [1, 2.5, None], "a": "é"}
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"b": [1, 2.5, 0]}))
    with pytest.raises(StorageError, match=r"a\.json is damaged, its digest is not"):
        atomic_files.read_json(path)


def test_more_memory_than_there_is_is_not_asked_for():
    machine.check_memory(machine.memory())
    with pytest.raises(ConfigError, match=r"GiB are needed at the least and this machine has"):
        machine.check_memory(machine.memory() + 1)


def test_a_generated_file_ends_with_the_digest_of_the_rest_and_gives_way_to_the_next(tmp_path):
    path = tmp_path / "a.md"
    atomic_files.write_generated(path, "# é\n\n\n")
    text = "# é\n".encode()
    assert path.read_bytes() == (
        text
        + f"<!-- generated by echo_jax, sha256 {hashlib.sha256(text).hexdigest()} -->\n".encode()
    )
    atomic_files.write_generated(path, "other")
    assert path.read_bytes().startswith(b"other\n<!-- generated")
    before = path.read_bytes()
    atomic_files.write_generated(path, "other\n")
    assert path.read_bytes() == before
    atomic_files.write_generated(path, before.decode())  # a text that has such a line already
    atomic_files.write_generated(path, "last")
    assert path.read_bytes().startswith(b"last\n<!-- generated")


def changes(path):
    """What someone may have done to a generated file: each is theirs and no longer ours."""
    whole = path.read_bytes()
    yield "a word", whole.replace(b"mine", b"yours")
    yield "a line more at the end", whole + b"my notes\n"
    yield "a line more at the start", b"my notes\n" + whole
    yield "the digest", whole[:-10] + b"0" + whole[-9:]
    yield "no digest", whole[: whole.index(b"<!--")]
    yield "cut", whole[:-1]
    yield "other line ends", whole.replace(b"\n", b"\r\n")
    yield "nothing left", b""


def test_a_generated_file_that_was_changed_or_is_someone_elses_is_not_overwritten(tmp_path):
    path = tmp_path / "index.html"
    atomic_files.write_generated(path, "<p>mine</p>\n<p>more</p>")
    for what, data in list(changes(path)):
        path.write_bytes(data)
        with pytest.raises(StorageError) as said:
            atomic_files.write_generated(path, "new")
        assert str(said.value) == (
            f"{path} is not as it was generated, and would be overwritten: move it to another name"
        ), what
        assert path.read_bytes() == data, what


def test_a_generated_file_is_not_written_through_a_link_or_over_a_folder(tmp_path):
    atomic_files.write_generated(tmp_path / "mine", "mine")
    before = (tmp_path / "mine").read_bytes()
    for name, target in {"link": tmp_path / "mine", "dangling": tmp_path / "nowhere"}.items():
        (tmp_path / name).symlink_to(target)
        with pytest.raises(StorageError, match=rf"{name} cannot be read \(it is a link\)"):
            atomic_files.write_generated(tmp_path / name, "new")
    assert (tmp_path / "mine").read_bytes() == before
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder is no regular file"):
        atomic_files.write_generated(tmp_path / "folder", "new")


@pytest.mark.parametrize("k", range(6))
def test_whatever_call_fails_the_old_or_the_new_generated_file_is_whole(tmp_path, monkeypatch, k):
    path = tmp_path / "a.svg"
    atomic_files.write_generated(path, "old")
    with monkeypatch.context() as patch:
        Faults(patch, fails=k)
        with pytest.raises(StorageError, match="cannot be written"):
            atomic_files.write_generated(path, "new")
    assert path.read_bytes().startswith(b"new\n" if k > 3 else b"old\n")
    atomic_files.write_generated(path, "newer")  # it is still ours
    assert path.read_bytes().startswith(b"newer\n")
