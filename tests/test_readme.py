"""What the README says that can be checked without a terminal or a stopwatch."""

import importlib
import re
import shlex
import subprocess
import sys

import pytest
from running import execute

from echo_jax.commands import command_line
from echo_jax.studies import catalogue


@pytest.fixture(scope="module")
def readme(root):
    return (root / "README.md").read_text()


def test_every_command_of_the_readme_is_understood(root, readme, monkeypatch):
    commands = set(re.findall(r"python scripts/(\w+)\.py([^`\n|#\")]*)", readme))
    assert {name for name, _ in commands} == {
        "train",
        "predict",
        "show",
        "benchmark",
        "calibrate",
        "probe",
        "study",
        "sweep",
    }
    assert len(commands) > 15
    for name, arguments in commands:
        command = getattr(
            importlib.import_module(f"echo_jax.commands.{name}"), f"{name.capitalize()}Command"
        )
        command_line.parse(command, shlex.split(arguments))


def test_every_figure_of_the_readme_is_there_and_says_what_it_shows(root, readme):
    figures = re.findall(r"!\[(.*?)\]\((.*?)\)", readme)
    assert len(figures) >= 3
    for text, path in figures:
        assert (root / path).is_file()
        assert len(text) > 30


def test_every_file_of_a_run_folder_has_its_row(readme):
    table = readme[readme.index("| file | what is in it |") :].split("\n\n")[0]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.M)
    assert [name.strip("`") for row in rows for name in row.split(", ")] == [
        "config.json",
        "vocabulary.json",
        "tokens.bin",
        "checkpoint.msgpack",
        "metrics.csv",
        "seeds.csv",
        "result.json",
        "curve.png",
    ]


def test_the_study_that_the_readme_adds_has_all_that_the_others_have(root, readme, monkeypatch):
    (example,) = re.findall(r"```python\n(from echo_jax.studies.catalogue.*?)```", readme, re.S)
    monkeypatch.setattr(catalogue, "STUDIES", dict(catalogue.STUDIES))
    exec(example, {})
    added = catalogue.STUDIES["cells"]
    assert [point.name for point in added.points] == ["cell lstm", "cell gru", "cell simple"]
    assert {point.config.network.cell for point in added.points} == {"lstm", "gru", "simple"}
    script = importlib.import_module("echo_jax.commands.study")
    monkeypatch.setattr(script, "STUDIES", catalogue.STUDIES)
    assert added.question in script.listing(script.StudyCommand())


@pytest.mark.slow
def test_the_example_of_the_readme_learns_every_lag(readme):
    (example,) = re.findall(r"```python\n(import dataclasses.*?)```", readme, re.S)
    done = subprocess.run(
        [sys.executable, "-c", example], check=True, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "[1. 1. 1.]"


@pytest.mark.slow
def test_the_example_of_the_readme_loads_what_was_trained(readme, tmp_path):
    options = ["--no-stateful", "--seeds", "4", "--sequences", "1000", "--out", "runs/part4"]
    execute("train.py", *options, cwd=tmp_path)
    (example,) = re.findall(r"```python\n(import echo_jax.*?)```", readme, re.S)
    example += "print(network.predict([1, 36, 0, 36, 21, 2]), bool(answer.exists))"
    done = subprocess.run(
        [sys.executable, "-c", example],
        check=True, cwd=tmp_path, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.stdout.strip() == "[None, None, None, None, 36, 21] False"
