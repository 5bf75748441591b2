"""A folder of studies is made, or refused before anything in it is changed."""

from pathlib import Path

import pytest

from echo_jax.exceptions import StorageError
from echo_jax.studies import study_folder

KINDS = ("all studies", "a sweep")


@pytest.mark.parametrize("out", ["", ".", "a/..", "absolute"])
def test_the_current_folder_is_no_folder_of_studies(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match=r"^the current folder is no place for rows and pages: "):
        study_folder.claim(tmp_path if out == "absolute" else Path(out), KINDS[0])
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_of_one_kind(tmp_path, kind):
    for _ in range(2):
        study_folder.claim(tmp_path, kind)
    for other in set(KINDS) - {kind}:
        with pytest.raises(StorageError, match=f" is of {kind}, and this is {other}: use another"):
            study_folder.claim(tmp_path, other)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("folder.json", '{"kind": "all studies"}',
         "folder.json is damaged, its digest is not that of its content: use another folder than"),
        *((name, "mine", f"{name} is not as it was generated, and would be overwritten: move it")
          for name in ("README.md", "figures/mine.svg")),
        ("a\0b", "", "there is a NUL in its name"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_claimed_is_left_as_it_is(tmp_path, name, content, sentence):
    (tmp_path / "figures").mkdir()
    if content:
        (tmp_path / name).write_text(content)
    with pytest.raises(StorageError, match=sentence):
        study_folder.claim(tmp_path if content else tmp_path / name, KINDS[0])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.read_text() for path in files] == [content] * bool(content)


@pytest.mark.parametrize("name", ["rows", "figures"])
def test_a_link_to_elsewhere_is_not_followed(tmp_path, name):
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    for folder in (elsewhere, out):
        folder.mkdir()
    (out / name).symlink_to(elsewhere)
    with pytest.raises(StorageError, match=f"out/{name} is a link, and nothing behind a link is"):
        study_folder.claim(out, KINDS[0])
    assert not any(elsewhere.iterdir())
