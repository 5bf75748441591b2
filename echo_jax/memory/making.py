"""Cards in the making: what is there already stays, and the runs that lack are made.

    plan ─► runs that lack a row ─► rows as they come ─► card.json and rows.jsonl, each time whole

A card that was stopped shows the seeds that are there; the same command goes on.
"""

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from echo_jax import atomic_files, machine
from echo_jax.cells.interface import Cell
from echo_jax.cells.state_size import StateBytes, state_bytes
from echo_jax.config import GENERATOR
from echo_jax.core import network
from echo_jax.exceptions import StorageError
from echo_jax.memory import card as cards
from echo_jax.memory.card import Card
from echo_jax.memory.measure import Measurement, PlannedRun, rows, runs_of
from echo_jax.memory.named_cell import NamedCell
from echo_jax.memory.protocol import KEYS, SCANS_AGREE, SYMBOLS, Configuration
from echo_jax.memory.rows import KeyRow, Row

TIMED_STEPS, TIMES = 960, 7
"""Steps of one stream that are timed together, and how often."""


class Plan(NamedTuple):
    """The configurations and seeds of a card."""

    configurations: Sequence[Configuration]
    seeds: Sequence[int]

    def missing(self, done: Sequence[Row]) -> list[PlannedRun]:
        """The runs that have no row yet."""
        there = {planned_of(row) for row in done}
        return [run for run in runs_of(self.configurations, self.seeds) if run not in there]


def planned_of(row: Row) -> PlannedRun:
    """The run of a row."""
    if isinstance(row, KeyRow):
        return PlannedRun(Configuration("by key", row.rate, row.schedule), row.seed)
    return PlannedRun(Configuration("by lag", row.rate), row.seed)


def new_card(name: str, named: NamedCell, plan: Plan, remarks: Sequence[str] = ()) -> Card:
    """The card of a cell before any row."""
    cell, size = named.cell, state_of(named.cell)
    shapes = jax.eval_shape(
        lambda: network.init_params(
            network.around(cell, 2 * KEYS, KEYS), jax.random.key(0, impl=GENERATOR)
        )
    )
    return Card(
        name=name,
        cell=cards.Cell(named.name, named.args, named.source),
        state_bytes=size.cell,
        conv_bytes=size.convolution,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(shapes)),
        seeds=list(plan.seeds),
        configuration=[of._asdict() for of in plan.configurations],
        date=datetime.datetime.now(datetime.UTC).date(),
        versions=machine.versions(),
        remarks=list(remarks),
    )


def state_of(cell: Cell) -> StateBytes:
    """The bytes of the state: of the question in which it is larger."""
    return max(state_bytes(cell, SYMBOLS), state_bytes(cell, 2 * KEYS))


@contextlib.contextmanager
def claimed(folder: Path, new: Card) -> Iterator[tuple[Card, list[Row]]]:
    """The card of a folder with its rows, and no other process in it.

    The folder is made if it is not there. StorageError where the card there is of another cell.
    """
    atomic_files.check_no_link(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_files.locked(folder):
        if not (folder / "card.json").exists():
            yield new, []
            return
        old, done = cards.read(folder)
        if (old.cell, old.parameters) != (new.cell, new.parameters):
            raise StorageError(
                None, folder, f"is the card of another cell, {old.cell.name} {old.cell.args}",
                "give this card another {name}, or move that one",
            )  # fmt: skip
        old.seeds = sorted({*old.seeds, *new.seeds})
        old.configuration += [x for x in new.configuration if x not in old.configuration]
        yield old, done


def make(
    folder: Path,
    new: Card,
    cell: Cell,
    plan: Plan,
    progressed: Callable[[int], None] = lambda _: None,
) -> Iterator[Card]:
    """Make the runs of a plan that a folder lacks; the card after each row, and once without any.

    `progressed` is told updates as they are made; what it raises ends the runs, and rows stay.
    """
    with claimed(folder, new) as (card, done):
        missing = plan.missing(done)
        cards.write(card, done, folder)
        if not missing:
            yield card
            return
        measurement = Measurement(
            cell, card.cell.name, {run.configuration.question for run in missing}
        )
        with contextlib.closing(rows(measurement, missing, progressed)) as coming:
            for row in coming:
                done.append(row)
                noted(card, row)
                cards.write(card, done, folder)
                yield card
        if card.us_per_step is None:
            card.us_per_step = step_microseconds(cell)
            cards.write(card, done, folder)
        yield card


def noted(card: Card, row: Row) -> None:
    """Add the device of a row, and a sentence where the forms of the cell disagree."""
    if (device := machine.device()) not in card.devices:
        card.devices.append(device)
    if abs(row.difference) > SCANS_AGREE:
        card.remarks.append(
            f"seed {row.seed} {planned_of(row).configuration.question}: the accuracy by the cell's "
            f"scan differs from that by its steps by {row.difference:+.1%}; the steps count"
        )


def step_microseconds(cell: Cell) -> float:
    """The median time of a step of one stream by key, microseconds."""
    net = network.around(cell, 2 * KEYS, KEYS)
    params = jax.jit(lambda: network.init_params(net, jax.random.key(0, impl=GENERATOR)))()
    tokens = np.arange(TIMED_STEPS, dtype=np.int32) % (2 * KEYS)

    def stream(params: Any, tokens: Any) -> Any:
        """The steps of one stream."""
        prepared = cell.prepare(params["cell"])

        def step(state: Any, token: Any) -> tuple[Any, Any]:
            return cell.step(prepared, state, jax.nn.one_hot(token, 2 * KEYS)[None])

        return jax.lax.scan(step, net.initial_state(params, 1), jnp.asarray(tokens))

    program = jax.jit(stream).lower(params, tokens).compile()
    jax.block_until_ready(program(params, tokens))
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        jax.block_until_ready(program(params, tokens))
        times.append(time.perf_counter() - start)
    return round(1e6 * float(np.median(times)) / TIMED_STEPS, 2)
