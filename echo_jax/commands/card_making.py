"""A memory card in the making: what `echo-jax probe` and `echo_jax.card` share."""

import contextlib
import datetime
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echo_jax import machine
from echo_jax.exceptions import CellRefusedError, ConfigError, printable
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.protocol import Protocol
from echo_jax.memory_cards import card_file, card_text, schema

if TYPE_CHECKING:
    from echo_jax.memory_benchmark.chosen_cell import ChosenCell
    from echo_jax.memory_benchmark.journal import Journal

STOPPED = {"signal": "it was interrupted", "seconds": "its seconds were over"}
"""Why a card lacks measures that its protocol asks for, as the card states it."""

CLOCKS = {"quick": 90.0, "keys": 900.0}
"""Time limit of a card in seconds by its protocol, from its first compilation on, where none is
given. A card that it ends is finished all the same."""

LARGEST_SEED = 1_000_000_000


def check_limits(seed: int, seconds: float | None) -> None:
    """Raise ConfigError for a first seed or a time limit that is out of range."""
    if not isinstance(seed, int):
        raise ConfigError("seed", seed, "is no whole number", f"use 0 to {LARGEST_SEED:,}")
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigError("seed", seed, "is out of range", f"use 0 to {LARGEST_SEED:,}")
    if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
        raise ConfigError("seconds", seconds, "is not above 0", "use more, or leave it out")


def time_limit_of(chosen: Protocol, seconds: float | None) -> float | None:
    """The time limit of a card: what the user gave, or the clock of its protocol."""
    return CLOCKS.get(chosen.name) if seconds is None else seconds


def why_stopped(chosen: Protocol, stop: Interrupts) -> str | None:
    """Why a measurement was stopped, as the card states it; None if it was not."""
    if not stop.requested:
        return None
    if stop.signal:
        return STOPPED["signal"]
    if stop.seconds == CLOCKS.get(chosen.name):
        return card_text.CLOCK_OVER.format(chosen.name)
    return STOPPED["seconds"]


def check_name(name: str, cell: "ChosenCell") -> None:
    """Raise ConfigError for a card that could not be written, before anything is measured."""
    if fault := schema.fault(name, schema.Name, "name"):
        raise ConfigError(f"{fault}: give the card another {{name}}")
    if fault := schema.fault(cell.args, schema.Arguments, "cell args"):
        raise ConfigError(f"{fault}: use numbers, words and lists")


def identity_of(name: str, cell: "ChosenCell", chosen: Protocol, seed: int) -> dict[str, Any]:
    """The fields of a card that its raw rows are a function of, and its name."""
    return {
        "name": name,
        "cell": cell.identity(),
        "protocol": protocol.to_dict(chosen),
        "seeds": list(range(seed, seed + chosen.seeds)),
    }


def card_there(folder: Path, identity: dict[str, Any]) -> card_file.Card | None:
    """The card of an identity in a folder; None if there is none, or one of something else."""
    with contextlib.suppress(ConfigError):  # no card
        card = card_file.read(folder / f"{identity['name']}.json")
        if identity == {field: card.get(field) for field in identity}:
            return card
    return None


def made_with(device: str, start: float) -> dict[str, Any]:
    """The fields of a card that depend on the machine and the time."""
    return {
        "device": device,
        "versions": machine.versions(),
        "date": datetime.date.today().isoformat(),
        "seconds": {"all": round(time.perf_counter() - start, 1)},
    }


def measured(
    identity: dict[str, Any],
    cell: "ChosenCell",
    chosen: Protocol,
    stop: Interrupts,
    tell: Callable[[str], None],
    journal: "Journal | None" = None,
) -> card_file.Card | None:
    """Measure a cell; None if it was stopped before there was a measurement.

    CellRefusedError for a cell whose measures contradict each other.

    Args:
      identity: see `identity_of`.
      cell: the cell, which has been checked.
      chosen: the protocol.
      stop: asked between blocks of updates whether to stop; the card says what it then lacks.
      tell: is told what is being measured.
      journal: keeps the trainings, and has those of an earlier process.
    """
    from echo_jax.memory_benchmark.measure_cell import raw_rows

    start = time.perf_counter()
    raw = list(raw_rows(cell.cell, chosen, identity["seeds"][0], stop, tell, journal))
    if not any(row["kind"] in ("run", "copy") for row in raw):
        return None
    stopped = why_stopped(chosen, stop)
    card = card_file.make(identity, raw, made_with(machine.device(), start), stopped)
    check(card)
    return card


def check(card: card_file.Card) -> None:
    """Raise CellRefusedError if the measures of a card that was just made contradict each other."""
    if fault := card_file.fault(card):
        raise CellRefusedError(
            f"cell {card['cell']['cell']!r} gets no card, because its measures contradict each "
            f"other: {fault}"
        )


def with_remarks(card: card_file.Card, remarks: Sequence[str]) -> card_file.Card:
    """A card that says what the check of its cell remarked; a long remark is cut."""
    said = [printable(remark)[: schema.LONGEST] for remark in remarks]
    return card_file.signed(card | {"remarks": said}) if said else card


def nothing_measured() -> ConfigError:
    """The error of a measurement that the time limit ended too early."""
    return ConfigError(
        "nothing was measured within the time limit, so there is no card: use more {seconds}, or "
        "leave it out"
    )
