"""Everything that a memory card holds of a cell, measured in order: its raw rows.

    stream, hold  the learning rate, then the ladder of lags
    price         sizes and times
    beyond        the networks of the last lag that half of the seeds learned, on longer streams
    cause         why the next lag is not learned
    capacity      one network with a head for each lag; its recalled bits and its linear capacity
    copy          the copy-memory task, with a protocol of its own

On a CPU a raw row is a function of cell, protocol and seed, times excepted; what else runs does not
matter. The program is asked to stop between blocks: that only ends the rows early.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import Any

from echo_jax.host.interrupts import Interrupts, StoppedError
from echo_jax.memory_benchmark import (
    copy_task,
    failure_cause,
    linear_capacity,
    longer_streams,
    step_time,
)
from echo_jax.memory_benchmark.capacity import CapacityTraining
from echo_jax.memory_benchmark.journal import Journal
from echo_jax.memory_benchmark.lag_training import LagTraining
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns, RawRow
from echo_jax.memory_benchmark.protocol import TASKS, Protocol
from echo_jax.memory_benchmark.train_ladder import TrainLadder
from echo_jax.report.number_formats import plain


def raw_rows(
    cell: Any,
    protocol: Protocol,
    seed: int = 0,
    interrupts: Interrupts | None = None,
    tell: Callable[[str], None] = lambda _: None,
    journal: Journal | None = None,
) -> Iterator[RawRow]:
    """The raw rows of a card; `seed` is the first of `protocol.seeds`, `cell` what `adapt` takes.

    `interrupts` are asked between blocks whether to stop; `tell` is told what is being measured.
    What the `journal` has already is not trained again.
    """
    parallel = ParallelRuns(protocol, seed, interrupts or Interrupts(), tell, journal)
    stream, hold = (TrainLadder(LagTraining(cell, task, protocol), parallel) for task in TASKS)
    measures = {
        "stream": stream.rows(),
        "hold": hold.rows(),
        "price": _cost(stream),
        "beyond": longer_streams.rows(stream),
        "cause": failure_cause.rows(stream),
        "capacity": _capacity_rows(stream),
        "copy": copy_task.rows(copy_task.CopyTraining(cell, "copy", protocol), parallel),
    }
    with contextlib.closing(parallel), contextlib.suppress(StoppedError):
        for ladder in (stream, hold):
            training = ladder.training
            if training.task in protocol.rows:
                for lag in (protocol.tuning_lags[training.task][0], protocol.ladder[0]):
                    parallel.prepare(training, training.length(lag))
        for name, rows in measures.items():
            if name in protocol.rows:
                yield from rows


def _cost(stream: TrainLadder) -> Iterator[RawRow]:
    """The raw row `price`, timed while nothing compiles."""
    stream.parallel.tell("cost: sizes and times")
    wait(stream.parallel.programs.values())
    yield step_time.cost_row(stream.training)


def _capacity_rows(stream: TrainLadder) -> Iterator[RawRow]:
    """The raw rows `bits` and `linear` of a network with a head for each lag."""
    parallel = stream.parallel
    parallel.tell("capacity: one network with a head for each lag")
    training, runs = CapacityTraining(stream.training), parallel.runs(0, stream.rate)
    first = parallel.measure(lambda run, _: training.init(run).params, runs, None)
    last = parallel.train(training, runs, training.protocol.capacity_updates).params
    parallel.interrupts.check()
    found = parallel.measure(training.recalled_bits, runs, last)
    for i, run in enumerate(runs):
        row = {"kind": "bits", "seed": run.seed}
        row["lags"] = list(range(1, training.protocol.capacity_lags + 1))
        row |= {name: plain(bits[i], ".6f") for name, bits in found.items()}
        yield row | {"state_numbers": training.state_size}
    yield from linear_capacity.rows(training, parallel, runs, first, last)
