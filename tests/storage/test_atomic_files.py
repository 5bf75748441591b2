import pytest
from disk_faults import Faults

from echo_jax.exceptions import StorageError
from echo_jax.storage import atomic_files


def test_a_file_is_synced_before_it_takes_its_name_and_its_folder_after(tmp_path, monkeypatch):
    """A link in the place of the half-written file is not followed."""
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".a.json.part").symlink_to(tmp_path / "precious")
    with monkeypatch.context() as patch:
        faults = Faults(patch)
        atomic_files.write_bytes(tmp_path / "a.json", b"new")
    staged, folder = ".a.json.part", tmp_path.name
    assert faults.log == [
        *[(call, staged) for call in ("open", "write", "fsync", "replace")],
        *[("open", folder), ("fsync", folder)],
    ]
    contents = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert contents == {"a.json": b"new", "precious": b"mine"}


def test_a_json_file_is_believed_only_with_its_digest(tmp_path):
    path = tmp_path / "a.json"
    atomic_files.write_json(path, {"b": [1, 2.5, None], "a": "é"})
    assert atomic_files.read_json(path) == {"b": [1, 2.5, None], "a": "é"}
    text = path.read_text()
    path.write_text(text.replace("{", '{"b": 7, ', 1))  # the second one would be believed
    with pytest.raises(StorageError, match=r"a\.json is damaged"):
        atomic_files.read_json(path)


@pytest.mark.parametrize("flock", [True, False])
def test_a_folder_is_locked_once(tmp_path, monkeypatch, flock):
    if not flock:
        monkeypatch.setattr(atomic_files, "fcntl", None)
    with atomic_files.locked(tmp_path):
        assert_refused(tmp_path, "is in use by another process: wait until it has ended")
    with atomic_files.locked(tmp_path):
        pass
    if not flock:
        (tmp_path / ".lock").unlink(missing_ok=True)
        (tmp_path / ".lock").symlink_to("behind")
        assert_refused(tmp_path, "is a link")
        assert not (tmp_path / "behind").exists()


def assert_refused(folder, words):
    with pytest.raises(StorageError, match=words), atomic_files.locked(folder):
        pass


def test_a_generated_file_gives_way_to_the_next_and_an_edited_one_does_not(tmp_path):
    path, mine = tmp_path / "a.md", tmp_path / "b.pdf"
    atomic_files.write_generated(path, b"one")
    atomic_files.write_generated(path, b"two")
    assert path.read_bytes() == b"two"
    path.write_bytes(b"edited")
    mine.write_bytes(b"of the user")
    for there in (path, mine):
        before = there.read_bytes()
        with pytest.raises(StorageError, match=f"{there.name} has been edited since"):
            atomic_files.write_generated(there, b"new")
        assert there.read_bytes() == before


@pytest.mark.parametrize("k", range(12))
def test_whatever_call_fails_a_generated_file_is_whole_and_still_known(tmp_path, monkeypatch, k):
    """Twice in a row, which the ledger must survive too."""
    path = tmp_path / "a.pdf"
    atomic_files.write_generated(path, b"old")
    for _ in range(2):
        with monkeypatch.context() as patch:
            Faults(patch, fails=k)
            with pytest.raises(StorageError, match="cannot be written"):
                atomic_files.write_generated(path, b"new")
    assert path.read_bytes() == (b"new" if k > 9 else b"old")
    atomic_files.write_generated(path, b"newer")


@pytest.mark.parametrize("ledger", [b"\xff", b"[]", b"{}", b"[" * 100_000])
def test_a_damaged_ledger_is_refused_by_name(tmp_path, ledger):
    (tmp_path / ".generated").write_bytes(ledger)
    with pytest.raises(StorageError, match=r"\.generated is damaged"):
        atomic_files.write_generated(tmp_path / "a.pdf", b"new")
    assert not (tmp_path / "a.pdf").exists()


def test_a_generated_file_is_not_written_through_a_link_or_over_a_folder(tmp_path):
    atomic_files.write_generated(tmp_path / "mine", b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    for name in ("link", "dangling", "folder"):
        with pytest.raises(StorageError, match=rf"{name} is not a regular file"):
            atomic_files.write_generated(tmp_path / name, b"new")
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()
