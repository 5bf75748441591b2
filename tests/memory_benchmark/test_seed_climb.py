"""In which order a climb asks for runs, and how far it gets: runs are outcomes of a table."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_cards import TINY, ladder

from echo_jax.cells.known_memory import Memoryless
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.parallel_runs import Trained
from echo_jax.memory_benchmark.protocol import to_dict
from echo_jax.memory_benchmark.seed_climb import SeedClimb
from echo_jax.memory_benchmark.spans import Climb
from echo_jax.memory_benchmark.training import LadderTraining

RATES = (0.01, 0.003, 0.001)
RUNGS, COARSE = (1, 2, 3, 4, 6, 8), (1, 4, 8)


class TableOfRuns(Interrupts):
    """In the place of `ParallelRuns`: a run passes if `passes(seed, rung, rate)`."""

    def __init__(self, passes, seeds, stop_after=10**9):
        super().__init__()
        self.seeds, self.passes, self.interrupts = range(seeds), passes, self
        self.calls, self.prepared, self.stop_after = [], [], stop_after

    @property
    def requested(self):
        return len(self.calls) >= self.stop_after

    def tell(self, _):
        pass

    def prepare(self, training, length):
        self.prepared.append(length)

    def train(self, training, runs, budget, params=None):
        self.calls.append((runs[0].rung, {run.seed: run.rate for run in runs}))
        assert {run.rung for run in runs} == {runs[0].rung}
        assert len({run.seed for run in runs}) == len(runs) <= len(self.seeds)
        assert budget == training.protocol.budget
        weights = np.array([[run.seed, run.rung, run.rate] for run in runs], np.float32)
        return Trained([outcome(training, run, self.passes(*run[:3])) for run in runs], weights)


def outcome(training, run, passed):
    """The raw row of a run that passes at its second evaluation, or misses."""
    chosen = training.protocol
    row = {"ladder": training.name, "rung": run.rung, "rate": run.rate, "seed": run.seed}
    curve = [0.5, 1.0] if passed else [0.5] * (chosen.budget // chosen.evaluate_every)
    return row | {"accuracy": curve, "confirmed": [[1, 1.0]] * passed, "failed": False}


def climb_of(passes, rungs=RUNGS, coarse=COARSE, cell=None, stop_after=10**9, **fields):
    """A climb by a table, and the calls that it made."""
    asked = ladder("lag", 2, rungs, coarse)
    chosen = dataclasses.replace(TINY, ladders=(asked,), **{"rates": RATES, **fields})
    parallel = TableOfRuns(passes, chosen.seeds, stop_after)
    training = LadderTraining(cell or Memoryless(2), asked, chosen)
    return SeedClimb(training, parallel), parallel.calls


def at(rate, *seeds):
    return dict.fromkeys(seeds, rate)


def spans_of(climb):
    return {seed: each[:2] for seed, each in climb.climbs().items()}


def test_a_leap_that_all_seeds_pass_skips_the_rungs_below_it():
    climb, calls = climb_of(lambda seed, rung, rate: rung <= 4)
    rows = list(climb.rows())
    assert rows == climb.raw
    assert [row["rung"] for row in rows if row["kind"] == "skipped"] == [2, 3]
    assert calls[:3] == [(1, at(0.01, 0, 1)), (4, at(0.01, 0, 1)), (8, at(0.01, 0, 1))]
    # the leap to 8 was missed: back to 6, at every rate
    assert calls[3:] == [(6, at(rate, 0, 1)) for rate in RATES]
    assert spans_of(climb) == {0: (4, 6), 1: (4, 6)}


def test_each_seed_begins_with_the_rate_that_passed_its_last_rung():
    best = {0: {1: 0.001, 2: 0.003, 3: 0.003}, 1: {1: 0.01, 2: 0.001, 3: 0.01}}
    climb, calls = climb_of(
        lambda seed, rung, rate: best[seed].get(rung) == rate, RUNGS[:4], RUNGS[:4]
    )
    list(climb.rows())
    assert calls[:3] == [(1, at(0.01, 0, 1)), (1, at(0.003, 0)), (1, at(0.001, 0))]
    assert calls[3:6] == [(2, {0: 0.001, 1: 0.01}), (2, {0: 0.01, 1: 0.003}),
                          (2, {0: 0.003, 1: 0.001})]  # fmt: skip
    assert calls[6:] == [
        (3, {0: 0.003, 1: 0.001}), (3, {1: 0.01}),
        (4, {0: 0.003, 1: 0.01}), (4, {0: 0.01, 1: 0.003}), (4, at(0.001, 0, 1)),
    ]  # fmt: skip
    assert climb.climb(0) == Climb(3, 4, 0.003, 2 * TINY.evaluate_every)


ALL_RUNS = tuple(itertools.product(range(3), RUNGS, RATES))
TABLES = st.sets(st.sampled_from(ALL_RUNS))


def by_all_runs(table, rungs=RUNGS):
    """The last rung passed and the first missed of each seed, had every run been made."""
    training = LadderTraining(Memoryless(2), ladder("lag", 2, rungs), TINY)
    fields = to_dict(dataclasses.replace(TINY, ladders=(training.ladder,), rates=RATES))
    run = dataclasses.make_dataclass("run", ["seed", "rung", "rate"])
    rows = [outcome(training, run(*each), each in table) for each in ALL_RUNS]
    return {
        seed: spans.climb([row for row in rows if row["seed"] == seed], [], rungs, fields)[:2]
        for seed in range(3)
    }


@given(TABLES, st.permutations(RATES))
def test_without_leaps_the_climb_is_that_of_all_runs_in_any_order_of_the_rates(table, rates):
    climb, calls = climb_of(lambda *run: run in table, coarse=RUNGS, seeds=3, rates=tuple(rates))
    list(climb.rows())
    assert spans_of(climb) == by_all_runs(table)
    runs = [(rung, *each) for rung, of_seeds in calls for each in of_seeds.items()]
    assert len(runs) == len(set(runs))  # none is made twice


def refined(passes, rungs=(8, 16, 32), **fields):
    climb, calls = climb_of(passes, rungs, rungs, **fields)
    list(climb.rows())
    before = len(calls)
    rows = list(climb.refine())
    assert climb.raw[-len(rows) :] == rows or not rows
    return climb, calls[before:]


@pytest.mark.parametrize(
    ("end", "tried"), [(8, [12, 10, 9]), (13, [12, 14, 13]), (15, [12, 14, 15])]
)
def test_where_all_seeds_end_in_one_gap_it_is_bisected(end, tried):
    climb, calls = refined(lambda seed, rung, rate: rung <= end)
    assert list(dict.fromkeys(rung for rung, _ in calls)) == tried
    assert spans_of(climb) == {0: (end, end + 1), 1: (end, end + 1)}
    assert all(set(rates) == {0, 1} for rung, rates in calls if rung <= end)
