"""A cell taken through the copy-memory task: the raw rows of its card, T by T."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from echo_jax.config import TracedParameters
from echo_jax.core import many_seeds
from echo_jax.memory_benchmark import copy_task, spans
from echo_jax.memory_benchmark.parallel_runs import RawRow, Run
from echo_jax.memory_benchmark.protocol import Protocol


class CopyProber:
    """One cell, the protocol `copy`, one first seed; `rows` yields what its card is made of.

    Args:
      cell: any `RNNCellBase`.
      protocol: what is fixed; its ladder is of T, the blanks.
      seed: the first of `protocol.seeds` seeds.
      over: asked between blocks of updates whether the time is over.
      tell: told in a few words what is at work.
    """

    def __init__(
        self,
        cell: nn.RNNCellBase,
        protocol: Protocol,
        seed: int = 0,
        over: Callable[[], bool] = lambda: False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Nothing is compiled yet."""
        self.cell, self.protocol, self.over, self.tell = cell, protocol, over, tell
        self.seeds = [seed + i for i in range(protocol.seeds)]

    def rows(self) -> Iterator[RawRow]:
        """The rate, then every T; they end where the time does."""
        protocol = self.protocol
        (blanks,) = protocol.tuning_lags["copy"]
        self.tell("copy: choosing the learning rate")
        tries = [
            Run(seed, blanks, rate) for rate in protocol.rates for seed in protocol.tuning_seeds
        ]
        tuned = list(self.tune(tries))
        yield from tuned
        for blanks in protocol.ladder:
            if self.over():
                return
            self.tell(f"copy: T = {blanks:,}")
            runs = [Run(seed, blanks, spans.best_rate(tuned)) for seed in self.seeds]
            yield from self.train(runs, protocol.budget)

    def tune(self, tries: list[Run]) -> Iterator[RawRow]:
        """Rows of the runs that choose the rate, with the share of symbols that were right."""
        for row in self.train(tries, self.protocol.tuning_updates):
            tuned = {"kind": "tune", "task": "copy", "lag": row["T"], "rate": row["rate"]}
            failed = row["loss"][-1] is None
            yield tuned | {"seed": row["seed"], "accuracy": row["accuracy"], "failed": failed}

    def train(self, runs: list[Run], budget: int) -> list[RawRow]:
        """The rows of some runs of one T, side by side; none where the time is over at once."""
        how = many_seeds.default_seed_map()
        devices = many_seeds.devices_for(len(runs), how)
        every, shape = self.protocol.evaluate_every, (self.protocol.batch_size, runs[0].lag)
        settings = many_seeds.pad(settings_of(runs), len(devices))

        def mapped(function: Callable[..., Any]) -> Any:
            return jax.jit(many_seeds.over_runs(lambda s, tree, _: function(s, tree), devices, how))

        state = mapped(lambda s, _: copy_task.init(self.cell, s))(settings, None, None)
        block = mapped(lambda s, x: copy_task.train_then_evaluate(self.cell, s, x, every, shape))
        found: list[Any] = []
        while len(found) < budget // every and not self.over():
            state, scores = block(settings, state, None)
            found.append(jax.device_get(scores))
        updates = [every * (i + 1) for i in range(len(found))]
        each = [
            [jax.tree.map(lambda x, i=i: x[i], scores) for scores in found]
            for i in range(len(runs))
        ]
        return [
            copy_task.raw_row(run.lag, run.seed, run.rate, updates, scores)
            for run, scores in zip(runs, each, strict=True)
            if scores
        ]


def settings_of(runs: list[Run]) -> TracedParameters:
    """The settings of some runs: of a copy, seed and rate are all that counts."""
    seed, blanks, rate = zip(*runs, strict=True)
    return TracedParameters(
        np.asarray(seed, np.int32),
        np.asarray(blanks, np.int32),
        np.asarray(rate, np.float32),
        np.zeros(len(runs), bool),
    )
