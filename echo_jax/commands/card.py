"""Make the memory card of a recurrent cell: how many bits it holds by lag and by key.

With --task, the cell is measured on a task instead.

echo-jax card                                              # the LSTM, about two minutes
echo-jax card --cell block:mamba2 --state-bytes 400        # in the block, 400 bytes of state
echo-jax card --cell mypackage.cells:MyCell --cell lstm    # side by side
"""

import contextlib
import dataclasses
import itertools
from pathlib import Path

import tyro

from echo_jax.commands import command_line
from echo_jax.engine.grid import Execution
from echo_jax.engine.process import Interrupts
from echo_jax.exceptions import ConfigError, printable
from echo_jax.memory.all_questions import Row
from echo_jax.memory.card_contents import CARD_FILE, ROWS_FILE, Card
from echo_jax.memory.comparison.comparison_sentences import standing
from echo_jax.memory.pages import table
from echo_jax.memory.protocol import CardPart, read_protocol
from echo_jax.report import styles
from echo_jax.report.number_formats import counted


@dataclasses.dataclass(frozen=True)
class CardCommand:
    """Make the memory card of one recurrent cell, or of several side by side.

    Everything except the cell is fixed by the protocol (docs/protocol.md), so cards can be
    compared; --protocol changes the protocol. The same command continues a card that was stopped,
    and the card is then bit-identical to an uninterrupted card.
    """

    cell: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """The cell: a built-in one (echo-jax cards list names them) or your own, as module:NAME or
    FILE.py. Your own may be a class of Flax Linen, NNX or Equinox, plain functions, or a function
    that makes a PyTorch layer; see docs/your-own-cell.md. block:CELL is a small network around any
    of these. Repeat --cell to compare several cells. Default: lstm."""
    cell_args: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Keyword arguments of the cell, such as features=64,longest=100. For several cells, give
    --cell-args once for each, in the same order, with "" for none. A cell whose field `features`
    has no default gets 50."""
    name: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Name of the card, of its folder, and of the cell in figures and tables. For several cells,
    give --name once for each, with "" for the default: the cell and its arguments."""
    state_bytes: int | None = None
    """Find the options that give the cell a state of about this many bytes, summed over the layers
    of a block. The published table has 400."""
    full: bool = False
    """Train 8 seeds: by lag with 1,000, 3,000 and 10,000 updates, and by key after a pilot of all
    learning rates. This is the card to cite. Default: 4 seeds with 3,000 updates, and by key the
    rate published for the cell; a cell without a published rate gets the middle rate."""
    seeds: int | None = None
    """Number of seeds, counted from seed 0. Default: 4, or 8 with --full. A card that gets more
    seeds or --full later keeps the runs that it has."""
    task: str | None = None
    """Measure the cell on a task instead, at the best of three learning rates: a built-in task,
    such as parity, or your own, as FILE.py or module:NAME; see docs/your-own-cell.md. The card is
    called NAME-TASK."""
    beside: bool = True
    """With --task, also make the cards of three cells to compare with, unless they exist: the
    present input, an untrained reservoir and the LSTM."""
    only: CardPart | None = None
    """Measure only the bits by lag, or only the bits by key."""
    updates: int | None = None
    """Train for this many updates instead of 3,000; the card shows the results for both numbers of
    updates. With --only by-key this shows whether more training helps."""
    protocol: Path | None = None
    """A TOML file with the numbers of the protocol to change, such as updates = 1000; see
    docs/memory-card.md. The card states these numbers, and is compared only with cards of this
    protocol."""
    cluster: str | None = None
    """Train the runs on a Dask cluster: local:N (N workers on this machine; without a cluster the
    command uses two cores), or tcp://HOST:PORT or tls://HOST:PORT (a scheduler); see
    docs/cluster.md."""
    out: Path = Path("cards")
    """Folder for the cards; each card is a folder NAME in it, with card.md and other files."""
    keep: bool = False
    """Also write the weights of each run, as NAME/weights/RUN.safetensors; see docs/formats.md."""
    format: styles.Format = "svg"
    """Format of the figures for a paper: pdf or png is written in addition to each SVG."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless options of cells are given once for each cell, or not at all."""
        cells = len(self.cell_names)
        for flag, given in (("cell-args", self.cell_args), ("name", self.name)):
            if len(given) not in (0, cells):
                raise ConfigError(
                    f"--{flag} is given {counted(len(given), 'time')} for {cells} cells: give it "
                    'once for each cell, in the same order, with "" for the default'
                )

    @property
    def cell_names(self) -> tuple[str, ...]:
        """The names of the cells, by default the LSTM."""
        return self.cell or ("lstm",)


def main() -> None:
    """Parse the command line, make the cards, and print them."""
    command = command_line.parse(CardCommand)
    again = command_line.this_command("card")
    with command_line.stoppable(again) as stop:
        make(command, again, stop)


def make(command: CardCommand, again: str, stop: Interrupts) -> None:
    """Make a card of each cell of `command`, and print each card with the paths of its files.

    `stop` notes a signal, and `again` is the command line that continues after a signal.
    """
    # These import jax: flags were parsed before, and --help answers in 0.1 s.
    from echo_jax.cells.registry import options_in
    from echo_jax.memory.card import make_card

    protocol = read_protocol(command.protocol)
    plan = make_card.plan_of(
        protocol, command.full, command.seeds, command.only, command.updates, command.task
    )._replace(keep=command.keep)
    given = itertools.zip_longest(command.cell_names, command.cell_args, command.name, fillvalue="")
    asked = [
        make_card.CardRequest(cell, options_in(args), name or None, command.state_bytes)
        for cell, args, name in given
    ]
    running = Execution(command.cluster, interrupts=stop, keep_programs=True)
    done = list[Card]()
    making = make_card.make_cards(asked, plan, command.out, running, command.beside)
    with contextlib.closing(making):  # or a signal here would leave the folder locked
        for made in making:
            done.append(made.card)
            conclude(*made, command.format, again, stop)
    if len(done) > 1:
        print(f"\n{table.shown(done)}")


def conclude(
    folder: Path, card: Card, rows: list[Row], kind: styles.Format, again: str, stop: Interrupts
) -> None:
    """Print a card and the paths of its files, and draw its figures last.

    Raises StoppedError after a signal.

    Args:
      folder: the folder of the card.
      card: the card.
      rows: the rows of the card; without a row nothing is drawn, and no path is printed.
      kind: the format of the figures.
      again: the command line that draws the figures again.
      stop: the interrupts, which note a signal.
    """
    print(f"\n{table.shown([card])}\n", flush=True)
    for remark in [*standing(card), *card.remarks]:
        print(printable(remark))
    if not rows:
        return  # stopped before the first row
    paths = [folder / CARD_FILE, folder / ROWS_FILE]
    try:
        with command_line.drawing_last(again):
            from echo_jax.memory.card.card_call import draw

            paths = [*draw(folder, card, rows, kind), *paths]
    finally:
        # The runs are stored by now: their files are named whatever happens to the figure.
        print(printable(f"Card: {', '.join(map(str, paths))}"), flush=True)
    stop.check()
