"""Run a notebook as a reader does, and compare what it prints with the outputs that it has.

Usage: python .ci/notebook.py NOTEBOOK [--write | --solutions], with the packages of the extra
`notebook`.

The kernel is this Python, and it starts in an empty folder. Numbers may differ by 5% or by 1, as
other processors and versions of jax make them. Outputs of a cell with the tag `not-compared` and
the progress of training are not kept. `--write` puts the outputs into the notebook.
`--solutions` fills the gaps of exercises, whose own checks are compared instead of outputs.
"""

import argparse
import json
import math
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from exercises import with_solutions

SECONDS = 360.0
"""Bound of the processor time, from the first cell to the last: three minutes of two cores."""

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def main() -> None:
    """Run, then compare or write; ends with status 1 where an output differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--solutions", action="store_true")
    options = parser.parse_args()
    expected = nbformat.read(options.notebook, as_version=4)
    ran, started = nbformat.read(options.notebook, as_version=4), time.perf_counter()
    if options.solutions:
        with_solutions(ran.cells)
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        nbclient.NotebookClient(ran, timeout=600, resources=where).execute()
    keep_what_stays(ran)
    used = os.times()
    processor = used.children_user + used.children_system
    print(f"{time.perf_counter() - started:.0f} s, {processor:.0f} s of processor time")
    if options.write:
        options.notebook.write_text(json.dumps(ran, indent=1, ensure_ascii=False) + "\n")
        return
    if not options.solutions:
        compare(ran, expected)
    if processor > SECONDS:
        sys.exit(f"the notebook takes {processor:.0f} s of processor time, more than {SECONDS:.0f}")


def compare(ran: Any, expected: Any) -> None:
    """End with status 1 at the first cell whose output differs."""
    for ours, theirs in zip(ran.cells, expected.cells, strict=True):
        if not close(printed(ours), printed(theirs)):
            sys.exit(f"{ours.source}\nprints\n{printed(ours)}\nand not\n{printed(theirs)}")


def keep_what_stays(notebook: Any) -> None:
    """Remove what differs each time: times, progress, and the outputs that are not compared."""
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            kept = "not-compared" not in cell.metadata.get("tags", [])
            cell.outputs = [shown for shown in cell.outputs if kept and not is_progress(shown)]
            if not kept:
                cell.execution_count = None


def is_progress(output: Any) -> bool:
    """True if an output is a progress bar of echo_jax."""
    return "<progress" in output.get("data", {}).get("text/html", "")


def printed(cell: Any) -> str:
    """The outputs of a cell as text and Markdown, without figures."""
    kinds = ("text/plain", "text/markdown")
    return "\n".join(
        output.get("text") or "\n".join(output.data.get(kind, "") for kind in kinds)
        for output in cell.get("outputs", [])
    )


def close(ours: str, theirs: str) -> bool:
    """True if two texts have the same words, and numbers that are close."""
    numbers = ([float(n.replace(",", "")) for n in NUMBER.findall(text)] for text in (ours, theirs))
    return NUMBER.sub("#", ours) == NUMBER.sub("#", theirs) and all(
        math.isclose(*pair, rel_tol=0.05, abs_tol=1.0) for pair in zip(*numbers, strict=True)
    )


if __name__ == "__main__":
    main()
