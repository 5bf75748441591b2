"""The parts of memory cards that need nothing of each other: tasks for workers.

A ladder is a part, with what is measured on its networks; the lag ladders of a bare cell are one
part, because its capacity networks take the rates of both. Parts are kept in the folder of the
unfinished card. The cost of a step is timed here, at the end, while no other task runs.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from echo_jax import atomic_files, machine
from echo_jax.cluster import Executor
from echo_jax.memory_benchmark.chosen_cell import choose
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.parallel_runs import RawRow
from echo_jax.memory_benchmark.protocol import Ladder, Protocol


class CardPart(NamedTuple):
    """A part of a card: some of the rows of its protocol.

    card        the name of the card
    cell, args  as for `choose`
    protocol    of the card, with the rows of this part alone
    seed        the first one
    """

    card: str
    cell: str
    args: Mapping[str, Any]
    protocol: Protocol
    seed: int

    @property
    def name(self) -> str:
        """The card and the ladders, or what else it measures."""
        names = [each.name for each in self.protocol.ladders]
        if "ladders" not in self.protocol.rows:
            names = list(self.protocol.rows)
        return f"{self.card} {'-'.join(names)}"

    def of(self, ladders: Sequence[Ladder], rows: Sequence[str]) -> "CardPart":
        """The same card with some of its ladders and rows."""
        part = dataclasses.replace(self.protocol, ladders=tuple(ladders), rows=tuple(rows))
        return self._replace(protocol=part)


def parts_of(whole: CardPart) -> list[CardPart]:
    """The parts that workers measure, the longest first."""
    rows = [name for name in whole.protocol.rows if name != "price"]
    if rows == ["ladders"]:
        return [whole.of([each], rows) for each in whole.protocol.ladders]
    by_lag = [each for each in whole.protocol.ladders if each.task == "lag"]
    others = [each for each in whole.protocol.ladders if each.task != "lag"]
    if not by_lag:
        return [whole]
    return [whole.of(by_lag, rows), *(whole.of([each], ["ladders"]) for each in others)]


def measure_part(part: CardPart, report: Callable[[float], None]) -> dict[str, Any]:
    """The raw rows of a part, and the device that measured them."""
    rows = list(raw_rows(choose(part.cell, part.args).cell, part.protocol, part.seed))
    report(1.0)
    return {"raw": rows, "device": machine.device()}


def path_of(folder: Path, part: CardPart) -> Path:
    """The file of a part in the folder of its unfinished card."""
    return folder / f"{part.name.removeprefix(part.card).strip()}.json"


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

    failures = []
    for part, found, failure in executor.map(measure_part, parts):
        if failure is not None:
            failures.append(f"{part.name}: {failure}")
        keep(part, found)
    return failures


def joined(whole: CardPart, folder: Path) -> tuple[list[RawRow], str] | None:
    """The raw rows of a card in the order of one measurement, and its devices.

    None if a part is missing.
    """
    parts = parts_of(whole)
    paths = [path_of(folder, part) for part in parts]
    if not all(path.exists() for path in paths):
        return None
    fix = "remove it, and it is measured again"
    found = [atomic_files.read_json(path, fix=fix) for path in paths]
    if "price" in whole.protocol.rows:
        found.append(measure_part(whole.of(whole.protocol.ladders, ["price"]), lambda _: None))
    rows = [row for part in found for row in part["raw"]]
    devices = "; ".join(dict.fromkeys(part["device"] for part in found))
    return sorted(rows, key=lambda row: place(row, whole.protocol)), devices


def place(row: RawRow, protocol: Protocol) -> tuple[int, int]:
    """The place of a raw row among those of its card: the cost, the ladders, all else."""
    names = [each.name for each in protocol.ladders]
    if row["kind"] in ("run", "skipped"):
        number = names.index(row["ladder"])
        of_ladder = {*protocol.ladders[number].rungs, *protocol.exact_lags}
        return 1 + (row["rung"] not in of_ladder), number
    return (0 if row["kind"] == "price" else 3), 0
