"""`echo_jax.card`: the memory card of a cell as a Python call, and what it returns."""

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from echo_jax import atomic_files, machine
from echo_jax.commands import card_making
from echo_jax.exceptions import ConfigError, printable, shown
from echo_jax.host.interrupts import Interrupts
from echo_jax.host.progress import MeasurementProgress
from echo_jax.memory_benchmark import protocol as protocols
from echo_jax.memory_benchmark.chosen_cell import (
    ChosenCell,
    choose_sized,
    chosen_object,
    json_values,
)
from echo_jax.memory_benchmark.protocol import Protocol
from echo_jax.memory_cards import card_file, card_page, card_text
from echo_jax.report import text_tables
from echo_jax.report.text_page import section_text


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class MemoryCard:
    """The memory card of a cell.

    card  the content of `NAME.json`: the cell, the protocol, the raw rows and their summary, `rows`
    """

    card: dict[str, Any]

    def __repr__(self) -> str:
        """The name, the protocol and the seeds; then a line for each measure."""
        words = card_text.protocol_words(self.card), len(self.card["seeds"])
        lines = [list(line) for line in card_text.glance(self.card)]
        table = text_tables.table(lines, left=(0, 1, 2))
        named = "{}: protocol {}, {}".format(
            self.card["name"], words[0], card_text.counted(words[1], "seed")
        )
        return f"{named}\n{table}"

    def report(self) -> str:
        """The text of the page of the card: the answer, all measures, and how to read them."""
        text = section_text(card_page.section_of(self.card, None)).lstrip()
        return f"{text}\n{card_page.measured_how(self.card)}\n"

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write NAME.json, NAME.md and NAME.svg, as `echo-jax probe` does; return their paths.

        ConfigError if another card of that name is there, or a file of it that was edited.
        """
        place = atomic_files.path_of("folder", folder)
        return [card_file.write(self.card, place), *card_file.draw(self.card, place)]


def card(  # noqa: PLR0913 - the flags of the command
    cell: Any,
    *,
    args: Mapping[str, Any] | None = None,
    protocol: Literal["quick", "full", "keys", "copy"] = "quick",
    state_bytes: int | None = None,
    seed: int = 0,
    name: str | None = None,
    seconds: float | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> MemoryCard:
    """Measure how long a recurrent cell remembers.

        echo_jax.card("gru")
        echo_jax.card(Mine, args={"features": 64})    # a class, also of this notebook
        echo_jax.card(plain, protocol="full", out="cards")

    The card has the bits of the card of `echo-jax probe`, and the cell is checked as there. An
    interrupt raises KeyboardInterrupt and leaves nothing; no signal handler is installed.

    Args:
      cell: a name as after `--cell`; a class of Flax Linen, Flax NNX or Equinox or of `Cell` of
        `echo_jax.cells.interface`; an instance of Linen or `Cell`; or a module, a class or any
        object with the functions `init`, `initial_state` and `step`.
      args: options of the cell; a required number of units that is not among them is 50.
      protocol: quick ends after about 90 seconds, full takes 3 to 30 minutes on two cores; keys is
        the key task alone and ends after about 15 minutes, copy the published copy-memory task.
      state_bytes: find the options that give the cell, given by its name, a state of about so many
        bytes.
      seed: the first seed.
      name: of the card and of its files; by default the cell, its arguments and the protocol.
      seconds: time limit, asked between evaluations, by default 90 for quick and 900 for keys; the
        card says what was not measured.
      out: folder for the files of the card; without one, nothing is written.
      progress: show what is being measured, in a terminal or a notebook.

    Raises:
      ConfigError: an argument breaks a rule, or the cell does, which the sentence names with the
        line of its file; nothing was measured in time; a file is in the way.
    """
    machine.check_program()
    card_making.check_limits(seed, seconds)
    chosen, rules, remark = _chosen(cell, args, protocol, state_bytes)
    title = chosen.card_name(rules, seed) if name is None else name
    card_making.check_name(title, chosen)
    folder = None if out is None else atomic_files.path_of("out", out)
    if folder:
        card_file.check_place(folder, [title])
    machine.use_cpu_devices(None)
    checked = chosen.check(rules)
    remarks = [*filter(None, [remark]), *checked]
    if folder:
        card_file.make_folder(folder)
    identity = card_making.identity_of(title, chosen, rules, seed)
    with MeasurementProgress(title) if progress else contextlib.nullcontext() as bar:
        tell = bar.tell if bar else lambda _: None
        for remark in remarks if progress else []:
            print(printable(f"cell {chosen.name!r} {remark}"))
        limit = Interrupts(card_making.time_limit_of(rules, seconds))
        found = card_making.measured(identity, chosen, rules, limit, tell)
        if found is None:
            raise card_making.nothing_measured()
    made = MemoryCard(card_making.with_remarks(found, checked))
    if folder:
        made.write(folder)
    return made


def _chosen(
    cell: Any, args: Mapping[str, Any] | None, name: str, state_bytes: int | None
) -> tuple[ChosenCell, Protocol, str]:
    """The cell, its protocol and a remark."""
    if not isinstance(args, Mapping | None) or not all(isinstance(x, str) for x in args or {}):
        raise ConfigError(f"args {shown(args)} is no mapping of names: use dict(features=64)")
    if not isinstance(cell, str):
        if state_bytes is not None:
            raise ConfigError(
                f"state_bytes {state_bytes} needs the name of a cell, and this is an object: give "
                "its options with args, or leave state_bytes out"
            )
        found = chosen_object(cell, args)
        return found, protocols.named(name, found.name), ""
    rules, given = protocols.named(name, cell), json_values(args or {})
    chosen, remark = choose_sized(cell, given, state_bytes, rules)
    return chosen, rules, remark
