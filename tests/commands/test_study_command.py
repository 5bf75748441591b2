"""`study` and `sweep`: what is listed, shown and written, and what is refused before a run."""

import html
import re

import fabricated
import pytest

from echo_jax import atomic_files, machine
from echo_jax.config import PARTS
from echo_jax.studies import catalogue
from echo_jax.studies.catalogue import STUDIES

TINY_SWEEP = ["--lag", "0", "--sequences", "1", "--seeds", "1", "--out", "out"]
MARKED = "# Mine\n<!-- studies -->\n<!-- end of studies -->\nend\n"
NO_MARKS = "R has no lines <!-- studies --> and <!-- end of studies -->: put them where it belongs"


@pytest.fixture
def studied(tmp_path):
    """A folder with all rows of `parts`."""
    path = tmp_path / "out" / "rows" / "parts.jsonl"
    fabricated.write(path, fabricated.study_rows(STUDIES["parts"]))
    return tmp_path / "out"


@pytest.fixture
def nothing_is_run(monkeypatch):
    """A sweep that is begun fails."""

    def begun(*_):
        raise AssertionError("begun")

    monkeypatch.setattr("echo_jax.studies.sweep.complete", begun)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(call, cwd, *arguments, script="study.py"):
    said = call(script, *arguments, cwd=cwd, status=2)
    assert said.stderr.startswith("error: ")
    assert said.stderr.count("\n") == 1
    return said.stderr[7:-1]


def test_studies_are_listed_with_their_questions(tmp_path, call):
    lines = call("study.py", cwd=tmp_path).stdout.splitlines()
    assert lines[0].split() == ["study", "grid", "points", "minutes", "here", "question"]
    for line, (name, study) in zip(lines[1:], STUDIES.items(), strict=False):
        pattern = rf"{name} +{len(study.points)} +[\d.]+ +{re.escape(study.question)} *"
        assert re.fullmatch(pattern, line), line
    assert "scripts/study.py NAME runs one, --all all of them, --fast a" in lines[-1]


def test_a_finished_study_has_its_answer_table_and_page(tmp_path, studied, call):
    printed = call("study.py", "parts", "--out", "out", cwd=tmp_path).stdout
    assert "All grid points have results already." in printed
    assert "Part 2 (the current value) ends at " in printed
    assert "Medians over 16 seeds, interval 92%" in printed
    assert re.search(r"^part +accuracy +chance +order-blind +recalled bits", printed, re.MULTILINE)
    assert re.search(r"^3, lag 1, one step at a time +\d", printed, re.MULTILINE)
    page = (studied / "index.html").read_text()
    assert STUDIES["parts"].question in html.unescape(page)
    assert "echo-jax study --all --out out" in page
    assert STUDIES["state"].question not in page
    before = contents(studied)
    call("study.py", "parts", "--out", "out", cwd=tmp_path)
    assert contents(studied) == before


def test_a_study_left_half_done_does_not_keep_others_from_the_page(tmp_path, studied, call):
    some = fabricated.study_rows(STUDIES["size"])[:2]
    fabricated.write(studied / "rows" / "size.jsonl", some)
    call("study.py", "parts", "--out", "out", cwd=tmp_path)
    points = len(STUDIES["size"].points)
    sentence = f"Not finished: {points - 2} of {points} grid points are missing."
    assert sentence in (studied / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("stat", "study 'stat' is unknown: use state"),
        ("parts zzz", f"study 'zzz' is unknown: use one of {', '.join(STUDIES)}"),
        ("parts --all", "--all is every study, parts one of them: use one of both"),
        ("--out out", "--out and --readme are for studies that are run: name one, or --all"),
        ("--readme R", "--out and --readme are for studies that are run: name one, or --all"),
        (
            "parts --out .",
            "the current folder is no place for rows and pages: name a folder of their own with "
            "--out",
        ),
        (
            "parts --out file",
            "file cannot be a folder of studies (File exists): use another place for --out",
        ),
        (
            "parts --out file/deeper",
            "file/deeper cannot be a folder of studies (Not a directory): use another place for "
            "--out",
        ),
    ],
)
def test_what_makes_no_study_is_refused_and_leaves_nothing(tmp_path, call, arguments, sentence):
    (tmp_path / "file").write_text("mine")
    assert refused(call, tmp_path, *arguments.split()) == sentence
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "stdin"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "R cannot be read (No such file or directory): name a Markdown file"),
        ("folder", "R is not a regular file: name a Markdown file"),
        (b"# Mine\n", NO_MARKS),
        (b"<!-- studies -->\n", NO_MARKS),
        (b"<!-- end of studies -->\n<!-- studies -->\n", NO_MARKS),
        (MARKED.encode("utf-16"), "R is not text in UTF-8: name a Markdown file"),
    ],
)
def test_a_readme_that_cannot_have_the_answers_is_refused_before_anything_is_run(
    tmp_path, call, nothing_is_run, content, sentence
):
    readme = tmp_path / "R"
    if content == "folder":
        readme.mkdir()
    elif content is not None:
        readme.write_bytes(content)
    assert refused(call, tmp_path, "parts", "--out", "out", "--readme", "R") == sentence
    assert not (tmp_path / "out").exists()
    assert content in (None, "folder") or readme.read_bytes() == content


def test_the_answers_are_put_into_a_readme(tmp_path, studied, call):
    (tmp_path / "README.md").write_text(MARKED)
    call("study.py", "parts", "--out", "out", "--readme", "README.md", cwd=tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("# Mine\n<!-- studies -->\n")
    assert text.endswith("\n<!-- end of studies -->\nend\n")
    assert STUDIES["parts"].question in text
    assert "out/README.md" in text


@pytest.mark.parametrize("script", ["study.py", "sweep.py"])
@pytest.mark.parametrize("name", ["index.html", "figures/mine.svg"])
def test_a_file_of_someone_else_is_found_before_anything_is_run(
    tmp_path, call, nothing_is_run, script, name
):
    (tmp_path / "out" / "figures").mkdir(parents=True)
    (tmp_path / "out" / name).write_text("mine")
    arguments = ["parts", "--out", "out"] if script == "study.py" else TINY_SWEEP
    assert refused(call, tmp_path, *arguments, script=script) == (
        f"out/{name} is not as it was generated, and would be overwritten: move it to another name"
    )
    assert not any((tmp_path / "out" / "rows").iterdir())


def test_a_folder_of_another_kind_is_found_before_anything_is_run(
    tmp_path, studied, call, nothing_is_run
):
    call("study.py", "parts", "--out", "out", cwd=tmp_path)
    before = contents(studied)
    for script, arguments, kind in (
        ("study.py", ["parts", "--fast", "--out", "out"], "fast studies"),
        ("sweep.py", TINY_SWEEP, "a sweep"),
    ):
        assert refused(call, tmp_path, *arguments, script=script) == (
            f"out is of all studies, and this is {kind}: use another folder for it"
        )
    assert contents(studied) == before


@pytest.mark.parametrize(("fast", "folder"), [(False, "studies"), (True, "studies-fast")])
def test_studies_and_fast_ones_have_folders_of_their_own(tmp_path, call, fast, folder):
    study = catalogue.fast(STUDIES["parts"]) if fast else STUDIES["parts"]
    path = tmp_path / "runs" / folder / "rows" / "parts.jsonl"
    fabricated.write(path, fabricated.study_rows(study))
    printed = call("study.py", "parts", *["--fast"] * fast, cwd=tmp_path).stdout
    assert f"Page: runs/{folder}/index.html" in printed
    page = (tmp_path / "runs" / folder / "index.html").read_text()
    assert f"echo-jax study --all{' --fast' * fast}<" in page


def test_damaged_rows_are_refused_by_file_and_line(tmp_path, studied, call):
    path = studied / "rows" / "parts.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:-40] + b"\n" + lines[2])
    assert refused(call, tmp_path, "parts", "--out", "out") == (
        "line 2 of out/rows/parts.jsonl is not a row of results (its digest is not that of its "
        "content): remove that line, and its grid point is run again"
    )


@pytest.mark.parametrize("name", ["index.html", "README.md", "figures/parts.svg"])
def test_a_page_that_someone_changed_is_not_overwritten(tmp_path, studied, call, name):
    call("study.py", "parts", "--out", "out", cwd=tmp_path)
    changed = (studied / name).read_bytes().replace(b"part", b"PART", 1)
    (studied / name).write_bytes(changed)
    assert refused(call, tmp_path, "parts", "--out", "out") == (
        f"out/{name} is not as it was generated, and would be overwritten: move it to another name"
    )
    assert (studied / name).read_bytes() == changed
    (studied / name).rename(tmp_path / "mine")
    call("study.py", "parts", "--out", "out", cwd=tmp_path)


def test_a_folder_that_another_process_works_in_is_left_alone(tmp_path, studied, call):
    with atomic_files.locked(studied):
        assert refused(call, tmp_path, "parts", "--out", "out") == (
            "out is in use by another process: wait until it has ended, or stop it"
        )


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [("--lag", "--lag"), ("--window 5 --hidden", "--hidden"), ("--stateful", "--stateful")],
)
def test_a_sweep_over_an_option_without_a_value_is_refused(tmp_path, call, arguments, flag):
    said = refused(call, tmp_path, *arguments.split(), script="sweep.py")
    assert said == f"{flag} has no value: give one or several after it"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("arguments", ["--cell lstm gru", "--cell lstm --cell gru"])
def test_several_values_stand_after_one_flag_or_after_a_flag_each(arguments):
    from echo_jax.commands import command_line, sweep

    command = command_line.parse(sweep.SweepCommand, arguments.split())
    assert command.values == {"cell": ["lstm", "gru"]}


def test_a_sweep_needs_memory_for_all_its_seeds(tmp_path, call, monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda: 3 * PARTS["context"].least_bytes)
    said = refused(call, tmp_path, *TINY_SWEEP[2:], "--seeds", 4, script="sweep.py")
    assert said.endswith("use smaller sizes or fewer seeds")
    assert not (tmp_path / "out").exists()
