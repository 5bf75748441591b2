"""The parts of memory cards that need nothing of each other: tasks for workers.

The ladder of hold is one part; the stream ladder and what is measured on its networks another.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from echo_jax import machine
from echo_jax.memory_benchmark.chosen_cell import choose
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.parallel_runs import RawRow
from echo_jax.memory_benchmark.protocol import Protocol


class CardPart(NamedTuple):
    """A part of a card: some of the rows of its protocol.

    card        the name of the card
    cell, args  as on the command line
    protocol    of the card
    seed        the first one
    rows        of the protocol, those of this part
    """

    card: str
    cell: str
    args: str
    protocol: Protocol
    seed: int
    rows: tuple[str, ...]

    @property
    def name(self) -> str:
        """The card and the rows."""
        return f"{self.card} {'-'.join(self.rows)}"


def parts_of(card: str, cell: str, args: str, protocol: Protocol, seed: int) -> list[CardPart]:
    """The parts of a card, the longer one first."""
    hold = tuple(name for name in protocol.rows if name == "hold")
    rest = tuple(name for name in protocol.rows if name != "hold")
    return [CardPart(card, cell, args, protocol, seed, rows) for rows in (rest, hold) if rows]


def measure_part(part: CardPart, report: Callable[[float], None]) -> dict[str, Any]:
    """The raw rows of a part, and the device that measured them."""
    protocol = dataclasses.replace(part.protocol, rows=part.rows)
    rows = list(raw_rows(choose(part.cell, part.args).module, protocol, part.seed))
    report(1.0)
    return {"raw": rows, "device": machine.device()}


def joined(parts: Sequence[Sequence[RawRow]]) -> list[RawRow]:
    """The raw rows of a whole card, in the order of one measurement: stream, hold, the rest."""
    rows = [row for part in parts for row in part]
    ladders = [row for row in rows if row["kind"] in ("tune", "run")]
    order = {"stream": 0, "hold": 1, "copy": 2}
    return [
        *sorted(ladders, key=lambda row: order[row["task"]]),
        *(row for row in rows if row["kind"] not in ("tune", "run")),
    ]
