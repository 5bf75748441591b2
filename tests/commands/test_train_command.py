"""`train` and `show` as a user runs them: real processes, real folders."""

import csv
import json
import os
import re
import struct
from pathlib import Path

import pytest
from golden import assert_golden
from run_folders import contents_of
from running import execute

from echo_jax import atomic_files, environment
from echo_jax.config import PARTS, to_dict

GOLDEN = Path(__file__).parent / "golden" / "show.txt"
SHORT = ["--sequences", "30", "--evaluation-sequences", "200", "--compilation-cache"]


def lines_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """A run of part 4 with few sequences: its folder, what it printed, the modules imported."""
    parent = tmp_path_factory.mktemp("short_run")
    environment = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = execute("train.py", "--lag", 1, "--window", 5, *SHORT, cwd=parent, env=environment)
    modules = re.findall(r"\| +(echo_jax\S*)$", done.stderr, re.M)
    run = parent / re.search(r"^Run folder: (runs/\S+)$", done.stdout, re.M)[1]
    return run, done.stdout, modules


def test_the_train_of_the_tutorial_imports_few_modules(short_run):
    modules = short_run[2]
    assert "echo_jax.runs.train_run" in modules
    assert len(modules) <= 55, modules


@pytest.mark.slow
def test_the_next_run_loads_its_programs_and_has_the_same_bits(tmp_path):
    environment = os.environ | {"JAX_LOG_COMPILES": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    arguments = ["--part", "current", "--seeds", "3", "--sequences", "60"]
    arguments += ["--evaluation-sequences", "20"]
    cached = ["--compilation-cache", "--out"]
    first, second = (
        execute("train.py", *arguments, *cached, name, cwd=tmp_path, env=environment).stderr
        for name in ("first", "second")
    )
    assert ("Compiling" in first, "Compiling" in second) == (True, False)
    arrays = [contents_of(tmp_path / x / "checkpoint.safetensors")[0] for x in ("first", "second")]
    for name in arrays[0].keys() - {"result"}:
        assert arrays[0][name].tobytes() == arrays[1][name].tobytes(), name
    more = ["--sequences", "140", "--compilation-cache"]
    resumed = execute("train.py", "--resume", "second", *more, cwd=tmp_path, env=environment)
    assert "Compiling jit(mapped)" not in resumed.stderr


def test_the_folder_of_a_run_is_complete_and_its_last_lines_name_it(short_run):
    run, printed, _ = short_run
    name = run.relative_to(run.parents[1])
    assert {f"Run folder: {name}", f"Figure: {name}/curve.png"} < {*printed.splitlines()[-6:]}
    assert {path.name for path in run.iterdir()} == {
        ".generated", "checkpoint.safetensors", "config.json", "curve.png", "metrics.csv",
        "result.json",
    }  # fmt: skip
    expected = to_dict(PARTS["context"]) | {"seed_map": None, "compute": "fast", "files": {}}
    expected["training"]["sequences"] = 30
    written = atomic_files.read_json(run / "config.json")
    begun = written.pop("begun")
    assert begun.pop("versions")["generator"] == "threefry2x32, partitionable"
    assert begun == {"device": environment.device_kind(), "cores": environment.threads()}
    assert written == expected | {"evaluation_sequences": 200, "cell_source": None}
    header = (run / "curve.png").read_bytes()[:24]
    assert (header[1:4], struct.unpack(">I", header[16:20])[0]) == (b"PNG", 800)
    rows = lines_of(run / "metrics.csv")
    assert [int(row["sequence"]) for row in rows] == list(range(1, 31))
    assert all(3 < float(row["loss"]) < 6 for row in rows)
    right = [20 * float(row["accuracy"]) for row in rows]
    assert right == pytest.approx([round(count) for count in right])
    result = json.loads((run / "result.json").read_text())
    assert (result["updates"], result["floor_accuracy"]) == (120, 0.01)
    assert len(result["accuracy_by_position"]) == len(result["expected"]) == 20
    assert sum(result["accuracy_by_position"]) / 20 == pytest.approx(result["accuracy"], abs=1e-6)


@pytest.mark.slow
def test_many_seeds_leave_a_line_for_each_and_each_what_it_leaves_alone(tmp_path):
    seeds = ["--seeds", 3, "--seed", 5, "--devices", 2]
    printed = execute("train.py", *SHORT, *seeds, "--out", "run", cwd=tmp_path).stdout
    execute("train.py", *SHORT, "--seed", 6, "--out", "alone", cwd=tmp_path)
    runs = tmp_path / "run", tmp_path / "alone"
    many, alone = (json.loads((run / "result.json").read_text()) for run in runs)
    accuracy = many["by_seed"]["accuracy"]
    rows = lines_of(runs[0] / "seeds.csv")
    assert [row["seed"] for row in rows] == ["5", "6", "7"]
    assert [float(row["accuracy"]) for row in rows] == accuracy
    assert many["accuracy"] == sorted(accuracy)[1]
    assert re.search(r"^on 2 devices: \w+", printed, re.MULTILINE)
    of_all, of_6 = (lines_of(run / "metrics.csv") for run in runs)
    assert [row for row in of_all if row["seed"] == "6"] == [{"seed": "6", **row} for row in of_6]
    for name in ("accuracy", "loss"):
        assert alone[name] == many["by_seed"][name][1]


SHOWN = [
    "--part no-context --length 13",
    "--part context --length 16 --no-stateful",
    "--part current --rows 3 --length 5",
    "--layout prefixes --missing token --lag 0 --rows 5",
    "--layout prefixes --lag 0 --length 7",
    "--framing values --vocab-size 5 --length 12",
    "--encoding embedding --embedding-dim 7 --length 12",
    "--layout streams --lag 2 --length 12",
    "--layout streams --length 7 --batch 1 --window 3",
]  # fmt: skip


def test_show_draws_rows_batches_and_where_the_state_comes_from(tmp_path, call):
    """Every layout, framing and encoding; where a chunk has no inputs beyond the sequence."""
    parts = []
    for line in SHOWN:
        shown = call("show.py", *line.split(), cwd=tmp_path).stdout
        parts.append(f"$ show {line}\n{shown}")
    assert_golden("\n".join(parts), GOLDEN)
