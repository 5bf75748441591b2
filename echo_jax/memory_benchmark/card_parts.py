"""The parts of memory cards that need nothing of each other: tasks for workers.

The ladder of hold is one part; the stream ladder and what is measured on its networks another. Both
are kept in the folder of the unfinished card. The cost of a step is timed here, at the end, while
no other task runs.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from echo_jax import atomic_files, machine
from echo_jax.cluster import Executor, run_all
from echo_jax.memory_benchmark.chosen_cell import choose
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.parallel_runs import RawRow
from echo_jax.memory_benchmark.protocol import Protocol

LADDERS = {"stream": 0, "hold": 1, "copy": 2}
"""The order of the ladders in a card."""


class CardPart(NamedTuple):
    """A part of a card: some of the rows of its protocol.

    card        the name of the card
    cell, args  as on the command line
    protocol    of the card, with the rows of this part alone
    seed        the first one
    """

    card: str
    cell: str
    args: str
    protocol: Protocol
    seed: int

    @property
    def name(self) -> str:
        """The card and the rows."""
        return f"{self.card} {'-'.join(self.protocol.rows)}"

    def of_rows(self, *rows: str) -> "CardPart":
        """The same card with fewer rows."""
        return self._replace(protocol=dataclasses.replace(self.protocol, rows=rows))


def parts_of(whole: CardPart) -> list[CardPart]:
    """The parts that workers measure, the longer one first."""
    rows = [name for name in whole.protocol.rows if name != "price"]
    rest, hold = [x for x in rows if x != "hold"], [x for x in rows if x == "hold"]
    return [whole.of_rows(*part) for part in (rest, hold) if part]


def measure_part(part: CardPart, report: Callable[[float], None]) -> dict[str, Any]:
    """The raw rows of a part, and the device that measured them."""
    rows = list(raw_rows(choose(part.cell, part.args).cell, part.protocol, part.seed))
    report(1.0)
    return {"raw": rows, "device": machine.device()}


def path_of(folder: Path, part: CardPart) -> Path:
    """The file of a part in the folder of its unfinished card."""
    return folder / f"{'-'.join(part.protocol.rows)}.json"


def measure_all(
    parts: Sequence[CardPart],
    folder_of: Callable[[str], Path],
    executor: Executor,
    done: Callable[[str, str], None],
) -> list[str]:
    """Measure parts and write their files; returns a sentence for each that failed.

    `folder_of` maps the name of a card to its folder; `done` is told the name of each part, and how
    it went.
    """

    def keep(part: CardPart, found: dict[str, Any] | None) -> None:
        """Write the file of a part that did not fail."""
        if found:
            atomic_files.write_json(path_of(folder_of(part.card), part), found)
        done(part.name, "measured" if found else "failed")

    return run_all(executor, measure_part, parts, keep)


def joined(whole: CardPart, folder: Path) -> tuple[list[RawRow], str] | None:
    """The raw rows of a card in the order of one measurement, and its devices; None if some lack.

    In order: the ladders of stream and hold, the cost, the rest.
    """
    paths = [path_of(folder, part) for part in parts_of(whole)]
    if not all(path.exists() for path in paths):
        return None
    fix = "remove it, and it is measured again"
    found = [atomic_files.read_json(path, fix=fix) for path in paths]
    if "price" in whole.protocol.rows:
        found.insert(0, measure_part(whole.of_rows("price"), lambda _: None))
    rows = [row for part in found for row in part["raw"]]
    ladders = [row for row in rows if row["kind"] in ("tune", "run")]
    rest = [row for row in rows if row["kind"] not in ("tune", "run")]
    devices = "; ".join(dict.fromkeys(part["device"] for part in found))
    return [*sorted(ladders, key=lambda row: LADDERS[row["task"]]), *rest], devices
