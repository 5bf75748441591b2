"""What each built-in cell costs: parameters, bytes of state, the time of a step and of an update.

Every cell is measured in a fresh process on one core: microseconds of a step of one row through
`step`, and milliseconds of the gradient of all outputs by the weights over sequences of several
lengths, with its recurrence step by step and, where it has that form, in parallel over time.
"""

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from echo_jax.cells.cell_facts import FACTS
from echo_jax.speed_benchmark.race import say
from echo_jax.speed_benchmark.worker import Worker, WorkerError

if TYPE_CHECKING:
    import jax

    from echo_jax.cells.interface import Cell

UNITS, VALUES, ROWS = 50, 16, 16
"""H, the features of every cell; V, the values of a one-hot input; B, the rows of an update."""

LENGTHS = (96, 600, 3000)
STEPS = 960
"""Steps of one row that are timed together."""

TABLE = "cell times"
"""The name of the marks between which the table stands in a page."""


def measure_all(core: int, fast: bool) -> list[dict[str, Any]]:
    """A row for each built-in cell, measured one after the other; `failure` says why one is not."""
    lengths, seconds = ((8,), 0.01) if fast else (LENGTHS, 1.0)
    rows = []
    for name in list(FACTS)[:3] if fast else FACTS:
        say(name)
        with Worker(core, {}, measure, name, lengths, seconds) as worker:
            try:
                found = worker.reply(600)
            except WorkerError as error:
                found = {"failure": str(error)}
        rows.append({"cell": name} | found)
    return rows


def measure(pipe: Connection, name: str, lengths: Sequence[int], seconds: float) -> None:
    """Send parameters, state_bytes, step_microseconds, and milliseconds by form and length."""
    import jax

    from echo_jax.cells.cell_arguments import build
    from echo_jax.config import GENERATOR

    cell = build(name, {"features": UNITS})
    params = jax.jit(lambda: cell.init(jax.random.key(0, impl=GENERATOR), VALUES))()
    state = cell.initial_state(params, 1, VALUES)
    pipe.send({
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "state_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(state)),
        "step_microseconds": 1e6 / STEPS * _seconds(_streaming(cell), (params,), seconds),
        "milliseconds": _milliseconds(cell, params, lengths, seconds),
    })  # fmt: skip


def _streaming(cell: "Cell") -> Callable[..., Any]:
    """One row through `STEPS` steps, one at a time."""
    import jax
    import jax.numpy as jnp

    def run(params: Any) -> Any:
        """The last state, and the outputs of all steps."""
        prepared = cell.prepare(params)
        inputs = jax.nn.one_hot(jnp.arange(STEPS) % VALUES, VALUES)[:, None]
        start = cell.initial_state(params, 1, VALUES)
        return jax.lax.scan(functools.partial(cell.step, prepared), start, inputs)

    return run


def _milliseconds(
    cell: "Cell", params: Any, lengths: Sequence[int], seconds: float
) -> dict[str, list[float]]:
    """The times of a gradient by the form of the recurrence; only those that the cell has."""
    import jax

    from echo_jax.cells.scan import recurrences

    def gradient(params: Any, tokens: "jax.Array") -> Any:
        """The gradient of the sum of all outputs by the parameters."""

        def total(params: Any) -> "jax.Array":
            start = cell.initial_state(params, ROWS, VALUES)
            return cell.scan(cell.prepare(params), start, tokens)[1].sum()

        return jax.grad(total)(params)

    found: dict[str, list[float]] = {}
    programs = {}
    for form in ("sequential", "parallel"):
        arguments = [(params, _tokens(length)) for length in lengths]
        with recurrences(form):
            run = functools.partial(gradient)  # another function: jit keeps what it has traced
            programs[form] = str(jax.make_jaxpr(run)(*arguments[0]))
            if programs[form] == programs.get("sequential") and form == "parallel":
                break
            found[form] = [1e3 * _seconds(run, each, seconds) for each in arguments]
    return found


def _tokens(length: int) -> "jax.Array":
    """Random values of all rows, `[T, B]`."""
    import jax

    from echo_jax.config import GENERATOR

    return jax.random.randint(jax.random.key(1, impl=GENERATOR), (length, ROWS), 0, VALUES)


def _seconds(run: Callable[..., Any], arguments: tuple, seconds: float) -> float:
    """The median time of a call, of at least three within so many seconds."""
    import jax

    program = jax.jit(run).lower(*arguments).compile()
    jax.block_until_ready(program(*arguments))
    calls: list[float] = []
    while len(calls) < 3 or sum(calls) < seconds:
        begin = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        calls.append(time.perf_counter() - begin)
    return statistics.median(calls)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """All cells in Markdown, a line each."""
    lengths = [f"T {length:,}" for length in LENGTHS]
    headings = ["cell", "name", "paper", "floats of state", "bytes", "parameters", "\u00b5s a step"]
    headings += [f"ms, {length}" for length in lengths]
    lines = [headings, ["---"] * 3 + ["---"] + ["---:"] * (len(headings) - 4)]
    for row in rows:
        facts = FACTS[row["cell"]]
        start = [facts.title, f"`{row['cell']}`", facts.paper, facts.state]
        if "failure" in row:
            lines.append([*start, row["failure"], *[""] * (len(headings) - 5)])
            continue
        forms = row["milliseconds"]
        times = [f"{one:.1f}" for one in forms["sequential"]]
        if "parallel" in forms:
            times = [f"{one} / {n:.1f}" for one, n in zip(times, forms["parallel"], strict=True)]
        lines.append([
            *start, f"{row['state_bytes']:,}", f"{row['parameters']:,}",
            f"{row['step_microseconds']:.1f}", *times,
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
