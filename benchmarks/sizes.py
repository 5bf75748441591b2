"""One recurrent layer at several sizes, beside Flax and PyTorch: python benchmarks/race.py --sizes.

Layers whose state is a matrix, which PyTorch has not, stand beside two forms of `matrix_states`.
A last table compares our own two forms of these layers, in chunks and by step.

Measured is a forward pass from the state zero and the gradient of the sum of all squared outputs
by all parameters: as one call, and as an update, one of four with steps of gradient descent between
them. The four are one program in JAX, as updates are in training, and four calls in PyTorch. A
program takes fresh memory from the system at every call, so a call of a long window takes longer
than an update. Every size has a process of its own on one core, in which the libraries alternate in
every round.
"""

import functools
import importlib.util
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import surroundings
from flax import linen as nn
from surroundings import markdown_table, measured_apart, seconds_of_calls, torch_device

from echo_jax.cells.interface import Cell
from echo_jax.cells.matrix_state import chunks
from echo_jax.cells.registry import build, cell_class
from echo_jax.jax_settings import GENERATOR


class Size(NamedTuple):
    """A layer and its input: one-hot vectors of V values, in T steps of B rows; H units.

    A matrix is one of H keys and H values.
    """

    cell: str
    steps: int
    rows: int
    units: int
    values: int


UPDATES = 4  # in one program

LIBRARIES = ("echo_jax", "Flax", "PyTorch")
FORMS = ("echo_jax", "PyTorch by step", "PyTorch in chunks")
OUR_FORMS = ("in chunks", "by step")
"""The peers of a table; the first is compared with the others."""

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

MATRIX_CELLS = ("delta-net", "gated-delta-net", "gla", "mamba2", "mlstm", "rwkv7")

MATRIX_SIZES = tuple(
    Size(cell, steps, 16, units, 16)
    for cell in MATRIX_CELLS
    for steps, units in ((93, 10), (512, 32))
)
"""The sizes of a card, of 400 bytes, and about the largest state that a card measures."""

CROSSING_SIZES = tuple(
    Size(cell, steps, 16, units, 16)
    for cell in MATRIX_CELLS
    for steps, units in ((93, 10), (512, 10), (93, 20), (512, 20), (10, 32), (93, 32), (512, 32))
)
"""The sizes around `chunks.WIDE`."""


class Layer(NamedTuple):
    """The calls of a library for a size: one forward and backward pass, and `UPDATES` updates."""

    call: Callable[[], Any]
    updates: Callable[[], Any]


Times = dict[str, list[float]]
"""By peer the milliseconds in each round."""


def compare_sizes(rounds: int, fast: bool, out: Path | None) -> None:
    """Print the table of all sizes; see `main` of the race for the arguments."""
    with_torch = importlib.util.find_spec("torch") is not None
    with surroundings.measuring(out) as (measured, core):
        measured["sizes"] = []
        tables = (SIZES, LIBRARIES), (MATRIX_SIZES, FORMS), (CROSSING_SIZES, OUR_FORMS)
        for sizes, names in tables:
            peers = tuple(name for name in names if with_torch or "PyTorch" not in name)
            small = sizes[0]._replace(steps=10, rows=2, units=4, values=4)
            tried, seconds = ((small,), 0.01) if fast else (sizes, 0.4)
            points = [(size._asdict(), (size, peers, rounds, seconds)) for size in tried]
            rows = measured_apart(core, measure, points)
            measured["sizes"] += rows
            print(f"{table(rows, peers)}\n")
        if not with_torch:
            print("PyTorch is not installed: pip install -e '.[benchmark]'.")


def measure(size: Size, peers: Sequence[str], rounds: int, seconds: float) -> dict[str, Any]:
    """The median milliseconds of a call and of an update of each peer in each round; the ratios.

    In a round calls and updates take so many seconds each.
    """
    tokens = np.random.default_rng(1).integers(0, size.values, (size.steps, size.rows))
    layers = {name: LAYERS[name](size, tokens) for name in peers}
    for layer in layers.values():  # compile them
        layer.call()
        layer.updates()
    calls: Times = {name: [] for name in peers}
    updates: Times = {name: [] for name in peers}
    for _ in range(rounds):
        for name, layer in layers.items():
            calls[name].append(milliseconds(layer.call, seconds))
            updates[name].append(milliseconds(layer.updates, seconds) / UPDATES)
    measured = {"milliseconds": calls, "ratios": ratios(calls)}
    return measured | {"update_milliseconds": updates, "update_ratios": ratios(updates)}


def milliseconds(call: Callable[[], Any], seconds: float) -> float:
    """The median time of a call."""
    return 1e3 * statistics.median(seconds_of_calls(call, seconds))


def ratios(times: Times) -> dict[str, tuple[float, float, float]]:
    """By peer the ratio of the times of the first peer to its own."""
    ours, *others = times
    return {name: ratio(times[ours], times[name]) for name in others}


def ratio(times: Sequence[float], reference: Sequence[float]) -> tuple[float, float, float]:
    """The ratio of the medians, and the smallest and largest ratio within a round."""
    within = [a / b for a, b in zip(times, reference, strict=True)]
    return statistics.median(times) / statistics.median(reference), min(within), max(within)


def first_weights(size: Size) -> tuple[Cell, Any]:
    """The built-in cell of a size, and its parameters."""
    units = ("features", *getattr(cell_class(size.cell), "sized_with", ()))
    cell = build(size.cell, dict.fromkeys(units, size.units))
    return cell, jax.jit(lambda: cell.init(jax.random.key(0, impl=GENERATOR), size.values))()


def echo_jax_layer(size: Size, tokens: np.ndarray) -> Layer:
    """The built-in cell on tokens."""
    cell, params = first_weights(size)

    def outputs(params: Any, tokens: jax.Array) -> jax.Array:
        start = cell.initial_state(params, size.rows, size.values)
        return cell.scan(cell.prepare(params), start, tokens)[1]

    return compiled(outputs, params, jnp.asarray(tokens, jnp.int32))


def layer_of_form(size: Size, tokens: np.ndarray, wide: float) -> Layer:
    """The built-in cell, in chunks where its matrix has at least `wide` numbers."""
    with mock.patch.object(chunks, "WIDE", wide):
        return echo_jax_layer(size, tokens)


def flax_layer(size: Size, tokens: np.ndarray) -> Layer:
    """`nn.RNN` over the cell of Flax that is meant for speed, on one-hot vectors."""
    cells: dict[str, Any] = {
        "lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell, "simple": nn.SimpleCell
    }  # fmt: skip
    layer = nn.RNN(cells[size.cell](size.units), time_major=True)
    inputs = jax.nn.one_hot(tokens, size.values)
    params = jax.jit(layer.init)(jax.random.key(0, impl=GENERATOR), inputs)
    return compiled(layer.apply, params, inputs)


def compiled(outputs: Callable[..., Any], params: Any, inputs: jax.Array) -> Layer:
    """The compiled gradient of the sum of squared outputs, and updates; they wait for results."""
    gradient = jax.grad(lambda *arguments: (outputs(*arguments) ** 2).sum())

    def step(params: Any, inputs: jax.Array) -> Any:
        changes = gradient(params, inputs)
        return jax.tree.map(lambda weights, change: weights - 1e-6 * change, params, changes)

    def updates(params: Any, inputs: jax.Array) -> Any:
        return jax.lax.fori_loop(0, UPDATES, lambda _, params: step(params, inputs), params)

    def waiting(function: Callable[..., Any]) -> Callable[[], Any]:
        program = jax.jit(function).lower(params, inputs).compile()
        return lambda: jax.block_until_ready(program(params, inputs))

    return Layer(waiting(gradient), waiting(updates))


def pytorch_layer(size: Size, tokens: np.ndarray, form: str | None = None) -> Layer:
    """The layer of PyTorch on one-hot vectors, or one by a form of `matrix_states`; one thread."""
    torch: Any = importlib.import_module("torch")
    device = torch_device(torch)
    inputs = torch.nn.functional.one_hot(torch.from_numpy(tokens), size.values).float().to(device)
    wait = torch.cuda.synchronize if device == "cuda" else tuple  # a GPU answers before it is done
    if form is None:
        layers = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple": torch.nn.RNN}
        layer = layers[size.cell](size.values, size.units).to(device)
        return called([*layer.parameters()], lambda: layer(inputs)[0], wait)
    states = importlib.import_module("matrix_states")
    matrix, recurrence = (getattr(states, x.replace("-", "_")) for x in (size.cell, form))
    _, params = first_weights(size)
    weights = jax.tree.map(
        lambda x: torch.tensor(np.array(x), device=device, requires_grad=True), params
    )
    return called(weights, lambda: matrix(weights, inputs.swapaxes(0, 1), recurrence), wait)


def called(weights: Sequence[Any], outputs: Callable[[], Any], wait: Callable[[], Any]) -> Layer:
    """The gradient of the sum of squared outputs in PyTorch; `wait` returns when it is there."""

    def repeated(times: int) -> None:
        for _ in range(times):
            for each in weights:
                each.grad = None
            outputs().square().sum().backward()
        wait()

    return Layer(lambda: repeated(1), lambda: repeated(UPDATES))


LAYERS: dict[str, Callable[[Size, np.ndarray], Layer]] = {
    "echo_jax": echo_jax_layer,
    "in chunks": functools.partial(layer_of_form, wide=0),
    "by step": functools.partial(layer_of_form, wide=math.inf),
    "Flax": flax_layer,
    "PyTorch": pytorch_layer,
    "PyTorch by step": functools.partial(pytorch_layer, form="in_steps"),
    "PyTorch in chunks": functools.partial(pytorch_layer, form="in_chunks"),
}
"""By the names of the peers."""


def table(rows: Sequence[dict[str, Any]], peers: Sequence[str]) -> str:
    """All sizes in Markdown, a line each: median times, and ratios with their range."""
    ours, *others = peers
    headings = ["cell", *Size._fields[1:], *(f"{name}, ms a call / an update" for name in peers)]
    headings += [f"{ours} / {name}, {unit}" for name in others for unit in ("call", "update")]

    def line(row: dict[str, Any]) -> list[str]:
        labels = [f"`{row['cell']}`", *(f"{row[field]:,}" for field in Size._fields[1:])]
        if "failure" in row:
            return [*labels, row["failure"]]
        times = [
            f"{statistics.median(row['milliseconds'][name]):.2f} / "
            f"{statistics.median(row['update_milliseconds'][name]):.2f}"
            for name in peers
        ]
        ratios = [
            "{:.2f} ({:.2f} .. {:.2f})".format(*row[kind][name])
            for name in others
            for kind in ("ratios", "update_ratios")
        ]
        return labels + times + ratios

    return markdown_table(headings, map(line, rows))
