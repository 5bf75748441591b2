"""`study` and `sweep`: what is listed, shown and written, and what is refused before a run."""

import contextlib
import os
import shutil

import fabricated
import pytest
from run_folders import snapshot
from running import assert_one_sentence

from echo_jax.commands import command_line, sweep
from echo_jax.echo.studies import study_folder
from echo_jax.echo.studies.catalogue import STUDIES
from echo_jax.engine import process
from echo_jax.storage import atomic_files

STUDY = "study.py parts --out out"
SWEEP = "sweep.py --lag 0 --sequences 1 --seeds 1 --out out"


@pytest.fixture
def studied(tmp_path):
    """A folder with all rows of `parts`."""
    fabricated.write(
        tmp_path / "out" / "rows" / "parts.jsonl", fabricated.study_rows(STUDIES["parts"])
    )
    return tmp_path / "out"


def test_a_finished_study_has_its_tables_and_page(tmp_path, studied, call):
    """Others are on the page too: one that is half done, and one whose figure has curves."""
    size, curves = STUDIES["size"], STUDIES["explain"]
    fabricated.write(studied / "rows" / "size.jsonl", fabricated.study_rows(size)[:2])
    fabricated.write(studied / "rows" / "explain.jsonl", fabricated.study_rows(curves))
    assert "All grid points have results already." in call(*STUDY.split(), cwd=tmp_path).stdout
    page = (studied / "README.md").read_text()
    assert STUDIES["parts"].question in page
    assert STUDIES["state"].question not in page
    assert "echo-jax study --all --out out" in page
    points = len(size.points)
    assert f"Not finished: {points - 2} of {points} grid points are missing" in page
    before = snapshot(tmp_path)
    call(*STUDY.split(), cwd=tmp_path)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("number", process.SIGNALS)
def test_a_signal_as_the_page_is_written_says_what_is_there_and_how_to_go_on(
    tmp_path, studied, call, monkeypatch, number
):
    write = study_folder.write_folder

    def terminated(*arguments):
        os.kill(os.getpid(), number)
        write(*arguments)

    monkeypatch.setattr(study_folder, "write_folder", terminated)
    said = call(*STUDY.split(), cwd=tmp_path, status=128 + number)
    assert "\nStopped; all rows and the page are in out; to go on: " in said.stderr
    assert (studied / "README.md").exists()


def test_a_sweep_that_is_stopped_goes_on_in_the_folder_that_it_has_chosen(
    tmp_path, call, monkeypatch
):
    chosen = []

    def stop(folder, *_):
        chosen.append(folder.path)
        raise process.StoppedError("Stopped")

    monkeypatch.setattr(sweep, "run_and_print", stop)
    for line in ("sweep.py --lag 0", "sweep.py --lag 0 --out mine"):
        said = call(*line.split(), cwd=tmp_path).stderr
        assert said.endswith(f"sweep.py --lag 0 --out {chosen[-1]}\n")
    assert str(chosen[-1]) == "mine"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("study.py stat", "study 'stat' is unknown: use state"),
        ("study.py parts zzz", "study 'zzz' is unknown: use one of parts, mistake"),
        ("study.py parts --out file", "File exists"),
        ("study.py parts --out file/a", "Not a directory"),
        ("sweep.py --lag", "--lag has no value"),
        ("sweep.py --window 5 --batch", "--batch-size has no value"),
    ],
)  # fmt: skip
def test_what_makes_no_study_is_refused_and_leaves_nothing(tmp_path, call, line, sentence):
    (tmp_path / "file").write_text("mine")
    assert_one_sentence(call(*line.split(), cwd=tmp_path, status=2).stderr, sentence)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "stdin"]
    assert (tmp_path / "file").read_text() == "mine"


def damaged(out):
    path = out / "rows" / "parts.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:-40] + b"\n" + lines[2])


def replaced(name):
    """A change of one word of a page that was generated."""

    def change(out):
        (out / name).write_bytes((out / name).read_bytes().replace(b"part", b"PART", 1))

    return change


def foreign(out):
    (out / "figures" / "mine.svg").write_text("mine")


def linked(out):
    shutil.rmtree(out / "figures")
    (out / "figures").symlink_to(out / "rows")


def unsigned(out):
    (out / "folder.json").write_text('{"kind": "all studies"}')


NOT_GENERATED = "out/{} has been edited"


@pytest.mark.parametrize(
    ("change", "line", "sentence"),
    [
        (lambda out: None, SWEEP, "is the folder of all studies, not of a sweep"),
        (foreign, STUDY, NOT_GENERATED.format("figures/mine.svg")),
        *((replaced(name), STUDY, NOT_GENERATED.format(name))
          for name in ("README.md", "figures/parts.svg")),
        (linked, STUDY, "out/figures is a link"),
        (unsigned, STUDY, "folder.json is damaged"),
        (damaged, STUDY, "line 2 of out/rows/parts.jsonl"),
        (atomic_files.locked, STUDY,
         "in use by another process"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_written_to_is_left_alone(
    tmp_path, studied, call, change, line, sentence
):
    call(*STUDY.split(), cwd=tmp_path)
    with change(studied) or contextlib.nullcontext():
        before = snapshot(studied)
        assert_one_sentence(call(*line.split(), cwd=tmp_path, status=2).stderr, sentence)
        assert snapshot(studied) == before


def test_a_switch_of_a_sweep_has_words_and_the_last_option_is_compared_with_its_first_value():
    def study(words):
        return command_line.parse(sweep.SweepCommand, words.split()).study

    both = study("--stateful yes no --stateful no --lag 0")
    assert [point.name for point in both.points] == ["stateful yes", "stateful no"]
    assert both.pairs == (("stateful yes", "stateful no"),)
    assert study("--no-stateful --lag 0").points == study("--stateful no --lag 0").points
    assert not study("--lag 1").pairs
    assert study("--window 5 6 --lag 0 1 2").pairs == (
        ("window 5, lag 0", "window 5, lag 1"), ("window 5, lag 0", "window 5, lag 2"),
        ("window 6, lag 0", "window 6, lag 1"), ("window 6, lag 0", "window 6, lag 2"),
    )  # fmt: skip
