"""An estimate of the time that grid points take, fitted to rows of results."""

from collections.abc import Sequence

from echo_jax import machine
from echo_jax.config import RunConfig
from echo_jax.studies.grid_point import GridPoint


def seconds_of(points: Sequence[GridPoint]) -> float:
    """Estimated seconds to run some grid points on as many cores as there are here."""
    seconds = 3.5 * len({point.program for point in points})  # to compile
    for point in points:
        config = point.config
        measures = sum(0.5 if name == "probe" else 0.1 for name in point.measures)
        updates = config.training.sequences * config.task.updates_per_sequence
        rounds = -(-config.seeds // machine.cores())
        training = rounds * updates * _microseconds(config) / 1e6
        seconds += 1.0 + measures * config.seeds + training
    return seconds


def minutes(seconds: float) -> str:
    """Seconds as minutes, at least a half."""
    return f"{seconds / 60:.0f}" if seconds > 90 else f"{max(seconds / 60, 0.5):.1f}"


def _microseconds(config: RunConfig) -> float:
    """Of one update of one seed on one core: Adam for each weight, the products of each step."""
    task, network = config.task, config.network
    outputs = task.vocab_size if task.framing == "classes" else 1
    embedded = network.encoding == "embedding"
    features = network.embedding_dim if embedded else outputs
    hidden = network.hidden_size
    if network.cell == "mlp":
        line = network.delay_line or task.window
        cell, step = line * features * hidden, line * hidden
    else:
        cell, step = 4 * (features + hidden) * hidden, 4 * hidden * hidden
    weights = cell + hidden * outputs + embedded * outputs * features
    again = (1 + min(config.training.bptt_batches, task.updates_per_sequence)) / 2
    read = task.batch_size * (task.window if task.layout == "streams" else 1) * hidden * outputs
    products = task.window * again * task.batch_size * step + read
    return 5 + 6e-4 * weights + task.window * again + 2e-4 * products
