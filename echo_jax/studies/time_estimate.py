"""An estimate of the time that grid points take on this machine, fitted to rows of results."""

import math
import time
from collections.abc import Sequence

import numpy as np

from echo_jax import machine
from echo_jax.config import RunConfig
from echo_jax.studies.grid_point import GridPoint


def seconds_of(points: Sequence[GridPoint], speed: float = 1.0) -> float:
    """Estimated seconds to run some grid points; `speed` is `core_speed()`."""
    seconds = 3.5 * len({point.program for point in points})  # to compile
    for point in points:
        config = point.config
        measures = sum(0.5 if name == "probe" else 0.1 for name in point.measures)
        updates = config.training.sequences * config.task.updates_per_sequence
        rounds = -(-config.seeds // machine.cores())
        training = rounds * updates * _microseconds(config) / 1e6
        seconds += 1.0 + measures * config.seeds + training
    return seconds / speed


def core_speed() -> float:
    """The speed of a core relative to the machine of `seconds_of`: 2 is twice as fast.

    From a hundredth of a second of products as small as those of an update: about right, no more.
    """
    kernel, seconds = np.full((50, 200), 0.01, np.float32), math.inf
    for _ in range(20):
        state, start = np.full((5, 50), 0.1, np.float32), time.perf_counter()
        for _ in range(200):
            state = np.tanh((state @ kernel)[:, :50])
        seconds = min(seconds, time.perf_counter() - start)
    return 6.2e-4 / seconds  # what they take on a core of that machine


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
