"""The race between peers: its rules are kept, and it runs. Never how fast."""

import json
import os
import subprocess
import sys

import pytest
import race
from running import ROOT

UNOPTIMISED = {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"}
"""For processes whose speed does not matter: they compile in half the time."""


@pytest.mark.parametrize(
    ("times", "reference", "expected"),
    [
        ([30, 31, 29], [10, 10, 10], (3.0, 2.9, 3.1)),
        ([1, 2], [4, 4], (0.375, 0.25, 0.5)),
        ([20, 36, 20], [10, 18, 10], (2, 2, 2)),  # of the same round: slow rounds cancel
        ([10, 12, 11], [11, 10, 12], None),
        ([30, 31, 11], [10, 10, 12], None),
    ],
)
def test_a_ratio_is_of_one_round_and_refused_where_the_times_overlap(times, reference, expected):
    assert race.ratio(times, reference) == expected
    text = race.ratio_text(times, reference)
    assert (text == "no clear difference") is (expected is None)


def benchmark(name, *options):
    command = [sys.executable, "-W", "error", ROOT / "benchmarks" / name, "--fast", *options]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=600, env=UNOPTIMISED
    ).stdout


@pytest.mark.slow
def test_the_fast_race_prints_its_table_and_writes_every_time(tmp_path):
    out = tmp_path / "race.json"
    limit = f"{sys.executable} -c \"print('us_per_update 1e-3 min 0')\""
    printed = benchmark(
        "race.py", "--rounds", "3", "--peers", "numpy", "--limit", limit, "--out", out
    )
    lines = [line.split("|")[1:-1] for line in printed.splitlines() if line.startswith("|")]
    assert [line[0].strip() for line in lines] == ["peer", "---", "the limit", "echo_jax", "NumPy"]
    assert {len(line) for line in lines} == {7}
    result = json.loads(out.read_text())
    assert len(result["limit"]) == 3
    for row in result["peers"].values():
        assert len(row["microseconds_per_update"]) == 3
        assert 0 <= row["accuracy"] <= 1
