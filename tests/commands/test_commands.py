"""The scripts as a user runs them: real processes, real folders."""

import contextlib
import csv
import html
import json
import os
import re
import struct
import subprocess
import sys

import fabricated
import pytest
from running import execute

from echo_jax import atomic_files, machine
from echo_jax.config import PARTS, to_dict
from echo_jax.studies import catalogue
from echo_jax.studies.catalogue import STUDIES

SHORT = ["--sequences", "30", "--evaluation-sequences", "200", "--compilation-cache"]


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """A run of part 4 with few sequences: its folder's parent and what it printed."""
    folder = tmp_path_factory.mktemp("short_run")
    done = execute("train.py", "--lag", 1, "--window", 5, *SHORT, cwd=folder)
    return folder, done.stdout


def test_the_last_line_names_the_run_folder_and_it_is_complete(short_run):
    folder, printed = short_run
    run = folder / re.fullmatch(r"Run folder: (runs/\S+)", printed.splitlines()[-1])[1]
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoint.msgpack",
        "config.json",
        "curve.png",
        "metrics.csv",
        "result.json",
    ]
    config = atomic_files.read_json(run / "config.json")
    expected = to_dict(PARTS["context"]) | {"seed_map": None, "files": {}}
    expected["training"]["sequences"] = 30
    assert config == expected | {"evaluation_sequences": 200}


def test_the_metrics_have_a_line_for_every_sequence(short_run):
    folder, printed = short_run
    lines = (folder / printed.split()[-1] / "metrics.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert [int(row["sequence"]) for row in rows] == list(range(1, 31))
    assert all(3 < float(row["loss"]) < 6 for row in rows)
    assert all(float(row["accuracy"]) * 20 == pytest.approx(round(float(row["accuracy"]) * 20))
               for row in rows)  # fmt: skip


def test_the_result_has_scores_floors_times_and_versions(short_run):
    folder, printed = short_run
    result = json.loads((folder / printed.split()[-1] / "result.json").read_text())
    assert result["updates"] == 120
    assert result["floor_accuracy"] == 0.01
    assert result["floor_loss"] == pytest.approx(4.60517)
    assert result["floor_order_blind"] == pytest.approx(0.2195, abs=1e-4)
    assert result["sequences_to_99"] is None
    assert {"import", "compile", "train", "evaluate"} <= set(result["seconds"])
    assert {"python", "jax", "flax", "echo_jax"} <= set(result["versions"])
    assert len(result["accuracy_by_position"]) == len(result["expected"]) == 20
    assert sum(result["accuracy_by_position"]) / 20 == pytest.approx(result["accuracy"], abs=1e-6)
    assert result["config"]["task"]["lag"] == 1


def test_the_figure_is_800_pixels_wide(short_run):
    folder, printed = short_run
    header = (folder / printed.split()[-1] / "curve.png").read_bytes()[:24]
    assert header[1:4] == b"PNG"
    assert struct.unpack(">I", header[16:20])[0] == 800


def test_the_report_puts_baselines_beside_scores_and_says_how_many_seeds(short_run):
    _, printed = short_run
    for phrase in (
        "Expected:  [",
        "Predicted: [",
        "On 200 fresh sequences (1 seed, no interval)",
        "order-blind baseline",
        "chance baseline",
        "Accuracy in percent by row",
        "reached 99%: never",
        "is in the window of 5",
    ):
        assert phrase in printed
    assert re.search(r"Seconds: import [\d.]+, compile [\d.]+, train [\d.]+", printed)
    assert re.search(r"^on 1 device: \w+", printed, re.MULTILINE)
    assert re.search(r"30/30 sequences  [\d,]+/s  loss [\d.]+  accuracy [\d.]+%", printed)


@pytest.mark.slow
def test_a_run_twice_is_the_same_run(short_run, tmp_path):
    folder, printed = short_run
    execute("train.py", *SHORT, "--out", "again", cwd=tmp_path)
    first = folder / printed.split()[-1]
    for name in ("config.json", "metrics.csv", "checkpoint.msgpack"):
        assert (tmp_path / "again" / name).read_bytes() == (first / name).read_bytes()
    results = [json.loads((run / "result.json").read_text()) for run in (first, tmp_path / "again")]
    assert len({result.pop("digest") for result in results}) == 1
    for result in results:
        del result["seconds"], result["file_digest"]
    assert results[0] == results[1]


@pytest.fixture(scope="module")
def run_of_three_seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three_seeds")
    done = execute(
        "train.py",
        *SHORT,
        "--seeds",
        3,
        "--seed",
        5,
        "--out",
        "run",
        "--devices",
        2,
        cwd=folder,
    )
    return folder / "run", done.stdout


@pytest.mark.slow
def test_many_seeds_leave_a_line_for_each(run_of_three_seeds):
    run, printed = run_of_three_seeds
    with (run / "seeds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["5", "6", "7"]
    result = json.loads((run / "result.json").read_text())
    by_seed = result["by_seed"]
    assert [float(row["accuracy"]) for row in rows] == by_seed["accuracy"]
    assert result["accuracy"] == sorted(by_seed["accuracy"])[1]
    assert result["accuracy_interval"] == {
        "low": min(by_seed["accuracy"]),
        "high": max(by_seed["accuracy"]),
        "coverage": 0.75,
    }
    assert result["reached_99"]["seeds"] == 0
    assert result["sequences_to_99"] is None
    for phrase in (
        "(each of 3 seeds)",
        "75.0% interval",
        "0 of 3 seeds reached 99% in training: a share of 0% to 56% (Wilson, 95%)",
        "reached 99%: never.",
    ):
        assert phrase in printed
    assert re.search(r"^on 2 devices: \w+", printed, re.MULTILINE)


@pytest.mark.slow
def test_a_seed_among_many_leaves_what_it_leaves_alone(run_of_three_seeds, tmp_path):
    run, _ = run_of_three_seeds
    execute("train.py", *SHORT, "--seed", 6, "--out", "alone", cwd=tmp_path)
    lines = (run / "metrics.csv").read_text().splitlines()
    assert lines[0] == "seed,sequence,loss,accuracy"
    alone = (tmp_path / "alone" / "metrics.csv").read_text().splitlines()
    assert [line[2:] for line in lines if line.startswith("6,")] == alone[1:]
    result = json.loads((tmp_path / "alone" / "result.json").read_text())
    many = json.loads((run / "result.json").read_text())
    assert result["accuracy"] == many["by_seed"]["accuracy"][1]
    assert result["loss"] == many["by_seed"]["loss"][1]


def on_a_terminal(root, *arguments, cwd):
    """What a script prints where its output is a terminal, and its exit status."""
    primary, secondary = os.openpty()
    command = [sys.executable, str(root / "scripts" / "train.py"), *arguments]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        command, cwd=cwd, stdin=secondary, stdout=secondary, stderr=secondary, env=environment
    )
    os.close(secondary)
    printed = b""
    with contextlib.suppress(OSError):  # raised where the other side has closed
        while block := os.read(primary, 65536):
            printed += block
    os.close(primary)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed.decode()), process.wait(timeout=60)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--lag one", "error: --lag one is not a whole number: use one such as 1"),
        ("--part four", "error: --part four is unknown: use one of current, no-context, context"),
        ("--no-statful", "error: --no-statful is not an option: use --no-stateful, or see --help"),
        ("--vocab-size 1", "error: vocab size 1 is below 2: use 2 or more"),
    ],
)
def test_on_a_terminal_too_bad_input_is_one_sentence(root, tmp_path, arguments, sentence):
    printed, status = on_a_terminal(root, *arguments.split(), cwd=tmp_path)
    assert printed.strip().startswith(sentence)
    assert (printed.count("\n"), status) == (1, 2)


@pytest.mark.slow
def test_on_a_terminal_there_is_a_progress_bar(root, tmp_path):
    printed, status = on_a_terminal(root, *SHORT, "--part", "current", cwd=tmp_path)
    assert status == 0, printed
    assert re.search(r"[━╸]", printed)
    assert re.search(r"30/30 sequences +[\d,]+/s +loss [\d.]+ +accuracy [\d.]+% +0:00:00", printed)


PROBE = """
import runpy, sys
sys.argv = ["train.py", *{arguments!r}]
try:
    runpy.run_path({script!r}, run_name="__main__")
except SystemExit as stop:
    print("exit", stop.code, "jax" in sys.modules, "numpy" in sys.modules)
"""


@pytest.mark.parametrize(("argument", "status"), [("--help", "0"), ("--vocab-size=1", "2")])
def test_neither_help_nor_a_refusal_imports_jax(root, tmp_path, argument, status):
    code = PROBE.format(arguments=[argument], script=str(root / "scripts" / "train.py"))
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert re.fullmatch(f"exit {status} False False", done.stdout.splitlines()[-1])


def test_importing_the_package_imports_no_jax():
    code = (
        "import sys, echo_jax; echo_jax.core; assert 'jax' not in sys.modules; "
        "import echo_jax.core.data; assert 'jax' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def unframed(text):
    return " ".join(text.replace("│", " ").split())


def test_help_shows_every_option_with_its_default(tmp_path):
    printed = unframed(execute("train.py", "--help", cwd=tmp_path).stdout)
    for option in ("--lag INT", "--window INT", "--learning-rate FLOAT", "--cell STR", "--out"):
        assert option in printed
    for default in ("(default: 2000)", "(default: 0.001)", "(default: adam)"):
        assert default in printed
    part2 = unframed(execute("train.py", "--part", "current", "--help", cwd=tmp_path).stdout)
    assert "(default: 15)" in part2
    assert "(default: 500)" in part2


def test_show_draws_rows_batches_and_where_the_state_comes_from(tmp_path, call):
    printed = call("show.py", "--part", "no-context", cwd=tmp_path).stdout
    integers = re.findall(r"^  \[([\d, ]+)\]$", printed, re.MULTILINE)
    assert len(integers) == 2
    assert integers[0] == integers[1]
    tokens = [int(x) for x in integers[0].split(", ")]
    one_hot = re.findall(r"^  \[((?:[01] )+)\.\.\. 70 more\]$", printed, re.MULTILINE)
    assert [line.split().index("1") for line in one_hot if "1" in line] == [
        token for token in tokens if token < 30
    ]
    rows = re.findall(r"^  row +(\d+) +(\d+) => +(\d+)(?:   row \d+ <- row (\d+))?$", printed, re.M)
    assert [(int(x), int(y)) for _, x, y, _ in rows] == list(zip(tokens[1:], tokens[:-1]))  # noqa: B905
    assert [source for *_, source in rows] == [""] * 6 + [str(r) for r in range(18)]
    assert "row 6 <- row 0" in printed
    assert "row r continues row r - 6, not row r - 1" in printed


@pytest.mark.parametrize(("switch", "zeroed"), [("--stateful", 1), ("--no-stateful", 4)])
def test_show_says_where_the_state_is_zero(tmp_path, switch, zeroed, call):
    printed = call("show.py", switch, cwd=tmp_path).stdout
    assert len(re.findall(r"^batch \d: state zero$", printed, re.MULTILINE)) == zeroed


def test_show_says_what_stands_for_a_missing_value_and_that_its_vectors_are_longer(tmp_path, call):
    options = ["--layout", "prefixes", "--missing", "token", "--lag", 0, "--rows", 5]
    printed = call("show.py", *options, cwd=tmp_path).stdout
    assert "One-hot, 25 vectors of 101, a vector a line:" in printed
    rows = re.findall(r"^  row +\d +((?:[\d?]+ +)+)=>", printed, re.MULTILINE)
    assert [row.split().count("?") for row in rows] == [4, 3, 2, 1, 0]
    assert "\n? is the token 100: a value that is missing\n" in printed
    assert "-- " not in printed  # nothing is masked
    assert "?" not in call("show.py", cwd=tmp_path).stdout


def test_show_says_what_a_cell_is_fed_of_values_and_of_embeddings(tmp_path, call):
    printed = call("show.py", "--framing", "values", "--vocab-size", 5, cwd=tmp_path).stdout
    assert "One-hot" not in printed
    tokens, values, decoded = re.findall(r"^  \[([\d., ]+)\]$", printed, re.MULTILINE)
    assert "As values, each divided by 4:" in printed
    assert [float(x) for x in values.split(", ")] == [int(x) / 4 for x in tokens.split(", ")]
    assert decoded == tokens
    options = ["--encoding", "embedding", "--embedding-dim", 7]
    printed = call("show.py", *options, cwd=tmp_path).stdout
    assert "token v is row v of a learned table of 100 by 7 numbers" in printed
    assert "One-hot" not in printed


def test_show_draws_no_inputs_beyond_the_sequence(tmp_path, call):
    options = ["--layout", "streams", "--length", "7", "--batch", "1", "--window", "3"]
    printed = call("show.py", *options, cwd=tmp_path).stdout
    assert re.search(r"^  row   2   +\d+ -- -- => +\d+ -- --", printed, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--part", "context"], r"  row   5  ( +\d+){5} => +\d+   row 5 <- row 0"),
        (["--part", "current"], r"  row   3   ( ?\d+) => \1"),
        (["--layout", "streams", "--lag", "2"], r"  row   0  ( +\d+){5} => -- --( +\d+){3}"),
        (["--layout", "prefixes", "--lag", "0"], r"  row   1   -- -- --( +\d+){2} => +\d+"),
    ],
)
def test_show_draws_every_layout(tmp_path, arguments, line, call):
    done = call("show.py", *arguments, cwd=tmp_path)
    assert re.search(f"^{line}$", done.stdout, re.MULTILINE), done.stdout


WITHOUT_JAX = """
import runpy, sys, time
for arguments in ({listing!r}, {rendering!r}):
    sys.argv = ["study.py", *arguments]
    start = time.process_time()  # others may be at work too
    runpy.run_path({script!r}, run_name="__main__")
    assert "jax" not in sys.modules, "jax was imported"
    print("seconds", time.process_time() - start)
"""


@pytest.fixture
def studied(tmp_path):
    """A folder with all rows of `parts`."""
    path = tmp_path / "out" / "rows" / "parts.jsonl"
    fabricated.write(path, fabricated.study_rows(STUDIES["parts"]))
    return tmp_path / "out"


def test_studies_are_listed_and_shown_without_jax(root, tmp_path, studied):
    code = WITHOUT_JAX.format(
        listing=[], rendering=["parts", "--out", "out"], script=str(root / "scripts" / "study.py")
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    listed, said, rest = re.split(r"^seconds ([\d.]+)$", done.stdout, maxsplit=1, flags=re.M)
    assert float(said) < 2
    lines = listed.splitlines()
    assert lines[0].split() == ["study", "grid", "points", "minutes", "here", "question"]
    for line, (name, study) in zip(lines[1:], STUDIES.items(), strict=False):
        pattern = rf"{name} +{len(study.points)} +[\d.]+ +{re.escape(study.question)} *"
        assert re.fullmatch(pattern, line), line
    assert "study.py NAME runs one, --all all of them, --fast a" in listed
    assert "All grid points have results already." in rest
    assert STUDIES["parts"].question in rest
    assert "Page: out/index.html" in rest


def test_a_finished_study_has_its_answer_table_and_page(tmp_path, studied, call):
    printed = call("study.py", "parts", "--out", "out", cwd=tmp_path).stdout
    assert "Part 2 (the current value) ends at " in printed
    assert "Medians over 16 seeds, interval 92%" in printed
    assert re.search(r"^part +accuracy +chance +order-blind +recalled bits", printed, re.MULTILINE)
    assert re.search(r"^3, lag 1, one step at a time +\d", printed, re.MULTILINE)
    page = (studied / "index.html").read_text()
    assert STUDIES["parts"].question in html.unescape(page)
    assert "echo-jax study --all --out out" in page
    assert STUDIES["state"].question not in page
    again = {path: path.read_bytes() for path in studied.rglob("*") if path.is_file()}
    call("study.py", "parts", "--out", "out", cwd=tmp_path)
    assert {path: path.read_bytes() for path in studied.rglob("*") if path.is_file()} == again


def test_a_study_left_half_done_does_not_keep_others_from_the_page(tmp_path, studied, call):
    some = fabricated.study_rows(STUDIES["size"])[:2]
    fabricated.write(studied / "rows" / "size.jsonl", some)
    call("study.py", "parts", "--out", "out", cwd=tmp_path)
    page = (studied / "index.html").read_text()
    points = len(STUDIES["size"].points)
    assert f"Not finished: {points - 2} of {points} grid points are missing." in page


def refused(call, cwd, *arguments, script="study.py"):
    said = call(script, *arguments, cwd=cwd, status=2)
    assert said.stderr.startswith("error: ")
    assert said.stderr.count("\n") == 1
    return said.stderr[7:-1]


def test_a_study_of_no_such_name_is_refused_with_the_nearest(tmp_path, call):
    assert refused(call, tmp_path, "stat") == "study 'stat' is unknown: use state"
    known = "parts, mistake, state, masking, prefix, lags, streams, mlp, vocabulary, length, size"
    assert refused(call, tmp_path, "parts", "zzz") == (
        f"study 'zzz' is unknown: use one of {known}, framing, explain, future"
    )
    assert not list(tmp_path.glob("runs"))


def test_all_studies_and_one_of_them_are_not_asked_for_at_once(tmp_path, call):
    assert refused(call, tmp_path, "parts", "--all") == (
        "--all is every study, parts one of them: use one of both"
    )


def test_what_is_only_listed_has_no_folder_and_no_readme(tmp_path, call):
    (tmp_path / "README.md").write_text(MARKED)
    for option in (("--out", "out"), ("--readme", "README.md")):
        assert refused(call, tmp_path, *option) == (
            "--out and --readme are for studies that are run: name one, or --all"
        )
    assert [path.name for path in tmp_path.iterdir() if path.name != "stdin"] == ["README.md"]


MARKED = "# Mine\n<!-- studies -->\n<!-- end of studies -->\nend\n"
NO_MARKS = "R has no lines <!-- studies --> and <!-- end of studies -->: put them where it belongs"


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


@pytest.fixture
def nothing_is_run(monkeypatch):
    """A sweep that is begun fails."""
    from echo_jax.studies import sweep

    def begun(*_):
        raise AssertionError("begun")

    monkeypatch.setattr(sweep, "complete", begun)


TINY_SWEEP = ["--lag", "0", "--sequences", "1", "--seeds", "1", "--out", "out"]


@pytest.mark.parametrize("script", ["study.py", "sweep.py"])
@pytest.mark.parametrize("name", ["index.html", "README.md", "figures/mine.svg"])
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
    before = {path: path.read_bytes() for path in studied.rglob("*") if path.is_file()}
    assert refused(call, tmp_path, "parts", "--fast", "--out", "out") == (
        "out is of all studies, and this is fast studies: use another folder for it"
    )
    assert refused(call, tmp_path, *TINY_SWEEP, script="sweep.py") == (
        "out is of all studies, and this is a sweep: use another folder for it"
    )
    assert {path: path.read_bytes() for path in studied.rglob("*") if path.is_file()} == before


def test_the_current_folder_is_refused_before_anything_is_run(tmp_path, call, nothing_is_run):
    sentence = (
        "the current folder is no place for rows and pages: name a folder of their own with --out"
    )
    assert refused(call, tmp_path, "parts", "--out", ".") == sentence
    assert refused(call, tmp_path, *TINY_SWEEP[:-1], tmp_path, script="sweep.py") == sentence
    assert [path.name for path in tmp_path.iterdir()] == ["stdin"]


@pytest.mark.parametrize(("fast", "folder"), [(False, "studies"), (True, "studies-fast")])
def test_studies_and_fast_ones_have_folders_of_their_own(tmp_path, call, fast, folder):
    study = catalogue.fast(STUDIES["parts"]) if fast else STUDIES["parts"]
    path = tmp_path / "runs" / folder / "rows" / "parts.jsonl"
    fabricated.write(path, fabricated.study_rows(study))
    printed = call("study.py", "parts", *["--fast"] * fast, cwd=tmp_path).stdout
    assert "All grid points have results already." in printed
    assert f"Page: runs/{folder}/index.html" in printed
    page = (tmp_path / "runs" / folder / "index.html").read_text()
    assert f"echo-jax study --all{' --fast' * fast}<" in page


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["--lag"], "--lag"), (["--lag", "--window", "5"], "--lag"),
        (["--window", "5", "--hidden"], "--hidden"), (["--stateful"], "--stateful"),
    ],
)  # fmt: skip
def test_a_sweep_over_an_option_without_a_value_is_refused(tmp_path, call, arguments, flag):
    said = refused(call, tmp_path, *arguments, script="sweep.py")
    assert said == f"{flag} has no value: give one or several after it"
    assert not (tmp_path / "runs").exists()


def test_a_sweep_needs_memory_for_all_its_seeds(tmp_path, call, monkeypatch):
    least = PARTS["context"].least_bytes
    monkeypatch.setattr(machine, "memory", lambda: 3 * least)
    assert refused(call, tmp_path, *TINY_SWEEP[2:], "--seeds", 4, script="sweep.py").endswith(
        "use smaller sizes or fewer seeds"
    )
    assert not (tmp_path / "out").exists()


def test_a_folder_of_studies_is_no_file(tmp_path, call):
    (tmp_path / "file").write_text("mine")
    for out in ("file", "file/deeper"):
        why = "File exists" if out == "file" else "Not a directory"
        assert refused(call, tmp_path, "parts", "--out", out) == (
            f"{out} cannot be a folder of studies ({why}): use another place for --out"
        )
    assert (tmp_path / "file").read_text() == "mine"


def test_damaged_rows_are_refused_by_file_and_line(tmp_path, studied, call):
    path = studied / "rows" / "parts.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:-40] + b"\n" + lines[2])
    assert refused(call, tmp_path, "parts", "--out", "out") == (
        "out/rows/parts.jsonl is damaged in line 2, its digest is not that of its content: remove "
        "that line, and its cell is run again"
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
