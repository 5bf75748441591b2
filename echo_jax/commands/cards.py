"""Memory cards that are there: a page over them, a comparison, and rows of other frameworks.

echo-jax cards report cards                       # one page over all cards there
echo-jax cards compare cards/gru lru              # two cards, as a sentence with p
echo-jax cards verify cards/gru                   # two of its runs, made again
echo-jax cards list                               # the cells that are built in
echo-jax cards export tasks                       # the tasks, for another framework
echo-jax cards import rows.jsonl --name theirs    # a card of rows made there
"""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from echo_jax.cell_table import CELLS
from echo_jax.commands import command_line
from echo_jax.config import BLOCK_PREFIX
from echo_jax.exceptions import ConfigError, printable
from echo_jax.grid.running import Running
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory.card import CARD_FILE, ROWS_FILE, Card, check_name
from echo_jax.memory.pages import table
from echo_jax.memory.protocol import check_seeds, read_protocol
from echo_jax.memory.rows import Row
from echo_jax.report import styles, text_tables
from echo_jax.report.page import Paper


@dataclasses.dataclass(frozen=True)
class Report:
    """Write one page over all cards of a folder."""

    folder: Positional[Path]
    """Folder of the cards, NAME/card.json."""
    beside: str = ""
    """Built-in cells, such as gru,lru, that are shown beside the cards of the folder: in the block,
    and some of them also bare."""
    protocol: Path | None = None
    """A TOML file: only the cards of this protocol; see docs/card.md."""
    paper: Annotated[Paper, command_line.FLAT] = dataclasses.field(default_factory=Paper)

    def run(self) -> None:
        """Write the page of all cards in a folder, and what was asked for beside it."""
        with styles.drawing():
            from echo_jax.memory.pages import card_pages

            beside = [name for name in map(str.strip, self.beside.split(",")) if name]
            protocol = read_protocol(self.protocol) if self.protocol else None
            paths = card_pages.write_report(self.folder, beside, self.paper, protocol)
        for path in paths:
            print(printable(f"Written: {path}"))


@dataclasses.dataclass(frozen=True)
class Compare:
    """Say the difference of two cards as a sentence for a paper, with its interval and p."""

    cards: Positional[tuple[str, str]]
    """Folders such as cards/mine, or names of built-in cells."""

    def run(self) -> None:
        """Print a sentence for each question."""
        from echo_jax.memory.pages.comparison import compare

        print("\n\n".join(map(printable, compare(self.cards))))


@dataclasses.dataclass(frozen=True)
class Verify:
    """Make two runs of a card again, drawn by its digest, and say if they have the same numbers."""

    folder: Positional[Path]
    """Folder of the card, NAME/card.json; of an own cell beside its file, as the card names it."""

    def run(self) -> None:
        """Print what was found.

        Exit status 1 for other numbers on the same kind of processor with the same versions.
        """
        from echo_jax.memory import make_card

        again = command_line.this_command("cards")
        with command_line.stoppable(again) as stop:
            found = make_card.verify(self.folder, Running(None, True, stop, True))
        for each in found:
            print(printable(each.told()))
        others = [each for each in found if not each.same]
        if others:
            print(printable(make_card.BETWEEN_KINDS))
        if not all(each.apart for each in others):
            raise SystemExit(1)


@dataclasses.dataclass(frozen=True)
class List:
    """List the built-in cells, with their papers."""

    def run(self) -> None:
        """Print a line for each, and for the forms of a name of any cell."""
        known = [(name, cell.title, cell.paper) for name, cell in CELLS.items()]
        others = [
            (f"{BLOCK_PREFIX}CELL", "a small network around any cell", "-"),
            ("module:NAME, FILE.py", "a cell of your own", "docs/your-own-cell.md"),
        ]
        lines = [("--cell", "cell", "paper"), *known, *others]
        print(text_tables.table(lines, left=(0, 1, 2)))


@dataclasses.dataclass(frozen=True)
class Export:
    """Write tasks.safetensors: the sequences of training and scores, for another framework."""

    folder: Positional[Path]
    """Folder of the file; see docs/your-own-cell.md."""
    seeds: int | None = None
    """Number of seeds, from 0. Default: 4."""
    state_bytes: int | None = None
    """Bytes of the state; above 800 there are 64 pairs."""
    protocol: Path | None = None
    """A TOML file of numbers of the measure; see docs/card.md."""

    def run(self) -> None:
        """Write the tasks of some seeds."""
        from echo_jax.memory import export_import

        check_seeds(self.seeds)
        protocol = read_protocol(self.protocol)
        seeds = range(self.seeds or protocol.default_seeds)
        most = protocol.most_pairs(self.state_bytes or 0)
        path = export_import.export_tasks(protocol, self.folder, seeds, most)
        print(printable(f"Written: {path}"))


@dataclasses.dataclass(frozen=True)
class Import:
    """Make the card of rows that another program wrote; such cards stand beside each other only."""

    rows: Positional[Path]
    """File of the rows, JSON lines; see docs/your-own-cell.md."""
    name: str | None = None
    """Name of the card and of its folder, by default that of the file."""
    state_bytes: int | None = None
    """Bytes of the state, where the rows do not state them."""
    layers: int = 1
    """The layers that carry a state."""
    parameters: int | None = None
    """The trained numbers by key, with those of the readout. Default: unknown."""
    protocol: Path | None = None
    """A TOML file of numbers of the measure; see docs/card.md."""
    out: Path = Path("cards")
    """Folder for NAME/card.json, rows.jsonl, card.md and card.svg."""
    format: styles.Format = "svg"
    """A format of the figure for a paper: pdf or png is written beside card.svg."""

    def run(self) -> None:
        """Make the card, print it and draw it."""
        from echo_jax.memory import export_import

        for field in ("state_bytes", "layers", "parameters"):
            count = getattr(self, field)
            if count is not None and count < 1:
                raise ConfigError(field, count, "is not a count", "use 1 or more")
        protocol = read_protocol(self.protocol)
        name = protocol.card_name(self.rows.stem) if self.name is None else self.name
        check_name(name)
        place = self.out / name
        sizes = (self.state_bytes or 0, self.layers, self.parameters or 0)
        made = export_import.import_rows(protocol, self.rows, place, *sizes)
        again = command_line.this_command("cards")
        with command_line.stoppable(again) as stop:
            conclude(place, *made, kind=self.format, again=again, stop=stop)


@dataclasses.dataclass(frozen=True)
class CardsCommand:
    """Show memory cards that are there, and pass the measure to other frameworks."""

    what: Report | Compare | Verify | List | Export | Import
    """What is done."""


def main() -> None:
    """Run the command of the command line."""
    command_line.parse(CardsCommand).what.run()


def conclude(
    folder: Path, card: Card, rows: list[Row], kind: styles.Format, again: str, stop: Interrupts
) -> None:
    """Print a card and the places of its files, and draw it last. StoppedError after a signal."""
    print(f"\n{table.shown([card])}\n", flush=True)
    for remark in card.remarks:
        print(printable(remark))
    if not rows:
        return  # stopped before the first row
    paths = [folder / CARD_FILE, folder / ROWS_FILE]
    try:
        with command_line.drawing_last(again):
            from echo_jax.memory.card_call import draw

            paths = [*draw(folder, card, rows, kind), *paths]
    finally:
        print(printable(f"Card: {', '.join(map(str, paths))}"), flush=True)
    stop.check()
