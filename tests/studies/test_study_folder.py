"""A folder of studies is made, or refused before anything in it is changed."""

from pathlib import Path

import pytest
from fabricated import study_rows, write

from echo_jax import exceptions
from echo_jax.studies import study_folder
from echo_jax.studies.catalogue import STUDIES, fast


def refusal(out, kind="all studies"):
    with pytest.raises(exceptions.StorageError) as refused:
        study_folder.claim(out, kind)
    return str(refused.value)


@pytest.mark.parametrize("out", ["", ".", "a/..", "absolute"])
def test_the_current_folder_is_no_folder_of_studies(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    assert refusal(tmp_path if out == "absolute" else Path(out)) == (
        "the current folder is no place for rows and pages: name a folder of their own with --out"
    )
    assert not any(tmp_path.iterdir())


def test_a_folder_is_of_one_kind(tmp_path):
    kinds = ("all studies", "fast studies", "a sweep")
    for kind in kinds:
        for _ in range(2):
            study_folder.claim(tmp_path / kind, kind)
        for other in set(kinds) - {kind}:
            assert refusal(tmp_path / kind, other) == (
                f"{tmp_path / kind} is of {kind}, and this is {other}: use another folder for it"
            )


def test_an_edited_kind_is_refused(tmp_path):
    (tmp_path / "folder.json").write_text('{"kind": "all studies"}')
    assert refusal(tmp_path) == (
        f"{tmp_path}/folder.json is damaged, its digest is not that of its content: use another "
        f"folder than {tmp_path}"
    )


@pytest.mark.parametrize("name", ["index.html", "README.md", "figures/mine.svg"])
def test_a_folder_with_a_file_of_someone_else_is_not_claimed(tmp_path, name):
    (tmp_path / "figures").mkdir()
    (tmp_path / name).write_text("mine")
    assert refusal(tmp_path) == (
        f"{tmp_path}/{name} is not as it was generated, and would be overwritten: move it to "
        "another name"
    )
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "folder.json").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    assert refusal(tmp_path / "a\0b").endswith(
        "b cannot be a folder of studies (there is a NUL in its name): use another place for --out"
    )


def test_the_rows_of_a_study_are_those_of_its_grid_points_in_their_order(tmp_path):
    study, few = STUDIES["parts"], fast(STUDIES["parts"])
    rows, others = study_rows(study), study_rows(few)
    write(study_folder.rows_path(tmp_path, "parts"), [*others, *reversed(rows)])
    assert study_folder.rows_of(tmp_path, {"parts": study}) == {"parts": rows}
    assert study_folder.rows_of(tmp_path, {"parts": few}) == {"parts": others}
    assert study_folder.rows_of(tmp_path, {"state": study}) == {"state": []}
