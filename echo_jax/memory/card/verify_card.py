"""Verify a card: make two of its runs again on this machine, and compare the rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from echo_jax import machine
from echo_jax.engine.grid import Execution, Here, complete
from echo_jax.exceptions import ConfigError
from echo_jax.memory import card_contents as cards
from echo_jax.memory.all_questions import NAMED, Row
from echo_jax.memory.by_task.checked_task import BUILT_IN, task_of
from echo_jax.memory.card.make_card import THREADS, check_sizes
from echo_jax.memory.card.train_and_score import (
    JOB,
    CardRun,
    cell_of_file,
    made_by,
    measurable,
    runs_at_once,
)
from echo_jax.memory.card_contents import Card
from echo_jax.memory.protocol import PILOT_SEED
from echo_jax.report.number_formats import three_digits
from echo_jax.storage import atomic_files

MADE_AGAIN = 2


class Verified(NamedTuple):
    """A row of a card, and the row of a repetition of its run.

    card   the card
    row    the row of the card
    again  the row that was made on this machine
    """

    card: Card
    row: Row
    again: Row

    @property
    def same(self) -> bool:
        """True if all fields of the card's row are equal, except device, version and losses."""
        before, now = map(msgspec.to_builtins, (self.row, self.again))
        not_of_the_run = ("device", "version", "losses")
        return all(now.get(name) == before[name] for name in before if name not in not_of_the_run)

    @property
    def apart(self) -> list[str]:
        """The differences between the processors and versions that made the two rows."""
        versions = self.card.versions, machine.versions(self.card.cell.framework or None)
        before, now = (
            {"device": row.device or "unknown", **known}
            | {"echo_jax": row.version or known.get("echo_jax", "unknown")}
            for row, known in zip((self.row, self.again), versions, strict=True)
        )
        return machine.apart(before, now)

    def told(self) -> str:
        """Return words on whether the rows agree; if not, also on their bits and on `apart`."""
        if self.same:
            return f"{self.row.key}: the same numbers"
        rows = self.row, self.again
        before, now = (three_digits(cards.bits_of([x], self.card.numbers).mean) for x in rows)
        found = f"{self.row.key}: other numbers, {before} bits before and {now} here"
        if not self.apart:
            return f"{found}, on the same kind of processor with the same versions"
        return f"{found}, on another kind of processor or other versions: {'; '.join(self.apart)}"


def drawn(rows: Sequence[Row]) -> list[Row]:
    """Return up to two of `rows` to make again, by a digest of all rows; none is of the pilot."""
    made = [row for row in rows if row.seed < PILOT_SEED]
    whole = msgspec.json.encode(made)
    return sorted(made, key=lambda row: atomic_files.digest(whole + row.key.encode()))[:MADE_AGAIN]


def verify(folder: Path, running: Execution, cell: str | None = None) -> list[Verified]:
    """Return two rows of the card in `folder`, each with the row of a repetition on this machine.

    `running` says how progress is shown. `cell` must name a user's own cell, as a stranger may have
    written the card.

    Raises:
      ConfigError: `cell` does not name the user's cell, the cell has another text now, the card has
        no rows, or its task is a user's own or draws other data now.
      StorageError: the card is damaged, or cannot be read.
    """
    running.start_jax(1, THREADS)
    card, rows = cards.read(folder)
    if card.task and (card.task.source or card.task.name not in BUILT_IN):
        rule = "is a card of your own task, whose file a card does not name"
        fix = "make the card again by echo-jax card, with its task"
        raise ConfigError(None, folder, rule, fix)
    chosen = drawn(rows)
    if not chosen:
        rule = "has no rows, or only rows of a pilot"
        raise ConfigError(None, folder, rule, "complete the card by echo-jax card")
    named = cell_of_file(folder, card.cell, cell)
    task = task_of(card.task.name, card.numbers) if card.task else None
    if task and task.measured != card.task:
        rule = f"has data of the task {card.task.name} that this version draws otherwise"
        raise ConfigError(None, folder, rule, "use the version of echo_jax that made the card")
    measurable(named.name, named.cell, card.numbers, task)  # a stranger may state any options
    check_sizes(card.numbers, [NAMED[row.configuration.question] for row in chosen])
    runs = [
        CardRun(card.cell, card.numbers, row.configuration, row.seed, named.cell, task)
        for row in chosen
    ]
    again = dict[str, Row]()

    def store(row: Row) -> str:
        again[row.key] = row
        return "made again"

    settings = made_by(named.cell).settings(None)
    with settings, running.bar(runs, card.name, "updates") as bar:
        complete(JOB, runs, Here(runs_at_once()), store, bar, running.interrupts)
    return [Verified(card, row, again[row.key]) for row in chosen]
