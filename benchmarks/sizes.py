"""One recurrent layer at several sizes, beside Flax and PyTorch: python benchmarks/race.py --sizes.

Measured is a forward pass from the state zero and the gradient of the sum of all squared outputs
by all parameters. Every size has a process of its own on one core, in which the libraries alternate
in every round.
"""

import importlib.util
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import surroundings
from flax import linen as nn
from surroundings import markdown_table, measured_apart, seconds_of_calls

from echo_jax.cells.registry import build
from echo_jax.config import GENERATOR


class Size(NamedTuple):
    """A layer and its input: one-hot vectors of V values, in T steps of B rows; H units."""

    cell: str
    steps: int
    rows: int
    units: int
    values: int


SIZES = (
    Size("lstm", 5, 5, 50, 100),
    Size("lstm", 10, 16, 50, 16),
    Size("lstm", 48, 16, 50, 16),
    Size("lstm", 200, 16, 50, 16),
    Size("lstm", 600, 16, 50, 16),
    Size("lstm", 1000, 16, 50, 16),
    Size("lstm", 100, 32, 256, 64),
    Size("lstm", 50, 64, 512, 64),
    Size("gru", 96, 16, 50, 16),
    Size("gru", 600, 16, 50, 16),
    Size("simple", 96, 16, 50, 16),
    Size("simple", 600, 16, 50, 16),
)


def compare_sizes(rounds: int, fast: bool, out: Path | None) -> None:
    """Print the table of all sizes; see `main` of the race for the arguments."""
    with_torch = importlib.util.find_spec("torch") is not None
    peers = tuple(name for name in LAYERS if name != "PyTorch" or with_torch)
    with surroundings.measuring(out) as (measured, core):
        sizes, seconds = ((Size("lstm", 10, 2, 4, 4),), 0.01) if fast else (SIZES, 0.4)
        points = [(size._asdict(), (size, peers, rounds, seconds)) for size in sizes]
        rows = measured["sizes"] = measured_apart(core, measure, points)
        print(table(rows, peers))
        if not with_torch:
            print("\nPyTorch is not installed: pip install -e '.[benchmark]'.")


def measure(size: Size, peers: Sequence[str], rounds: int, seconds: float) -> dict[str, Any]:
    """The median milliseconds of a call of each peer, in rounds of so many seconds; the ratios."""
    tokens = np.random.default_rng(1).integers(0, size.values, (size.steps, size.rows))
    calls = {name: LAYERS[name](size, tokens) for name in peers}
    for call in calls.values():  # compile it
        call()
    times: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(1e3 * statistics.median(seconds_of_calls(call, seconds)))
    ours, *others = peers
    ratios = {name: ratio(times[ours], times[name]) for name in others}
    return {"milliseconds": times, "ratios": ratios}


def ratio(times: Sequence[float], reference: Sequence[float]) -> tuple[float, float, float]:
    """The ratio of the medians, and the smallest and largest ratio within a round."""
    within = [a / b for a, b in zip(times, reference, strict=True)]
    return statistics.median(times) / statistics.median(reference), min(within), max(within)


def echo_jax_layer(size: Size, tokens: np.ndarray) -> Callable[[], Any]:
    """The built-in cell on tokens; as all layers here, a call is a forward and backward pass."""
    cell = build(size.cell, {"features": size.units})
    params = jax.jit(lambda: cell.init(jax.random.key(0, impl=GENERATOR), size.values))()

    def outputs(params: Any, tokens: jax.Array) -> jax.Array:
        start = cell.initial_state(params, size.rows, size.values)
        return cell.scan(cell.prepare(params), start, tokens)[1]

    return gradient_call(outputs, params, jnp.asarray(tokens, jnp.int32))


def flax_layer(size: Size, tokens: np.ndarray) -> Callable[[], Any]:
    """`nn.RNN` over the cell of Flax that is meant for speed, on one-hot vectors."""
    cells: dict[str, Any] = {
        "lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell, "simple": nn.SimpleCell
    }  # fmt: skip
    layer = nn.RNN(cells[size.cell](size.units), time_major=True)
    inputs = jax.nn.one_hot(tokens, size.values)
    params = jax.jit(layer.init)(jax.random.key(0, impl=GENERATOR), inputs)
    return gradient_call(layer.apply, params, inputs)


def gradient_call(outputs: Callable[..., Any], params: Any, inputs: jax.Array) -> Callable[[], Any]:
    """A call of the compiled gradient of the sum of squared outputs; it waits for the result."""
    gradient = jax.jit(jax.grad(lambda *arguments: (outputs(*arguments) ** 2).sum()))
    return lambda: jax.block_until_ready(gradient(params, inputs))


def pytorch_layer(size: Size, tokens: np.ndarray) -> Callable[[], Any]:
    """The layer of PyTorch on one-hot vectors, with one thread."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    layers = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple": torch.nn.RNN}
    layer = layers[size.cell](size.values, size.units)
    inputs = torch.nn.functional.one_hot(torch.from_numpy(tokens), size.values).float()

    def call() -> None:
        layer.zero_grad()
        layer(inputs)[0].square().sum().backward()

    return call


LAYERS = {"echo_jax": echo_jax_layer, "Flax": flax_layer, "PyTorch": pytorch_layer}
"""By the names of the table; the first is compared with the others."""


def table(rows: Sequence[dict[str, Any]], peers: Sequence[str]) -> str:
    """All sizes in Markdown, a line each: median times, and ratios with their range."""
    ours, *others = peers
    headings = ["cell", *Size._fields[1:], *(f"{name}, ms" for name in peers)]
    headings += [f"{ours} / {name}" for name in others]

    def line(row: dict[str, Any]) -> list[str]:
        labels = [f"`{row['cell']}`", *(f"{row[field]:,}" for field in Size._fields[1:])]
        if "failure" in row:
            return [*labels, row["failure"]]
        times = [f"{statistics.median(each):.2f}" for each in row["milliseconds"].values()]
        ratios = ["{:.2f} ({:.2f} .. {:.2f})".format(*each) for each in row["ratios"].values()]
        return labels + times + ratios

    return markdown_table(headings, map(line, rows))
