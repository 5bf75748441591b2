"""`echo_jax.study` reads the published rows, or those of a folder, and trains nothing."""

import shutil
import sys
import types

import pytest

import echo_jax
from echo_jax.exceptions import ConfigError
from echo_jax.studies import study_folder
from echo_jax.studies.catalogue import STUDIES


def test_the_published_answer_shows_itself():
    answer = echo_jax.study("future")
    question, said = repr(answer).splitlines()
    assert question == STUDIES["future"].question
    assert said.startswith("No. The mean accuracy is 0.96%")
    assert answer.report().startswith(f"{question}\n\n{said}")
    assert {row["lag"] for row in answer.rows} == {-1, 1}
    markdown = answer._repr_markdown_()
    assert markdown.startswith(f"## {question}\n\n> No. The mean accuracy")
    assert markdown.count("| --- |") + markdown.count("| ---: |") >= len(answer.tables)
    assert answer.figure._repr_png_().startswith(b"\x89PNG")


def test_a_folder_of_the_users_own_is_read(root, tmp_path):
    rows = study_folder.rows_path(tmp_path, "parts")
    rows.parent.mkdir()
    shutil.copy(root / "docs" / "results" / "rows" / "parts.jsonl", rows)
    mine = echo_jax.study("parts", tmp_path)
    assert mine.rows == echo_jax.study("parts").rows
    assert "Medians over 16 seeds" in repr(mine)
    assert not mine.answer  # what was published is said of the published rows alone
    with pytest.raises(ConfigError, match="has no rows of study state"):
        echo_jax.study("state", tmp_path)


def test_rows_are_a_data_frame_and_without_pandas_a_sentence(monkeypatch):
    answer = echo_jax.study("parts")
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=list))
    assert answer.to_pandas() == answer.rows
    assert [row["seed"] for row in answer.seeds] == [*range(16)] * 3
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="pandas is not installed: run pip install pandas"):
        answer.to_pandas()
