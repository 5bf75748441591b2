"""Everything that a memory card holds of a cell, measured in order: its raw rows.

    price     sizes and times
    ladders   every seed climbs each ladder
    beyond    the networks of the last lag that half of the seeds passed, on longer streams
    cause     why the next lag is not passed
    capacity  networks with a head for each lag; their recalled bits and linear capacity
    copy      the copy-memory task, with a protocol of its own

On a CPU a raw row is a function of cell, protocol and seed, times excepted; what else runs does not
matter. The program is asked to stop between blocks: that only ends the rows early.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import Any

from echo_jax.host.interrupts import Interrupts, StoppedError
from echo_jax.memory_benchmark.journal import Journal
from echo_jax.memory_benchmark.measures import (
    capacity_rows,
    copy_task,
    failure_cause,
    longer_streams,
    step_time,
)
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns, RawRow
from echo_jax.memory_benchmark.protocol import PRICED, Protocol
from echo_jax.memory_benchmark.seed_climb import SeedClimb
from echo_jax.memory_benchmark.training import LadderTraining


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
    with contextlib.closing(parallel), contextlib.suppress(StoppedError):
        if "copy" in protocol.rows:
            yield from copy_task.rows(cell, parallel, protocol)
            return
        climbs = [
            SeedClimb(LadderTraining(cell, each, protocol), parallel) for each in protocol.ladders
        ]
        parts: dict[str, Callable[[], Iterator[RawRow]]] = {
            "ladders": lambda: _ladder_rows(climbs),
            "price": lambda: _price(climbs),
            "beyond": lambda: longer_streams.rows(climbs[0]),
            "cause": lambda: failure_cause.rows(climbs[0]),
            "capacity": lambda: capacity_rows.rows(climbs),
        }
        for name in protocol.rows:
            yield from parts[name]()


def _ladder_rows(climbs: list[SeedClimb]) -> Iterator[RawRow]:
    """The raw rows of all ladders, then of their refinement."""
    for climb in climbs:
        yield from climb.rows()
    for climb in climbs:
        if climb.training.protocol.refine:
            yield from climb.refine()


def _price(climbs: list[SeedClimb]) -> Iterator[RawRow]:
    """The raw row `price`, timed while nothing compiles."""
    parallel, input_sizes = climbs[0].parallel, {x.training.network.input_size for x in climbs}
    parallel.tell("cost: sizes and times")
    wait(parallel.programs.values())
    cell, protocol = climbs[0].training.cell, climbs[0].training.protocol
    priced = LadderTraining(cell, PRICED[protocol.track], protocol)
    yield step_time.cost_row(priced, input_sizes)
