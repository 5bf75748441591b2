"""Measure how often two cells are called different, from repeats of their cards with other seeds.

echo-jax calibrate --futility docs/cards           # what a stop of hopeless runs would lose
echo-jax calibrate --cards lstm.json gru.json      # from two cards, in a second
echo-jax calibrate --repeats 20                    # two layouts of the LSTM, about an hour
echo-jax calibrate --cell lstm --cell gru          # cells that may differ
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from echo_jax import machine
from echo_jax.commands import card_making, command_line
from echo_jax.exceptions import ConfigError
from echo_jax.host import compilation_cache
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_cards import card_file, repeats
from echo_jax.memory_cards.card_text import ladder_name, ladders_of
from echo_jax.memory_cards.summary import REST
from echo_jax.report import text_tables

if TYPE_CHECKING:
    from echo_jax.memory_benchmark.chosen_cell import ChosenCell

FIRST_SEEDS, BETWEEN = (10_000, 1_000_000), 100
"""The first seed of the repeats of both cells, and from one repeat to the next: all are others."""


@dataclasses.dataclass(frozen=True)
class CalibrateCommand:
    """Repeat the cards of two cells with other seeds, and count how often they differ.

    Two cells are called different on a ladder if the intervals of their mean spans do not
    overlap. By default they are two layouts of one LSTM, so that every difference is a false one.
    Finished cards stay, and the same command goes on after them.
    """

    cards: tuple[Path, ...] = ()
    """Measure nothing, and draw the seeds of the pairs from those of two cards. For one card given
    twice every difference is a false one."""

    cell: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A cell, as for probe; give two. Default: lstm and optimized-lstm."""
    cell_args: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Keyword arguments of each cell, as for probe."""
    futility: Path | None = None
    """Measure nothing, and say what a futility stop would do to the runs of the cards in this
    folder."""
    protocol: Literal["quick", "full"] = "quick"
    """Protocol of the repeats, without a time limit."""
    repeats: int = 20
    """Number of cards of each cell, each with its own seeds."""
    resampled: int = 400
    """Number of pairs whose seeds are drawn from those of all repeats."""
    compilation_cache: bool = True
    """Keep compiled programs in your cache folder, so that the next run of the same shapes starts
    sooner."""
    out: Path = Path("calibration")
    """Folder for the cards."""

    def __post_init__(self) -> None:
        """Raise ConfigError for other than two cells, or numbers that are out of range."""
        for flag, beside in (("futility", ()), ("cards", ("resampled",))):
            if other := command_line.excluded(self, flag, beside):
                raise ConfigError(f"--{flag} measures nothing: use it without --{other}")
        if len(self.cards) not in (0, 2):
            raise ConfigError(f"{len(self.cards)} --cards are given: give two, or none")
        if len(self.cell) not in (0, 2):
            raise ConfigError(f"{len(self.cell)} --cell are given: give two, or none")
        if len(self.cell_args) not in (0, 2):
            raise ConfigError(
                f'{len(self.cell_args)} --cell-args are given: give two, "" where there is none'
            )
        for flag, number, most in (
            ("repeats", self.repeats, 1000),
            ("resampled", self.resampled, 10**6),
        ):
            if not 1 <= number <= most:
                raise ConfigError(flag, number, "is out of range", f"use 1 to {most:,}")

    @property
    def cells(self) -> tuple[str, ...]:
        """The names of the two cells."""
        return self.cell or ("lstm", "optimized-lstm")


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(CalibrateCommand)
    with command_line.refusals():
        if command.futility:
            print(futility_table(command.futility))
            return
        if command.cards:
            print(table(command, *([card_file.read(path)] for path in command.cards)))
            return
        machine.use_cpu_devices(None)
        compilation_cache.use_compilation_cache(command.compilation_cache)
        chosen = checked_cells(command)
        card_file.make_folder(command.out)
        places = [
            [(cell, first + BETWEEN * i) for i in range(command.repeats)]
            for cell, first in zip(chosen, FIRST_SEEDS, strict=True)
        ]
        known = [[known_card(command, *place) for place in of_cell] for of_cell in places]
        check_comparable([card for of_cell in known for card in of_cell if card])
        with command_line.stoppable(command_line.this_command("calibrate")) as stop:
            cards = [
                [
                    there or measured(command, *place, stop)
                    for there, place in zip(*of_cell, strict=True)
                ]
                for of_cell in zip(known, places, strict=True)
            ]
        print(table(command, *cards))


def checked_cells(command: CalibrateCommand) -> "list[ChosenCell]":
    """Both cells, checked before anything is measured."""
    from echo_jax.memory_benchmark.chosen_cell import choose

    found = []
    for name, arguments in zip(command.cells, command.cell_args or ("", ""), strict=True):
        rules = protocol.named(command.protocol, name)
        found.append(choose(name, arguments))
        found[-1].check(rules)
    return found


def known_card(command: CalibrateCommand, cell: "ChosenCell", seed: int) -> card_file.Card | None:
    """The card of a cell and a first seed, if it is there; ConfigError if it is another."""
    identity = identity_of(command, cell, seed)
    path = command.out / f"{identity['name']}.json"
    there = card_making.card_there(command.out, identity)
    if there is None and path.exists():
        raise ConfigError(
            f"{path} is damaged, or of another cell or protocol: move it, or use another --out"
        )
    return there


def identity_of(command: CalibrateCommand, cell: "ChosenCell", seed: int) -> dict[str, Any]:
    """All that the raw rows of the card of a cell and a first seed are a function of."""
    rules = protocol.named(command.protocol, cell.name)
    return card_making.identity_of(cell.card_name(rules, seed), cell, rules, seed)


def measured(
    command: CalibrateCommand, cell: "ChosenCell", seed: int, stop: Interrupts
) -> card_file.Card:
    """Measure and write the card of a cell and a first seed; StoppedError if it is stopped."""
    identity = identity_of(command, cell, seed)
    rules = protocol.named(command.protocol, cell.name)
    found = card_making.measured(identity, cell, rules, stop, lambda _: None)
    stop.check("stopped")
    if found is None:
        raise card_making.nothing_measured()
    card_file.write(found, command.out)
    print(f"{identity['name']}: {found['seconds']['all']:.0f} s", flush=True)
    return found


def table(
    command: CalibrateCommand, ones: list[dict[str, Any]], others: list[dict[str, Any]]
) -> str:
    """A text table of the pairs that were called different, by ladder and on any of them.

    Measured: every card of the one with every card of the other.
    """
    check_comparable([*ones, *others])
    ladders = [ladder for ladder, _ in ladders_of(ones[0])]
    first = {ladder["name"]: ladder["rungs"][0] for ladder in ladders}
    known = [[repeats.repeat_of(card) for card in cards] for cards in (ones, others)]
    seeds = len(ones[0]["seeds"])
    drawn = repeats.resampled(known[0], known[1], command.resampled, seeds)
    rows = [("", "pairs", *(ladder_name(ladder) for ladder in ladders), "any of them")]
    crossed = [(one, other) for one in known[0] for other in known[1]]
    for title, pairs in (("measured", crossed), ("resampled", drawn)):
        found = repeats.called_different(pairs, first)
        counts = [f"{found.by_ladder[ladder['name']] / found.pairs:.1%}" for ladder in ladders]
        rows.append((title, str(found.pairs), *counts, f"{found.any_ladder / found.pairs:.1%}"))
    names = [
        cards[0]["name"] if command.cards else cell
        for cards, cell in zip((ones, others), command.cells, strict=True)
    ]
    words = f"How often {names[0]} and {names[1]} are called different:"
    return f"{words}\n\n{text_tables.table(rows, left=(0,))}"


def check_comparable(cards: list[dict[str, Any]]) -> None:
    """Raise ConfigError for cards of other protocols than the first, or that were cut short."""
    for card in cards:
        if card_file.is_protocol_1(card):
            raise ConfigError(f"{card['name']} is a card of protocol 1: use cards of protocol 2")
        if card["protocol"]["name"] == "copy":
            raise ConfigError(f"{card['name']} is a card of copy memory: use one with spans")
        if {REST, *(x["name"] for x in card["protocol"]["ladders"])} & {*card["not_measured"]}:
            raise ConfigError(f"{card['name']} was cut short: use a whole card")
        if card["protocol_hash"] != cards[0]["protocol_hash"]:
            raise ConfigError(
                f"{cards[0]['name']} and {card['name']} are of different protocols: use two of one"
            )


def futility_table(folder: Path) -> str:
    """A text table of what a futility stop would do, a line for each track and ladder."""
    from echo_jax.memory_cards import all_cards_page

    found = repeats.futility(
        card for card in all_cards_page.read_folder(folder) if not card_file.is_protocol_1(card)
    )
    heading = ("", "runs", "failures", "of these stopped", "passes lost", "evaluations saved")
    rows = [
        (name, *(f"{count:,}" for count in each[:4]), f"{each.saved:.0%}")
        for name, each in found.items()
    ]
    return text_tables.table([heading, *rows], left=(0,))
