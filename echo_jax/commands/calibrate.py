"""Measure how often two cells are called different, from repeats of their cards with other seeds.

echo-jax calibrate --futility docs/cards           # what a stop of hopeless runs would lose
echo-jax calibrate --cards lstm.json gru.json      # from two cards, in a second
echo-jax calibrate --repeats 20                    # two layouts of the LSTM, about an hour
echo-jax calibrate --cell lstm --cell gru          # cells that may differ
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import tyro

from echo_jax import machine
from echo_jax.commands import card_making, command_line
from echo_jax.exceptions import ConfigError
from echo_jax.host import compilation_cache
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_cards import all_cards_page, card_file, repeats
from echo_jax.memory_cards.card_text import ladder_name, ladders_of
from echo_jax.report import text_tables

FIRST_SEEDS, BETWEEN = (10_000, 1_000_000), 100
"""The first seed of the repeats of both cells, and from one repeat to the next: all are others."""


@dataclasses.dataclass(frozen=True)
class CalibrateCommand:
    """Repeat the cards of two cells with other seeds, and count how often they differ.

    Two cells are called different on a ladder if the intervals of their mean spans do not meet. By
    default they are two layouts of one LSTM, so that every difference is a false one. Finished
    cards stay, and the same command goes on after them.
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
                raise ConfigError(f"{flag} {number} is out of range: use 1 to {most:,}")

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
        card_file.make_folder(command.out)
        arguments = command.cell_args or ("", "")
        cards = [
            [card_of(command, name, given, first + BETWEEN * i) for i in range(command.repeats)]
            for name, given, first in zip(command.cells, arguments, FIRST_SEEDS, strict=True)
        ]
        print(table(command, *cards))


def card_of(command: CalibrateCommand, name: str, arguments: str, seed: int) -> dict[str, Any]:
    """The card of a cell and a first seed: read where it is there, else measured."""
    from echo_jax.memory_benchmark.chosen_cell import choose

    rules, chosen = protocol.named(command.protocol, name), choose(name, arguments)
    title, folder = chosen.card_name(rules, seed), command.out
    path = folder / f"{title}.json"
    if path.exists():
        return card_file.read(path)
    chosen.check(rules)
    with Interrupts() as stop:
        identity = card_making.identity_of(title, chosen, rules, seed)
        found = card_making.measured(identity, chosen, rules, stop, lambda _: None)
        if found is None or stop.requested:
            stop.check(f"Stopped; the same command goes on, from what is in {folder}")
            raise card_making.nothing_measured()
    card_file.write(found, folder)
    print(f"{title}: {found['seconds']['all']:.0f} s", flush=True)
    return found


def table(
    command: CalibrateCommand, ones: list[dict[str, Any]], others: list[dict[str, Any]]
) -> str:
    """A text table of the pairs that were called different, by ladder and on any of them."""
    if ones[0]["protocol_hash"] != others[0]["protocol_hash"]:
        raise ConfigError(
            f"{ones[0]['name']} and {others[0]['name']} are of different protocols: use two of one"
        )
    ladders = [ladder for ladder, _ in ladders_of(ones[0])]
    first = {ladder["name"]: ladder["rungs"][0] for ladder in ladders}
    known = [[repeats.repeat_of(card) for card in cards] for cards in (ones, others)]
    seeds = len(ones[0]["seeds"])
    drawn = repeats.resampled(known[0], known[1], command.resampled, seeds)
    rows = [("", "pairs", *(ladder_name(ladder) for ladder in ladders), "any of them")]
    for title, pairs in (("measured", [*zip(*known, strict=True)]), ("resampled", drawn)):
        found = repeats.called_different(pairs, first)
        counts = [f"{found.by_ladder[ladder['name']] / found.pairs:.1%}" for ladder in ladders]
        rows.append((title, str(found.pairs), *counts, f"{found.any_ladder / found.pairs:.1%}"))
    names = [
        cards[0]["name"] if command.cards else cell
        for cards, cell in zip((ones, others), command.cells, strict=True)
    ]
    words = f"How often {names[0]} and {names[1]} are called different:"
    return f"{words}\n\n{text_tables.table(rows, left=(0,))}"


def futility_table(folder: Path) -> str:
    """A text table of what a futility stop would do, a line for each track and ladder."""
    found = repeats.futility(
        card for card in all_cards_page.read_folder(folder) if not card_file.is_protocol_1(card)
    )
    heading = ("", "runs", "failures", "of these stopped", "passes lost", "evaluations saved")
    rows = [
        (name, *(f"{count:,}" for count in each[:4]), f"{each.saved:.0%}")
        for name, each in found.items()
    ]
    return text_tables.table([heading, *rows], left=(0,))
