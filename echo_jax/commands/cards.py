"""Report on, compare and verify the memory cards of a folder.

echo-jax cards report cards                       # one page over all cards of the folder
echo-jax cards compare cards/gru lru              # two cards, as a sentence with p
echo-jax cards verify cards/gru                   # two of its runs, made again
echo-jax cards list                               # the built-in cells
"""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from echo_jax.cell_names import CELLS
from echo_jax.commands import command_line
from echo_jax.config import BLOCK_PREFIX
from echo_jax.engine.grid import Execution
from echo_jax.exceptions import printable
from echo_jax.memory.protocol import read_protocol
from echo_jax.report import styles, text_tables
from echo_jax.report.page import Paper


@dataclasses.dataclass(frozen=True)
class Report:
    """Write one page about all cards of a folder."""

    folder: Positional[Path]
    """Folder of the cards, NAME/card.json."""
    beside: str = ""
    """Built-in cells, such as gru,lru,register, to show beside the cards of the folder: each in the
    block, and some also without it; block:gru is the one in the block."""
    protocol: Path | None = None
    """Show only the cards of the protocol in this TOML file; see docs/memory-card.md."""
    paper: Annotated[Paper, command_line.FLAT] = dataclasses.field(default_factory=Paper)

    def run(self) -> None:
        """Write the page of the cards in the folder and the files for a paper; print the paths."""
        with styles.drawing():
            from echo_jax.memory.pages import card_pages

            beside = [name for name in map(str.strip, self.beside.split(",")) if name]
            protocol = read_protocol(self.protocol) if self.protocol else None
            paths = card_pages.write_report(self.folder, beside, self.paper, protocol)
        for path in paths:
            print(printable(f"Written: {path}"))


@dataclasses.dataclass(frozen=True)
class Compare:
    """Print the difference between two cards as a sentence for a paper, with its interval and p."""

    cards: Positional[tuple[str, str]]
    """Two cards: each a folder such as cards/mine, or a published card by the name of its cell, in
    tables or after --cell, such as register, lru or block:lru."""

    def run(self) -> None:
        """Print, for each question, the sentence that compares the cards or leaves it out."""
        from echo_jax.memory.comparison.comparison_sentences import compare

        print("\n\n".join(map(printable, compare(self.cards))))


@dataclasses.dataclass(frozen=True)
class Verify:
    """Train two runs of a card again, chosen by the card's digest, and say if they are equal."""

    folder: Positional[Path]
    """Folder of the card, which holds card.json. For a cell of your own, run this command where
    Python finds the module or the file that the card names."""
    cell: str | None = None
    """The cell of the card, as module:NAME or FILE.py, if it is your own."""

    def run(self) -> None:
        """Train the two runs again, and print for each whether its numbers are equal.

        The exit status is 1 if the numbers of a run differ although the processor is of the same
        kind and the versions are the same.
        """
        # Imports jax, which reports and comparisons do without.
        from echo_jax.memory.card import verify_card

        again = command_line.this_command("cards")
        with command_line.stoppable(again) as stop:
            found = verify_card.verify(self.folder, Execution(None, True, stop, True), self.cell)
        for each in found:
            print(printable(each.told()))
        if not all(each.same or each.apart for each in found):
            raise SystemExit(1)


@dataclasses.dataclass(frozen=True)
class List:
    """List the built-in cells, with their papers."""

    def run(self) -> None:
        """Print a line for each built-in cell, and for each form that another cell's name has."""
        known = [(name, cell.title, cell.paper) for name, cell in CELLS.items()]
        others = [
            (f"{BLOCK_PREFIX}CELL", "a small network around any cell", "-"),
            ("module:NAME, FILE.py", "a cell of your own", "docs/your-own-cell.md"),
        ]
        lines = [("--cell", "cell", "paper"), *known, *others]
        print(text_tables.table(lines, left=(0, 1, 2)))


@dataclasses.dataclass(frozen=True)
class CardsCommand:
    """Report on, compare and verify existing memory cards."""

    what: Report | Compare | Verify | List
    """What to do with the cards."""


def main() -> None:
    """Parse the command line, and run the subcommand that it names."""
    command_line.parse(CardsCommand).what.run()
