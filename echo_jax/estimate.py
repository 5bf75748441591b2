"""About how long a grid takes on this machine: arithmetic, fitted to the rows in `docs/results`."""

from collections.abc import Sequence

from echo_jax import machine
from echo_jax.config import RunConfig
from echo_jax.studies import Cell

COMPILE, CELL = 4.0, 1.0
"""Seconds to compile the programs of a shape, and that a cell takes besides training."""

MEASURE = 3.0
"""Seconds of a measure."""


def seconds_of(cells: Sequence[Cell], speed: float = 1.0) -> float:
    """About how many seconds some cells take; `speed` is `machine.speed()`."""
    shapes = {(cell.config.shapes, cell.config.seeds) for cell in cells}
    work = sum(CELL + MEASURE * len(cell.measures) + _training(cell.config) for cell in cells)
    return (COMPILE * len(shapes) + work) / speed


def minutes(seconds: float) -> str:
    """Seconds as minutes, at least a half."""
    return f"{seconds / 60:.0f}" if seconds > 90 else f"{max(seconds / 60, 0.5):.1f}"


def _training(config: RunConfig) -> float:
    """Seconds of training, all seeds, on all cores."""
    updates = config.training.sequences * config.task.updates_per_sequence
    rounds = -(-config.seeds // machine.cores())
    return rounds * updates * _microseconds(config) / 1e6


def _microseconds(config: RunConfig) -> float:
    """Of one update of one seed on a core: small operations for each step, products, and Adam."""
    task, network = config.task, config.network
    outputs = task.vocab_size if task.framing == "classes" else 1
    features = network.embedding_dim if network.encoding == "embedding" else outputs
    gates = 4 * network.hidden_size
    weights = (features + network.hidden_size) * gates + network.hidden_size * outputs
    again = (1 + min(config.training.bptt_batches, task.updates_per_sequence)) / 2
    steps = task.window * again
    read = task.batch_size * (task.window if task.layout == "streams" else 1)
    products = task.batch_size * network.hidden_size * gates * steps
    products += read * network.hidden_size * outputs
    return 12 + 6 * steps + 1.2e-3 * weights + 1.5e-4 * products
