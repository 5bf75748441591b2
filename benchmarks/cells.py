"""Parameters, state and times of each built-in cell: python benchmarks/cells.py.

Every cell is measured in a fresh process on one core: microseconds of a step of one row through
`step`, and milliseconds of the gradient of all outputs by the weights over sequences of several
lengths, with its recurrence step by step and, where it has that form, in parallel over time.
"""

import functools
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import surroundings
from surroundings import markdown_table, measured_apart, seconds_of_calls

from echo_jax.cell_names import CELLS
from echo_jax.cells.interface import Cell, ProjectedCell
from echo_jax.cells.matrix_state import chunks
from echo_jax.cells.registry import build
from echo_jax.jax_settings import GENERATOR

UNITS, VALUES, ROWS = 50, 16, 16
"""H, the features of every cell; V, the values of a one-hot input; B, the rows of an update."""

LENGTHS: tuple[int, ...] = (96, 3000)
STEPS = 960
"""Steps of one row that are timed together."""

FLOATS_OF_STATE = {
    "2 H": "lstm optimized-lstm lstm-chrono",
    "H": "gru simple identity-rnn mingru minlstm rg-lru exprnn",
    "H delay_line - H": "mlp",
    "2 states": "lru s5",
    "4 H": "slstm",
    "keys values": "delta-net gated-delta-net mamba2 gla",
    "key_size value_size + key_size + 1": "mlstm",
    "F + heads head_size head_size": "rwkv7",
    "H + memories numbers": "lmu",
}
"""Cells by the floats of their state for one row: H is `features`, F the input's, other names are
attributes of the cell, None for H."""


def main(fast: bool = False, out: Path | None = None) -> None:
    """Measure what each built-in cell costs, on one core.

    Args:
      fast: use very small sizes, to see that everything works; the times mean nothing.
      out: a new JSON file for all that was measured.
    """
    with surroundings.measuring(out) as (measured, core):
        names, lengths, seconds = list(CELLS), LENGTHS, 1.0
        if fast:
            names, lengths, seconds = names[:3], (8,), 0.01
        points = [({"cell": name}, (name, lengths, seconds)) for name in names]
        measured["cells"] = measured_apart(core, measure, points)
        print(table(measured["cells"]))


def measure(name: str, lengths: Sequence[int], seconds: float) -> dict[str, Any]:
    """The parameters, state_bytes, step_microseconds, and milliseconds by form and length."""
    cell = build(name, {"features": UNITS})
    params = jax.jit(lambda: cell.init(jax.random.key(0, impl=GENERATOR), VALUES))()
    state = cell.initial_state(params, 1, VALUES)
    return {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "state_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(state)),
        "step_microseconds": 1e6 / STEPS * _seconds(_streaming(cell), (params,), seconds),
        "milliseconds": _milliseconds(cell, params, lengths, seconds),
    }


def _streaming(cell: Cell) -> Callable[..., Any]:
    """One row through `STEPS` steps, one at a time."""

    def run(params: Any) -> Any:
        """The last state, and the outputs of all steps."""
        prepared = cell.prepare(params)
        inputs = jax.nn.one_hot(jnp.arange(STEPS) % VALUES, VALUES)[:, None]
        start = cell.initial_state(params, 1, VALUES)
        return jax.lax.scan(functools.partial(cell.step, prepared), start, inputs)

    return run


def _milliseconds(
    cell: Cell, params: Any, lengths: Sequence[int], seconds: float
) -> dict[str, list[float]]:
    """The times of a gradient by the form of the recurrence; only those that the cell has."""

    def total(params: Any, tokens: jax.Array) -> jax.Array:
        """The sum of all outputs."""
        start = cell.initial_state(params, ROWS, VALUES)
        return cell.scan(cell.prepare(params), start, tokens)[1].sum()

    times: dict[str, list[float]] = {}
    programs: dict[str, str] = {}
    key = jax.random.key(1, impl=GENERATOR)
    tokens = [jax.random.randint(key, (length, ROWS), 0, VALUES) for length in lengths]
    for form in ("sequential", "parallel"):
        with (
            mock.patch.object(ProjectedCell, "in_parallel", form == "parallel"),
            mock.patch.object(chunks, "WIDE", 0 if form == "parallel" else math.inf),
        ):
            gradient = jax.grad(total)  # another function: jit keeps what it has traced
            programs[form] = str(jax.make_jaxpr(gradient)(params, tokens[0]))
            if form == "sequential" or programs[form] != programs["sequential"]:
                times[form] = [1e3 * _seconds(gradient, (params, x), seconds) for x in tokens]
    return times


def _seconds(run: Callable[..., Any], arguments: tuple, seconds: float) -> float:
    """The median time of a call, of at least three within so many seconds."""
    program = jax.jit(run).lower(*arguments).compile()
    jax.block_until_ready(program(*arguments))
    calls = seconds_of_calls(lambda: jax.block_until_ready(program(*arguments)), seconds)
    return statistics.median(calls)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """All cells in Markdown, a line each."""
    lengths = [f"T {length:,}" for length in LENGTHS]
    headings = ["cell", "floats of state", "bytes", "parameters", "\u00b5s a step"]
    headings += [f"ms, {length}" for length in lengths]
    return markdown_table(headings, map(_line, rows), left=range(2))


def floats_of_state(name: str) -> str:
    """The formula of a cell; ValueError for one that has none yet."""
    for formula, cells in FLOATS_OF_STATE.items():
        if name in cells.split():
            return formula
    raise ValueError(f"add {name} to FLOATS_OF_STATE of benchmarks/cells.py")


def _line(row: dict[str, Any]) -> list[str]:
    labels = [f"`{row['cell']}`", floats_of_state(row["cell"])]
    if "failure" in row:
        return [*labels, row["failure"]]
    by_length = zip(*row["milliseconds"].values(), strict=True)
    times = [" / ".join(f"{time:.1f}" for time in forms) for forms in by_length]
    sizes = [f"{row['state_bytes']:,}", f"{row['parameters']:,}"]
    return [*labels, *sizes, f"{row['step_microseconds']:.1f}", *times]


if __name__ == "__main__":
    surroundings.run(main)
