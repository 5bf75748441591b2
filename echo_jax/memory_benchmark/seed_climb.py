"""Every seed climbs one ladder: a rung is passed at any of the learning rates.

    leap      all seeds at the next coarse rung, each at one rate; if all pass, the rungs below it
              are skipped
    try_rung  the seeds that still climb, at one rate after the other until they pass

The rate that passed the last rung of a seed is tried first. A seed that misses a rung is done.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns, RawRow
from echo_jax.memory_benchmark.spans import Climb
from echo_jax.memory_benchmark.training import LadderTraining, Run


class SeedClimb:
    """One ladder of one cell: its raw rows so far, and the weights of each seed's last runs."""

    def __init__(self, training: LadderTraining, parallel: ParallelRuns) -> None:
        """Nothing is trained yet."""
        self.training, self.parallel = training, parallel
        self.protocol, self.name = training.fields, training.ladder.name
        self.raw: list[RawRow] = []
        self.weights: dict[tuple[int, int], Any] = {}  # by seed and rung, of its last run there
        longer = training.protocol.exact_lags if training.is_exact else ()
        self.rungs = (*training.ladder.rungs, *longer)
        self.coarse = {*training.ladder.coarse, *longer[-1:]}

    def rows(self) -> Iterator[RawRow]:
        """The raw rows `run` and `skipped`, until no seed climbs on."""
        groups = self.groups()
        for rungs, following in zip(groups, [*groups[1:], ()], strict=True):
            if following and self.climbing():
                self.parallel.prepare(self.training, self.training.length(following[-1]))
            if len(rungs) > 1 and len(self.climbing()) == len(self.parallel.seeds):
                yield from self.leap(rungs)
            for rung in rungs:
                if self.climbing() and not self.is_skipped(rung):
                    yield from self.try_rung(rung, self.climbing())

    def groups(self) -> list[tuple[int, ...]]:
        """The rungs in groups that end with a coarse one; those above the last one are alone."""
        ends = [0, *(i + 1 for i, rung in enumerate(self.rungs) if rung in self.coarse)]
        alone = [(rung,) for rung in self.rungs[ends[-1] :]]
        return [self.rungs[a:b] for a, b in pairwise(ends)] + alone

    def leap(self, rungs: Sequence[int]) -> Iterator[RawRow]:
        """Try the last of some rungs, and skip the others if all seeds pass it at once."""
        *below, last = rungs
        runs = [run for seed in self.parallel.seeds if (run := self.run(seed, last))]
        yield from self.train(runs)
        if all(spans.passed(row, self.protocol) for row in self.raw[-len(runs) :]):
            skipped = [{"kind": "skipped", "ladder": self.name, "rung": rung} for rung in below]
            self.raw += skipped
            yield from skipped

    def try_rung(self, rung: int, seeds: Iterable[int]) -> Iterator[RawRow]:
        """Train some seeds on a rung, each at the next rate until it passes or has none left."""
        trying = set(seeds)
        while True:
            runs = [run for seed in sorted(trying) if (run := self.run(seed, rung))]
            if not runs:
                return
            yield from self.train(runs)
            trying = {run.seed for run in runs}

    def run(self, seed: int, rung: int) -> Run | None:
        """The next run of a seed on a rung; None if it has passed it, or has no rate left."""
        done = [row for row in self.runs_of(seed) if row["rung"] == rung]
        if any(spans.passed(row, self.protocol) for row in done):
            return None
        last = self.climb(seed).rate
        rates = sorted(self.training.protocol.rates, key=lambda rate: rate != last)
        left = [rate for rate in rates if rate not in {row["rate"] for row in done}]
        return Run(seed, rung, left[0]) if left else None

    def train(self, runs: Sequence[Run]) -> Iterator[RawRow]:
        """Train runs of one rung; yield and keep their raw rows, and keep their weights."""
        parallel, training, rung = self.parallel, self.training, int(runs[0].rung)
        rates = " and ".join(f"{rate:g}" for rate in dict.fromkeys(run.rate for run in runs))
        parallel.tell(f"{self.name} {rung}: {len(runs)} seeds at rate {rates}")
        trained = parallel.train(training, runs, training.protocol.budget)
        for i, run in enumerate(runs):
            self.weights[int(run.seed), rung] = jax.tree.map(lambda x, i=i: x[i], trained.params)
        found = [{"kind": "run"} | row for row in trained.rows]
        self.raw += found
        yield from found
        parallel.interrupts.check()

    def refine(self) -> Iterator[RawRow]:
        """Try the rungs within a gap in which all seeds end, by bisection."""
        while True:
            gaps = {self.climb(seed)[:2] for seed in self.parallel.seeds}
            low, high = next(iter(gaps))
            if len(gaps) > 1 or high is None or high - low < 2:
                return
            yield from self.try_rung((low + high) // 2, self.parallel.seeds)

    def runs_of(self, seed: int) -> list[RawRow]:
        """The raw rows of the runs of a seed."""
        return [row for row in self.raw if row["kind"] == "run" and row["seed"] == seed]

    def is_skipped(self, rung: int) -> bool:
        """True for a rung that no seed needs to run."""
        return any(row["kind"] == "skipped" and row["rung"] == rung for row in self.raw)

    def climb(self, seed: int) -> Climb:
        """`spans.climb` of a seed."""
        skipped = [row["rung"] for row in self.raw if row["kind"] == "skipped"]
        tried = {row["rung"] for row in self.raw}
        rungs = sorted({*self.rungs, *tried})
        return spans.climb(self.runs_of(seed), skipped, rungs, self.protocol)

    def climbs(self) -> dict[int, Climb]:
        """`spans.climb` of each seed."""
        return {seed: self.climb(seed) for seed in self.parallel.seeds}

    def climbing(self) -> list[int]:
        """The seeds that have missed no rung."""
        return [seed for seed, each in self.climbs().items() if each.missed is None]

    def measure(self, function: Any, rung: int) -> tuple[list[int], Any]:
        """A function of the run and the weights of each seed that has a run on a rung.

        Returns the seeds, and NumPy leaves `[S, ...]`.
        """
        seeds = [seed for seed in self.parallel.seeds if (seed, rung) in self.weights]
        params = jax.tree.map(lambda *x: np.stack(x), *(self.weights[seed, rung] for seed in seeds))
        runs = [Run(seed, rung, self.rate_of(seed, rung)) for seed in seeds]
        return seeds, self.parallel.measure(function, runs, params)

    def rate_of(self, seed: int, rung: int) -> float:
        """The rate of the last run of a seed on a rung."""
        return [row["rate"] for row in self.runs_of(seed) if row["rung"] == rung][-1]
