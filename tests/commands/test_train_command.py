"""`train` and `show` as a user runs them: real processes, real folders."""

import csv
import json
import re
import struct

import pytest
from running import execute

from echo_jax import atomic_files
from echo_jax.config import PARTS, to_dict

SHORT = ["--sequences", "30", "--evaluation-sequences", "200", "--compilation-cache"]


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """A run of part 4 with few sequences: its folder and what it printed."""
    parent = tmp_path_factory.mktemp("short_run")
    printed = execute("train.py", "--lag", 1, "--window", 5, *SHORT, cwd=parent).stdout
    return parent / re.fullmatch(r"Run folder: (runs/\S+)", printed.splitlines()[-1])[1], printed


def test_the_last_line_names_the_run_folder_and_it_is_complete(short_run):
    run, _ = short_run
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
    header = (run / "curve.png").read_bytes()[:24]
    assert (header[1:4], struct.unpack(">I", header[16:20])[0]) == (b"PNG", 800)


def test_the_metrics_have_a_line_for_every_sequence(short_run):
    rows = list(csv.DictReader((short_run[0] / "metrics.csv").read_text().splitlines()))
    assert [int(row["sequence"]) for row in rows] == list(range(1, 31))
    assert all(3 < float(row["loss"]) < 6 for row in rows)
    right = [20 * float(row["accuracy"]) for row in rows]
    assert right == pytest.approx([round(count) for count in right])


def test_the_result_has_scores_baselines_times_and_versions(short_run):
    result = json.loads((short_run[0] / "result.json").read_text())
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
    first, again = short_run[0], tmp_path / "again"
    execute("train.py", *SHORT, "--out", "again", cwd=tmp_path)
    for name in ("config.json", "metrics.csv", "checkpoint.msgpack"):
        assert (again / name).read_bytes() == (first / name).read_bytes()
    results = [json.loads((run / "result.json").read_text()) for run in (first, again)]
    for result in results:
        del result["seconds"], result["file_digest"]
    assert results[0] == results[1]  # the digest too


@pytest.fixture(scope="module")
def run_of_three_seeds(tmp_path_factory):
    folder, seeds = tmp_path_factory.mktemp("three_seeds"), ("--seeds", 3, "--seed", 5)
    done = execute("train.py", *SHORT, *seeds, "--out", "run", "--devices", 2, cwd=folder)
    return folder / "run", done.stdout


@pytest.mark.slow
def test_many_seeds_leave_a_line_for_each(run_of_three_seeds):
    run, printed = run_of_three_seeds
    rows = list(csv.DictReader((run / "seeds.csv").read_text().splitlines()))
    assert [row["seed"] for row in rows] == ["5", "6", "7"]
    result = json.loads((run / "result.json").read_text())
    accuracy = result["by_seed"]["accuracy"]
    assert [float(row["accuracy"]) for row in rows] == accuracy
    assert result["accuracy"] == sorted(accuracy)[1]
    interval = {"low": min(accuracy), "high": max(accuracy), "coverage": 0.75}
    assert result["accuracy_interval"] == interval
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
    assert "row r continues row r - 6, not row r - 1" in printed


@pytest.mark.parametrize(("switch", "zeroed"), [("--stateful", 1), ("--no-stateful", 4)])
def test_show_says_where_the_state_is_zero(tmp_path, switch, zeroed, call):
    printed = call("show.py", switch, cwd=tmp_path).stdout
    assert len(re.findall(r"^batch \d: state zero$", printed, re.MULTILINE)) == zeroed
    assert "?" not in printed


def test_show_says_what_stands_for_a_missing_value_and_that_its_vectors_are_longer(tmp_path, call):
    options = ["--layout", "prefixes", "--missing", "token", "--lag", 0, "--rows", 5]
    printed = call("show.py", *options, cwd=tmp_path).stdout
    assert "One-hot, 25 vectors of 101, a vector a line:" in printed
    rows = re.findall(r"^  row +\d +((?:[\d?]+ +)+)=>", printed, re.MULTILINE)
    assert [row.split().count("?") for row in rows] == [4, 3, 2, 1, 0]
    assert "\n? is the token 100: a value that is missing\n" in printed
    assert "-- " not in printed  # nothing is masked


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


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--part context", r"  row   5  ( +\d+){5} => +\d+   row 5 <- row 0"),
        ("--part current", r"  row   3   ( ?\d+) => \1"),
        ("--layout streams --lag 2", r"  row   0  ( +\d+){5} => -- --( +\d+){3}"),
        ("--layout prefixes --lag 0", r"  row   1   -- -- --( +\d+){2} => +\d+"),
        (
            "--layout streams --length 7 --batch 1 --window 3",  # no inputs beyond the sequence
            r"  row   2   +\d+ -- -- => +\d+ -- --   row 2 <- row 1",
        ),
    ],
)
def test_show_draws_every_layout(tmp_path, arguments, line, call):
    printed = call("show.py", *arguments.split(), cwd=tmp_path).stdout
    assert re.search(f"^{line}$", printed, re.MULTILINE), printed
