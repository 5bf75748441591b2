"""`train` and `show` as a user runs them: real processes, real folders."""

import csv
import json
import os
import re
import sys
from pathlib import Path

import pytest
from fabricated_results import fabricated_result
from golden import assert_golden
from run_folders import PLAIN, make_run
from running import assert_one_sentence, execute

from echo_jax import machine
from echo_jax.config import PARTS, to_dict
from echo_jax.storage import atomic_files

SHORT = ["--sequences", "30", "--evaluation-sequences", "200"]


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """A run of part 4 with few sequences: its folder, what it printed, the modules imported."""
    parent = tmp_path_factory.mktemp("short_run")
    environment = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = execute("train.py", "--lag", 1, "--window", 5, *SHORT, cwd=parent, env=environment)
    modules = re.findall(r"\| +(\S+)$", done.stderr, re.M)
    run = parent / re.search(r"^Run folder: (runs/\S+)$", done.stdout, re.M)[1]
    return run, done.stdout, modules


def test_the_train_of_the_tutorial_imports_few_modules(short_run):
    """Among them neither typeguard, which takes 0.1 s, nor `scipy.stats`, which takes 0.6 s."""
    modules = {*short_run[2]}
    assert "echo_jax.echo.run.train_run" in modules
    assert not modules & {"typeguard", "scipy.stats"}


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
    assert begun == {"device": machine.device_kind(), "cores": machine.threads()}
    assert written == expected | {"evaluation_sequences": 200, "cell_source": None}
    assert (run / "curve.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    assert [int(row["sequence"]) for row in rows] == list(range(1, 31))
    assert all(3 < float(row["loss"]) < 6 for row in rows)
    right = [20 * float(row["accuracy"]) for row in rows]
    assert right == pytest.approx([round(count) for count in right])
    result = json.loads((run / "result.json").read_text())
    assert (result["updates"], result["baseline_accuracy"]) == (120, 0.01)
    assert len(result["accuracy_by_position"]) == len(result["expected"]) == 20
    assert sum(result["accuracy_by_position"]) / 20 == pytest.approx(result["accuracy"], abs=1e-6)


SHOWN = [
    "--part no-context --length 13",
    "--part context --length 16 --no-stateful",
    "--part=current --rows 3 --length 5",
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
    assert_golden("\n".join(parts), Path(__file__).parent / "golden" / "show.txt")


def test_a_figure_is_made_again_or_a_sentence_says_why_not(tmp_path, call, monkeypatch):
    make_run(tmp_path / "a run", PLAIN, result=fabricated_result(PLAIN))
    show = ("show.py", "--curve", "a run")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)  # its import fails
        refused = call(*show, cwd=tmp_path, status=2).stderr
    assert_one_sentence(refused, "the figure cannot be drawn (ModuleNotFoundError: import of")
    assert call(*show, cwd=tmp_path).stdout.endswith("Figure: a run/curve.png\n")
