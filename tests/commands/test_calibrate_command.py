import dataclasses
import re

import pytest
from tiny_cards import TINY

from echo_jax.commands import calibrate

CELL = ["--cell", "echo_jax.cells.known_memory:ShiftRegister", "--cell-args", "slots=2"]


@pytest.mark.slow
def test_repeats_of_one_cell_are_counted_and_written(call, tmp_path, monkeypatch):
    tiny = dataclasses.replace(TINY, ladder=(1,), rows=("stream",), rates=(0.1,))
    monkeypatch.setattr(calibrate, "STREAM", tiny)
    said = call("calibrate.py", *CELL, "--repeats", "4", "--out", "table.md", cwd=tmp_path)
    assert re.search("^4: seeds 6 to 7, ", said.stdout, re.M)
    assert re.search(r"^\| 1 \| 6 \| [\d.]+% \|", said.stdout, re.M)  # 6 choices of two pairs
    written = (tmp_path / "table.md").read_text()
    assert written.startswith("# Calibration of the memory card\n")
    assert written.partition("\n\n")[2] in said.stdout + "\n"


def test_a_calibration_that_cannot_be_made_ends_in_a_sentence(call, tmp_path):
    (tmp_path / "there.md").touch()
    for arguments, sentence in (
        (["--repeats", "3"], "--repeats 3 is below 4: two pairs take four cards"),
        (["--out", "there.md"], "there.md is there already: move it"),
        (["--out", "nowhere/x.md"], "nowhere is no folder: make it"),
    ):
        said = call("calibrate.py", *arguments, cwd=tmp_path, status=2)
        assert said.stderr.startswith(f"error: {sentence}")
