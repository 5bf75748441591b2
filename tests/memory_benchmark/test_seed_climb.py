"""In which order a climb asks for runs, and how far it gets: runs are outcomes of a table."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_cards import TINY, ladder, made_card

from echo_jax.cells.known_memory import Memoryless, ShiftRegister
from echo_jax.host.interrupts import Interrupts, StoppedError
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.parallel_runs import Trained
from echo_jax.memory_benchmark.protocol import to_dict
from echo_jax.memory_benchmark.seed_climb import SeedClimb
from echo_jax.memory_benchmark.spans import Climb
from echo_jax.memory_benchmark.training import LadderTraining
from echo_jax.memory_cards import card_file

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


def test_the_length_of_the_next_leap_is_compiled_while_a_rung_is_trained():
    climb, _ = climb_of(lambda *_: True, steps_per_lag=10)
    rows = climb.rows()
    assert next(rows)["rung"] == 1
    assert climb.parallel.prepared == [40]
    assert next(row for row in rows if row["rung"] == 4)
    assert climb.parallel.prepared == [40, 80]
    list(rows)
    assert climb.parallel.prepared == [40, 80]
    none, _ = climb_of(lambda *_: False)
    list(none.rows())
    assert len(none.parallel.prepared) == 1  # no seed climbs on


@pytest.mark.parametrize(
    ("coarse", "tried"), [((), [1, 2, 3, 4, 6, 8]), ((3,), [3, 4, 6, 8]), ((1, 8), [1, 8])]
)
def test_only_a_coarse_rung_is_leapt_to(coarse, tried):
    climb, calls = climb_of(lambda *_: True, coarse=coarse)
    rows = list(climb.rows())
    assert [rung for rung, _ in calls] == tried
    assert {row["rung"] for row in rows if row["kind"] == "skipped"} == {*RUNGS} - {*tried}
    ladders_alone = dataclasses.replace(climb.training.protocol, rows=("ladders",))
    card_file.validate(made_card(rows, ladders_alone))


def test_a_leap_that_one_seed_misses_goes_back_and_counts_for_the_seeds_that_passed_it():
    climb, calls = climb_of(lambda seed, rung, rate: seed == 0 or rung <= 3)
    rows = list(climb.rows())
    assert not [row for row in rows if row["kind"] == "skipped"]
    assert calls == [
        (1, at(0.01, 0, 1)), (4, at(0.01, 0, 1)),
        (2, at(0.01, 0, 1)), (3, at(0.01, 0, 1)),
        (4, at(0.003, 1)), (4, at(0.001, 1)),  # seed 0 has passed 4 at the leap
        (6, at(0.01, 0)), (8, at(0.01, 0)),  # no leap of some seeds
    ]  # fmt: skip
    assert spans_of(climb) == {0: (8, None), 1: (3, 4)}


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


def test_a_seed_that_missed_a_rung_is_done():
    climb, calls = climb_of(lambda seed, rung, rate: rung != 2 or seed == 1, RUNGS, RUNGS)
    list(climb.rows())
    assert spans_of(climb) == {0: (1, 2), 1: (8, None)}
    assert all(0 not in rates for rung, rates in calls if rung > 2)


def test_what_is_stopped_has_the_rows_so_far_and_no_more():
    climb, calls = climb_of(lambda seed, rung, rate: rung <= 4, stop_after=3)
    rows = []
    with pytest.raises(StoppedError):
        rows.extend(iter(climb.rows()))
    assert len(calls) == 3
    assert spans_of(climb) == {0: (4, None), 1: (4, None)}


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


@given(TABLES, st.permutations(RATES))
def test_a_leap_changes_nothing_where_no_shorter_rung_is_harder(table, rates):
    """Where a seed passes no rung after one that it misses at all rates."""
    ends = {seed: missed or 9 for seed, (_, missed) in by_all_runs(table).items()}
    table = {each for each in table if each[1] < ends[each[0]]}
    climb, _ = climb_of(lambda *run: run in table, seeds=3, rates=tuple(rates))
    list(climb.rows())
    assert spans_of(climb) == by_all_runs(table)


@given(TABLES)
def test_every_skip_has_its_reason_in_the_rows(table):
    climb, _ = climb_of(lambda *run: run in table, seeds=3)
    rows = list(climb.rows())
    for row in [row for row in rows if row["kind"] == "skipped"]:
        coarse = next(rung for rung in COARSE if rung > row["rung"])
        passed = {each["seed"] for each in rows if each["rung"] == coarse and each["kind"] == "run"
                  and each["confirmed"]}  # fmt: skip
        assert row["rung"] not in COARSE
        assert passed == {0, 1, 2}
    ladders_alone = dataclasses.replace(climb.training.protocol, rows=("ladders",))
    card_file.validate(made_card(rows, ladders_alone))


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


def test_of_an_odd_gap_the_lower_of_the_two_in_the_middle_is_tried():
    _, calls = refined(lambda seed, rung, rate: rung <= 8, rungs=(8, 15, 32))
    assert list(dict.fromkeys(rung for rung, _ in calls)) == [11, 9]


def test_it_is_bisected_until_the_seeds_differ():
    climb, calls = refined(lambda seed, rung, rate: rung <= 12 + 2 * seed)
    assert [rung for rung, _ in calls] == [12, *[14] * 3]
    assert spans_of(climb) == {0: (12, 14), 1: (14, 16)}


@pytest.mark.parametrize(
    "passes",
    [
        lambda seed, rung, rate: rung <= 8 + 8 * seed,  # different gaps
        lambda seed, rung, rate: True,  # the ladder ends
        lambda seed, rung, rate: seed == 0 or rung <= 8,  # one is censored
    ],
)
def test_seeds_that_end_in_different_gaps_or_nowhere_are_not_refined(passes):
    assert refined(passes)[1] == []


def test_a_gap_of_one_has_nothing_within_it():
    climb, calls = refined(lambda seed, rung, rate: rung <= 2, rungs=(1, 2, 3))
    assert calls == []
    assert spans_of(climb) == {0: (2, 3), 1: (2, 3)}


def test_a_cell_without_parameters_climbs_the_exact_lags_and_no_other_does():
    everything, exact = (lambda *_: True), (16, 32, 64)
    climb, calls = climb_of(everything, cell=ShiftRegister(3), exact_lags=exact)
    rows = list(climb.rows())
    assert [rung for rung, _ in calls] == [1, 4, 8, 64]  # the last one is coarse
    assert [row["rung"] for row in rows if row["kind"] == "skipped"] == [2, 3, 6, 16, 32]
    assert spans_of(climb) == {0: (64, None), 1: (64, None)}
    climb, calls = climb_of(everything, cell=Memoryless(3), exact_lags=exact)
    list(climb.rows())
    assert [rung for rung, _ in calls] == [1, 4, 8]


def test_the_weights_of_the_last_run_of_each_seed_on_a_rung_are_kept():
    climb, _ = climb_of(lambda seed, rung, rate: seed == 0 or (rung, rate) == (1, 0.001))
    list(climb.rows())
    assert climb.weights[0, 1].tolist() == np.float32([0, 1, 0.01]).tolist()
    assert climb.weights[1, 1].tolist() == np.float32([1, 1, 0.001]).tolist()
    assert climb.rate_of(1, 1) == 0.001
    assert (1, 8) not in climb.weights
    assert (0, 8) in climb.weights
