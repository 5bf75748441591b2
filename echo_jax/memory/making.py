"""Cards in the making: what is there already stays, and the runs that lack are made.

    plan ─► runs that lack a row ─► rows as they come ─► card.json and rows.jsonl, each time whole

The runs are made in this process, `rows_here`, or on the workers of a cluster, `rows_on_workers`;
the row of a run is the same. The same command completes a card that was stopped.
"""

import contextlib
import datetime
import functools
import json
import os
import timeit
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import jax
import numpy as np

from echo_jax import atomic_files, environment
from echo_jax.cells import registry
from echo_jax.cells.interface import Cell
from echo_jax.cells.state_size import state_bytes
from echo_jax.cluster import Workers
from echo_jax.config import GENERATOR
from echo_jax.core import network
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.memory import card as cards
from echo_jax.memory import protocol, score
from echo_jax.memory.card import Card
from echo_jax.memory.measure import Measurement, PlannedRun, check_programs, check_state, rows
from echo_jax.memory.named_cell import NamedCell
from echo_jax.memory.protocol import KEYS, Configuration, Part
from echo_jax.memory.rows import Row, configuration_of

MIXED = "its rows were made with more than one version of the software"
MIXED_DEVICES = "its rows were made on several devices or numbers of cores, and bits may differ"

TIMED_STEPS, TIMES = 240, 100
"""Steps of one stream that are timed together, and how often: the least time counts."""


class Plan(NamedTuple):
    """The configurations and seeds of a card."""

    configurations: Sequence[Configuration]
    seeds: Sequence[int]

    def missing(self, done: Sequence[Row]) -> list[PlannedRun]:
        """The runs that have no row yet: those of the default card, then the others by seed."""
        there = {PlannedRun(configuration_of(row), row.seed) for row in done}
        runs = [PlannedRun(of, seed) for seed in self.seeds for of in self.configurations]
        runs.sort(key=lambda run: run.configuration not in protocol.DEFAULT)
        return [run for run in runs if run not in there]


def plan_of(full: bool, seeds: int | None, only: Part | None = None) -> Plan:
    """The plan of a card or a part of one, with the usual number of seeds where none is given."""
    if not isinstance(full, bool):
        raise ConfigError("full", full, "is neither True nor False", "use one of these")
    if only not in (None, *get_args(Part)):
        fix = f"use one of {', '.join(get_args(Part))}"
        raise ConfigError("only", only, "is no part of a card", fix)
    part = only and only.replace("-", " ")
    every = protocol.FULL if full else protocol.DEFAULT
    kept = [x for x in every if part in (None, x.question, x.schedule)]
    return Plan(kept, range(seeds or (protocol.FULL_SEEDS if full else protocol.DEFAULT_SEEDS)))


def new_card(name: str, named: NamedCell, plan: Plan) -> Card:
    """The card of a cell before any row."""
    cell = named.cell
    size = max(state_bytes(cell, protocol.SYMBOLS), state_bytes(cell, 2 * KEYS))
    keys, values = cell.key_value_sizes or (None, None)
    net, key = network.around(cell, 2 * KEYS, KEYS), jax.random.key(0, impl=GENERATOR)
    shapes = jax.eval_shape(functools.partial(network.init_params, net), key)
    return Card(
        name=name,
        cell=cards.Cell(named.name, named.args, named.source),
        state_bytes=size.cell,
        conv_bytes=size.convolution,
        keys=keys,
        values=values,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(shapes)),
        seeds=list(plan.seeds),
        configuration=list(plan.configurations),
        date=datetime.datetime.now(datetime.UTC).date(),
        versions=environment.versions(),
        remarks=list(named.remarks),
    )


def there(folder: Path, new: Card) -> tuple[Card, list[Row]]:
    """The card of a folder with its rows; the new one, without any, where no card is.

    StorageError where the card there is of another cell, there are rows without a card, or a page
    was edited, which would be overwritten.
    """
    atomic_files.check_no_link(folder)
    for page in ("card.md", "card.svg"):
        atomic_files.check_generated(folder / page)
    if not os.path.exists(folder / "card.json"):  # no error for a name that is too long
        if os.path.lexists(folder / "rows.jsonl"):
            rule = "has rows.jsonl and no card.json, which says of what cell the rows are"
            raise StorageError(None, folder, rule, "restore it, or move rows.jsonl away")
        return new, []
    old, done = cards.read(folder)
    if (old.cell, old.parameters) != (new.cell, new.parameters):
        args = f" {old.cell.args}" * bool(old.cell.args)
        raise StorageError(
            None, folder, f"is the card of another cell, {old.cell.name}{args}, or of "
            "another text of its file", "give this card another {name}, or move that one",
        )  # fmt: skip
    old.name = new.name  # also where the folder was copied or renamed
    old.seeds = sorted({*new.seeds, *(row.seed for row in done)})
    every = *old.configuration, *map(configuration_of, done), *new.configuration
    old.configuration = list(dict.fromkeys(every))
    return old, done


@contextlib.contextmanager
def claimed(folder: Path, new: Card) -> Iterator[tuple[Card, list[Row]]]:
    """The card, which is written, and rows that are `there`, locked; or FolderInUseError."""
    atomic_files.make_folder(folder)
    with atomic_files.locked(folder):
        card, rows = there(folder, new)
        if not rows:
            cards.write(card, rows, folder)
        yield card, rows


class Request(NamedTuple):
    """A card to be made: its folder and cell, itself before any row, and the runs that it lacks."""

    folder: Path
    named: NamedCell
    new: Card
    plan: Plan
    missing: Sequence[PlannedRun]


def requested(out: Path, name: str, named: NamedCell, plan: Plan) -> Request:
    """The card of a name in its folder; ConfigError for a cell or folder that cannot be used."""
    cards.check_name(name)
    check_state(named.name, named.cell)
    new = new_card(name, named, plan)
    missing = plan.missing(there(out / name, new)[1])
    if missing:
        check_programs(named.name, named.cell)
    return Request(out / name, named, new, plan, missing)


Progressed = Callable[[PlannedRun, int], None]
"""Told the updates of a run so far; what it raises ends all runs."""

Rows = Callable[[NamedCell, Sequence[PlannedRun], Progressed], Generator[tuple[Row, str]]]
"""Makes runs of a cell, and gives each row, and its device, as it is done."""


def make(
    request: Request, rows: Rows, progressed: Progressed, say: Callable[[str], None]
) -> Iterator[Card]:
    """Make the runs that a card lacks; the card before, after each row, and at the end.

    `say` is told each row once it is stored. What ends the runs leaves the rows.
    """
    folder, named, new, plan, _ = request
    with claimed(folder, new) as (card, done):
        yield cards.with_rows(card, done)
        if missing := plan.missing(done):
            if card.versions != new.versions and MIXED not in card.remarks:
                card.remarks.append(MIXED)
            with contextlib.closing(rows(named, missing, progressed)) as coming:
                for row, device in coming:
                    done.append(row)
                    noted(card, row, device)
                    shown = cards.write(card, done, folder)
                    say(cards.row_text(row))
                    yield shown
        if card.us_per_step is None:
            card.us_per_step = step_microseconds(named.cell)
            cards.write(card, done, folder)
        yield cards.with_rows(card, done)


def rows_here(
    named: NamedCell, missing: Sequence[PlannedRun], progressed: Progressed
) -> Generator[tuple[Row, str]]:
    """The rows of runs that are made in this process; see `measure.rows`."""
    questions = {run.configuration.question for run in missing}
    measurement = Measurement(named.cell, named.name, questions)
    with contextlib.closing(rows(measurement, missing, progressed)) as coming:
        for row in coming:
            yield row, environment.device()


def rows_on_workers(
    workers: Workers, named: NamedCell, missing: Sequence[PlannedRun], progressed: Progressed
) -> Generator[tuple[Row, str]]:
    """The rows of runs that workers make; ConfigError at the end if some failed."""
    run = functools.partial(run_of_cell, named.name, json.dumps(named.args), named.source)
    failures = []
    for outcome in workers.map(run, missing, progressed):
        progressed(outcome.task, protocol.UPDATES)
        if outcome.failure:
            failures.append(outcome.failure)
        else:
            yield outcome.result
    if failures:
        raise ConfigError(f"{len(failures)} runs failed: {'; '.join(sorted({*failures}))}")


def run_of_cell(
    cell: str, args: str, source: str | None, planned: PlannedRun, report: Callable[[int], None]
) -> tuple[Row, str]:
    """The row of a run on a worker; the arguments of the cell are JSON."""
    return _measurement_of(cell, args, source).row(planned, report), environment.device()


@functools.lru_cache(maxsize=1)
def _measurement_of(cell: str, args: str, source: str | None) -> Measurement:
    """The programs of a cell, which a worker compiles once; ConfigError if its text is another."""
    registry.check_source(cell, source)
    return Measurement(registry.build(cell, json.loads(args)), cell)


def noted(card: Card, row: Row, device: str) -> None:
    """Add the device of a row, and sentences on a mixture and where forms of the cell disagree."""
    if device not in card.devices:
        card.devices.append(device)
        card.remarks += [MIXED_DEVICES] if len(card.devices) == 2 else []
    if abs(row.difference) > protocol.SCANS_AGREE:
        card.remarks.append(
            f"seed {row.seed} {configuration_of(row).question}: the accuracy by the cell's "
            f"scan differs from that by its steps by {row.difference:+.1%}; the steps count"
        )


def step_microseconds(cell: Cell) -> float:
    """The least time of a step of one stream by key, microseconds; other work moves it little."""
    net = network.around(cell, 2 * KEYS, KEYS)
    params = jax.jit(lambda: network.init_params(net, jax.random.key(0, impl=GENERATOR)))()
    tokens = np.arange(TIMED_STEPS, dtype=np.int32)[None] % (2 * KEYS)
    by_steps = functools.partial(score.by_steps, net, read=lambda _, output: output)
    program = jax.jit(by_steps).lower(params, tokens).compile()
    run = functools.partial(program, params, tokens)
    times = timeit.repeat(lambda: jax.block_until_ready(run()), repeat=TIMES, number=1)
    return round(1e6 * min(times) / TIMED_STEPS, 2)
