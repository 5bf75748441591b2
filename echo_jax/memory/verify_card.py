"""The check of a card: two of its runs are made again, and compared with their rows."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from echo_jax import environment
from echo_jax.exceptions import ConfigError
from echo_jax.grid.executors import Here
from echo_jax.grid.running import Running
from echo_jax.grid.task_loop import complete
from echo_jax.memory import card as cards
from echo_jax.memory.card import Card
from echo_jax.memory.make_card import THREADS, for_frameworks
from echo_jax.memory.named_cell import named_cell
from echo_jax.memory.protocol import PILOT_SEED
from echo_jax.memory.rows import Row
from echo_jax.memory.task_object import task_of
from echo_jax.memory.train_and_score import JOB, CardRun, runs_at_once
from echo_jax.report.number_formats import three_digits

MADE_AGAIN = 2

BETWEEN_KINDS = (
    "Last bits differ between kinds of processors and versions of the software, and training may "
    "take another turn: by lag most cells were 1.3 bits apart at most and a GRU 63, by key a "
    "single run 5; no bound is known."
)


class Verified(NamedTuple):
    """A row of a card, and that of the same run here."""

    row: Row
    again: Row

    @property
    def same(self) -> bool:
        """True where they are equal, but for device, losses and fields that the first row lacks."""
        before, now = map(msgspec.to_builtins, (self.row, self.again))
        apart = ("device", "losses")
        return all(now.get(name) == before[name] for name in before if name not in apart)

    def told(self, card: Card) -> str:
        """A sentence that compares the two rows."""
        if self.same:
            return f"{self.row.key}: the same bits"
        before, now = (
            three_digits(cards.bits_of([row], card.numbers).mean) for row in (self.row, self.again)
        )
        where = self.row.device or "an unknown device"
        other = "the same kind of device" if where == self.again.device else f"{where} before"
        return f"{self.row.key}: other numbers, {before} bits before and {now} now, on {other}"


def drawn(rows: Sequence[Row]) -> list[Row]:
    """The rows that are made again, none of the pilot: a digest of all draws them, nobody else."""
    made = [row for row in rows if row.seed < PILOT_SEED]
    whole = msgspec.json.encode(made)

    def place(row: Row) -> bytes:
        return hashlib.sha256(whole + row.key.encode()).digest()

    return sorted(made, key=place)[:MADE_AGAIN]


def verify(folder: Path, running: Running) -> tuple[Card, list[Verified]]:
    """The card in a folder, and two of its rows beside those of the same runs, made here.

    ConfigError where there are no rows, the card is imported, or its cell has another text here.
    """
    running.start_jax(1, THREADS)
    card, rows = cards.read(folder)
    if card.cell.name.startswith(cards.IMPORTED):
        raise ConfigError(None, folder, "was made in another program", "verify it there")
    if card.task and card.task.source:
        rule = "is of a task of one's own, whose file a card does not name"
        raise ConfigError(None, folder, rule, "make the card again with {task}")
    chosen = drawn(rows)
    if not chosen:
        raise ConfigError(None, folder, "has no rows but those of a pilot", "make the card first")
    task = task_of(card.task.name, card.numbers) if card.task else None
    named = named_cell(card.cell.name, card.cell.args, None, card.numbers)
    if named.measured != card.cell or (task and task.measured != card.task):
        rule = f"is of another text than {card.cell.name} here"
        raise ConfigError(None, folder, rule, "bring the file back that it was made with")
    runs = [
        CardRun(card.cell, card.numbers, row.configuration, row.seed, named.cell, task)
        for row in chosen
    ]
    again = dict[str, Row]()

    def store(row: Row) -> str:
        again[row.key] = row
        return "made again"

    with for_frameworks([named], None), running.bar(runs, card.name, "updates") as bar:
        complete(JOB, runs, Here(runs_at_once()), store, bar, running.interrupts)
    return card, [Verified(row, again[row.key]) for row in chosen]


def is_true(card: Card, found: Sequence[Verified]) -> bool:
    """False where a row is another on the same kind of device, with the same software."""
    same_software = card.versions == environment.versions(card.cell.framework or None)
    return all(x.same or x.row.device != x.again.device or not same_software for x in found)
