"""The expected time of a grid point, from the sizes of its network. No jax."""

from collections.abc import Sequence

from echo_jax import environment
from echo_jax.config import RunConfig
from echo_jax.grid.task import Task

COMPILE_SECONDS = 3.5  # of the programs of one shape


def expected_seconds(config: RunConfig, measures: tuple[str, ...]) -> float:
    """Seconds of all seeds on as many cores as there are here, without compiling."""
    updates = config.training.sequences * config.task.updates_per_sequence
    rounds = -(-config.seeds // environment.cores())
    measure = sum(0.5 if name == "probe" else 0.1 for name in measures)  # seconds, of a seed
    return 1.0 + measure * config.seeds + rounds * updates * update_microseconds(config) / 1e6


def update_microseconds(config: RunConfig) -> float:
    """An update of one seed on one core: Adam for each weight, the products of each step."""
    task = config.task
    network = config.network
    outputs = task.vocab_size if task.framing == "classes" else 1
    embedded = network.encoding == "embedding"
    features = network.embedding_dim if embedded else outputs
    hidden = network.hidden_size
    if network.cell == "mlp":
        line = network.delay_line or task.window
        cell = line * features * hidden
        step = line * hidden
    else:
        gates = {"simple": 1, "gru": 3}.get(network.cell, 4)
        cell = gates * (features + hidden) * hidden
        step = gates * hidden * hidden
    weights = cell + hidden * outputs + embedded * outputs * features
    again = (1 + min(config.training.bptt_batches, task.updates_per_sequence)) / 2
    read = task.batch_size * task.targets_per_row * hidden * outputs
    products = task.window * again * task.batch_size * step + read
    return 5 + 6e-4 * weights + task.window * again + 2e-4 * products


def seconds_of(points: Sequence[Task]) -> float:
    """Estimated seconds to run some grid points on as many cores as there are here."""
    programs = {point.program for point in points}
    return COMPILE_SECONDS * len(programs) + sum(point.work for point in points)


def minutes(seconds: float) -> str:
    """Seconds as minutes, at least a half."""
    return f"{seconds / 60:.0f}" if seconds > 90 else f"{max(seconds / 60, 0.5):.1f}"
