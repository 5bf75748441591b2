"""The training job of the race, and the interface that every peer has."""

import dataclasses
import time
from typing import Any, NamedTuple

import numpy as np

from echo_jax.config import PARTS, NetworkConfig, RunConfig, TaskConfig, TrainingConfig

JOB = dataclasses.replace(PARTS["context"], evaluation_sequences=100)
SMALL_JOB = RunConfig(
    TaskConfig(length=10, vocab_size=8, window=3, lag=1, batch_size=2),
    NetworkConfig(hidden_size=6),
    TrainingConfig(sequences=100),
    evaluation_sequences=20,
)  # of `--fast`


class Rows(NamedTuple):
    """Sequences cut into the tutorial's rows: int `[N, K, B, W]` and `[N, K, B]`."""

    windows: np.ndarray
    targets: np.ndarray


def cut(sequences: np.ndarray, task: TaskConfig) -> Rows:
    """The rows of sequences `[N, L]`: windows that end at t, targets x(t - lag)."""
    times = np.asarray(task.row_times).reshape(-1, task.batch_size)
    windows = sequences[:, times[..., None] - np.arange(task.window)[::-1]]
    return Rows(windows, sequences[:, times - task.lag])


class Learner:
    """A network and its training; it is built with everything that `start` and `train` need.

    A peer defines `start`, and `run_batch` or `run` on rows of sequences that NumPy draws; one that
    draws its own defines `train` and `accuracy` instead.
    """

    chunk = 1  # `train` takes a multiple of so many sequences

    def __init__(self, config: RunConfig) -> None:
        """Keep the configuration of the job and seed the training data."""
        self.config = config
        self._data = np.random.default_rng(config.seed)

    def start(self) -> None:
        """Draw new weights and set the optimizer's moments to zero."""
        raise NotImplementedError

    def run_batch(
        self, state: Any, window: np.ndarray, target: np.ndarray, learn: bool
    ) -> tuple[Any, float, np.ndarray]:
        """The next state, the loss and the most likely tokens; the first state is None."""
        raise NotImplementedError

    def run(self, rows: Rows, learn: bool) -> tuple[np.ndarray, np.ndarray]:
        """The loss `[N, K]` in nats of every batch and the most likely tokens `[N, K, B]`.

        The state is zero at the start of each sequence; to learn is to update after each batch.
        """
        losses, answers, shape = [], [], rows.targets.shape
        for windows, targets in zip(*rows, strict=True):
            state = None
            for window, target in zip(windows, targets, strict=True):
                state, loss, answer = self.run_batch(state, window, target, learn)
                losses.append(loss)
                answers.append(answer)
        return np.reshape(losses, shape[:2]), np.reshape(answers, shape)

    def train(self, sequences: int) -> None:
        """Train on further sequences, each new; return when it is done."""
        self.run(self._draw(self._data, sequences), learn=True)

    def seconds(self, sequences: int) -> float:
        """The time that training on further sequences takes, their drawing included."""
        begin = time.perf_counter()
        self.train(sequences)
        return time.perf_counter() - begin

    def warm_up(self) -> tuple[float, int]:
        """Compile everything by training twice from a new start.

        Gives the seconds of one sequence, and `chunk`.
        """
        count = max(self.chunk, 5)
        for _ in range(2):
            self.start()
            seconds = self.seconds(count)
        self.start()
        return seconds / count, self.chunk

    def accuracy(self) -> float:
        """The share of right answers on fresh sequences."""
        held_out = np.random.default_rng([self.config.seed, 1])
        rows = self._draw(held_out, self.config.evaluation_sequences)
        return float(np.mean(self.run(rows, learn=False)[1] == rows.targets))

    def _draw(self, data: np.random.Generator, sequences: int) -> Rows:
        task = self.config.task
        tokens = data.integers(0, task.vocab_size, (sequences, task.length), dtype=np.int32)
        return cut(tokens, task)
