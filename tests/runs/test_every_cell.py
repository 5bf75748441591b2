"""Cells in a run as a user starts it, on all devices of this machine."""

import json

import pytest
from running import execute


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("cell", ["exprnn", "delta-net", "block:delta-net"])
def test_cells_that_invert_or_exponentiate_matrices_train_on_several_devices(cell, tmp_path):
    """A linear solver of jax 0.10 waits for ever where two devices of a CPU use it at a time."""
    options = ("--cell", cell, "--no-stateful", "--seeds", 2, "--sequences", 60, "--hidden", 20)
    execute("train.py", *options, "--out", "run", cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert len(result["by_seed"]["accuracy"]) == 2
