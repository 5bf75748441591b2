"""A cell is taken up the ladder of lags of one task, all seeds side by side.

Every learning rate is tried on seeds that are used for nothing else; with the best one the seeds
are trained lag by lag, each until it has succeeded or is out of updates.
"""

from collections.abc import Callable, Iterator
from typing import Any

from echo_jax.memory_benchmark import scan_check, spans
from echo_jax.memory_benchmark.lag_training import LagTraining, Run
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns, RawRow, Trained


class TrainLadder:
    """One task of one cell: its learning `rate`, and the runs that are `trained`, by lag."""

    def __init__(self, training: LagTraining, parallel: ParallelRuns) -> None:
        """Nothing is trained yet."""
        self.training, self.parallel, self.rate = training, parallel, 0.0
        self.trained: dict[int, Trained] = {}
        self.scan_is_checked = False

    def rows(self) -> Iterator[RawRow]:
        """The raw rows `tune` and `run`; they end when no seed has succeeded at every lag."""
        yield from self.tune()
        training, parallel = self.training, self.parallel
        ladder, unbroken = training.protocol.ladder, set(parallel.seeds)
        for lag, following in zip(ladder, (*ladder[1:], None), strict=True):
            if following:
                parallel.prepare(training, training.length(following))
            parallel.tell(f"{training.task}: lag {lag}")
            runs = parallel.runs(lag, self.rate)
            self.trained[lag] = parallel.train(training, runs, training.protocol.budget)
            self.check_scan(self.trained[lag])
            yield from ({"kind": "run"} | row for row in self.trained[lag].rows)
            parallel.interrupts.check()
            unbroken &= self.successes(lag)
            if not unbroken:
                return

    def tune(self) -> Iterator[RawRow]:
        """Try every rate at a lag, and at shorter lags until the best rate learns one."""
        protocol, task = self.training.protocol, self.training.task
        for lag in protocol.tuning_lags[task]:
            self.parallel.tell(f"{task}: choosing the learning rate at lag {lag}")
            runs = [Run(seed, lag, x) for x in protocol.rates for seed in protocol.tuning_seeds]
            tuned = self.parallel.train(self.training, runs, protocol.tuning_updates).rows
            for row in tuned:
                yield {"kind": "tune"} | {k: v for k, v in row.items() if k != "confirmed"}
            self.parallel.interrupts.check()
            self.rate = spans.best_rate(tuned)
            if spans.is_decided(tuned, self.training.fields):
                return

    def check_scan(self, trained: Trained) -> None:
        """Raise ConfigError if the cell's `scan` is not its steps; weights are compared once."""
        answered = [scan_check.check_answers(self.training, row) for row in trained.rows]
        if any(answered) and not self.scan_is_checked:
            runs = [i for i, each in enumerate(answered) if each]
            scan_check.check_weights(self.training, trained.params, runs)
            self.scan_is_checked = True

    def measure(self, function: Callable[[Run, Any], Any], lag: int) -> Any:
        """A function of the run and the trained weights of each seed at a lag."""
        runs = self.parallel.runs(lag, self.rate)
        return self.parallel.measure(function, runs, self.trained[lag].params)

    def successes(self, lag: int) -> set[int]:
        """The seeds that succeeded at a lag."""
        rows = self.trained[lag].rows
        return {row["seed"] for row in rows if spans.succeeded(row, self.training.fields)}

    def halves(self) -> tuple[int | None, int | None]:
        """`spans.halves` of the lags that were trained."""
        rows = [row for trained in self.trained.values() for row in trained.rows]
        return spans.halves(rows, self.parallel.seeds, self.training.fields)
