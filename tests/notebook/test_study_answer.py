"""`echo_jax.study` reads the published rows, or those of a folder, and trains nothing."""

import shutil

import pytest

import echo_jax
from echo_jax.exceptions import ConfigError
from echo_jax.studies import study_folder


def test_the_published_answer_shows_itself(root):
    answer = echo_jax.study("future")
    question, said = repr(answer).splitlines()
    page = (root / "docs" / "results" / "README.md").read_text()
    assert f"## {question}" in page
    assert said in page.replace("\\", "")
    assert answer.report().startswith(question)
    assert len(answer.rows) == 2
    shown = answer._repr_html_()
    assert shown.count("<table>") == len(answer.section.tables)
    assert '<img src="data:image/svg+xml;base64,' in shown


def test_a_folder_of_the_users_own_is_read(root, tmp_path):
    rows = study_folder.rows_path(tmp_path, "parts")
    rows.parent.mkdir()
    shutil.copy(root / "docs" / "results" / "rows" / "parts.jsonl", rows)
    assert echo_jax.study("parts", tmp_path).rows == echo_jax.study("parts").rows
    with pytest.raises(ConfigError, match=r"has no rows of study state: make them with echo-jax"):
        echo_jax.study("state", tmp_path)


def test_an_unknown_study_is_refused_as_by_the_command():
    with pytest.raises(ConfigError, match=r"^study 'stat' is unknown: use state$"):
        echo_jax.study("stat")
