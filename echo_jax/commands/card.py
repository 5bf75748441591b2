"""The memory card of a recurrent cell: how many bits it holds, by lag and by key.

echo-jax card                                              # the LSTM, about two minutes
echo-jax card --cell block:mamba2 --state-bytes 400        # in the block, with so much state
echo-jax card --cell mypackage.cells:MyCell --cell lstm    # side by side
echo-jax card --export-tasks tasks                         # for another framework
echo-jax card --import rows.jsonl --name theirs            # a card of rows made there
echo-jax card --report cards/                              # one page over all cards there
echo-jax card --compare cards/gru lru                      # two cards, as a sentence with p
echo-jax card --cells                                      # the cells that are built in
"""

import contextlib
import dataclasses
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from echo_jax import environment
from echo_jax.cell_table import CELLS
from echo_jax.commands import command_line
from echo_jax.config import BLOCK_PREFIX
from echo_jax.exceptions import ConfigError, EchoError, FolderInUseError, printable
from echo_jax.grid.cluster import check_spec, executor_of
from echo_jax.grid.executors import Executor, Here
from echo_jax.host import compilation_cache
from echo_jax.host.interrupts import Interrupts, StoppedError
from echo_jax.memory.card import CARD_FILE, ROWS_FILE, Card, check_name
from echo_jax.memory.pages import table
from echo_jax.memory.protocol import CardPart, check_seeds, read_protocol
from echo_jax.report import styles, text_tables
from echo_jax.report.number_formats import counted

if TYPE_CHECKING:
    from echo_jax.memory.make_card import Request

THREADS = 2
"""Threads of XLA in this process and in each worker, whatever cores there are: their number decides
last bits, and the published cards were made with two."""


@dataclasses.dataclass(frozen=True)
class CardCommand:
    """Make the memory card of one recurrent cell, or of several side by side.

    Everything but the cell is fixed, and described in docs/protocol.md, so that cards can be
    compared; --protocol changes it. A card that was stopped goes on by the same command, to the
    same bits.
    """

    cell: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """The cell: a built-in one, which --cells lists, or a cell of your own, module:NAME or
    FILE.py: a class of Flax Linen, NNX or Equinox, or plain functions; see docs/your-own-cell.md.
    block:CELL is a small network around any of them. Repeat --cell to compare several. Default:
    lstm."""
    cell_args: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Keyword arguments of the cell, such as features=64,longest=100. For several cells give
    --cell-args for each one, in their order, "" for none. A cell whose field `features` has no
    default gets 50."""
    name: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Name of the card, of its folder, and of the cell in figures and tables. For several cells
    give --name for each one, "" for the default: the cell and its arguments."""
    state_bytes: int | None = None
    """Find the options that give the cell a state of about so many bytes, summed over the layers of
    a block; 400 in the published table."""
    full: bool = False
    """Train 8 seeds, by lag with 1,000, 3,000 and 10,000 updates, and by key with every learning
    rate and schedule; cite this one. Default: 4 seeds with 3,000 updates and two rates by key."""
    seeds: int | None = None
    """Number of seeds, from 0. Default: 4, and 8 with --full. A card to which seeds or --full are
    added keeps what it has."""
    only: CardPart | None = None
    """Only one question, or by key only the ramp."""
    updates: int | None = None
    """Train for so many updates instead of 3,000; the card has the results beside those of 3,000.
    With --only by-key it shows whether more training helps."""
    protocol: Path | None = None
    """A TOML file of numbers of the measure that differ from the published ones, such as
    updates = 1000; see docs/card.md. The card states them, and is compared with no others."""
    cluster: str | None = None
    """Train the runs on a Dask cluster: local:N (N workers here; alone the command uses two cores),
    tcp://HOST:PORT or tls://HOST:PORT (a scheduler), or a YAML file of dask-jobqueue (SLURM and
    others); see docs/cluster.md."""
    compilation_cache: bool = True
    """Keep compiled programs in your cache folder, so that the next run of the same shapes starts
    sooner."""
    out: Path = Path("cards")
    """Folder for NAME/card.json, rows.jsonl, card.md and card.svg of each card."""
    cells: bool = False
    """Only list the built-in cells, with their papers."""
    export_tasks: Path | None = None
    """Only write tasks.safetensors into this folder: the sequences and first weights of --seeds,
    for a program in another framework; see docs/your-own-cell.md. --state-bytes above 800 asks for
    64 pairs."""
    import_: Annotated[Path | None, tyro.conf.arg(name="import")] = None
    """Only make the card of the rows in this file, JSON lines that such a program wrote. It is
    called --name, by default as the file, and compared with other imported cards only; where its
    rows do not state the bytes of the state, --state-bytes must."""
    layers: int = 1
    """With --import: the layers that carry a state."""
    parameters: int | None = None
    """With --import: the trained numbers by key, with those of the readout. Default: unknown."""
    report: Path | None = None
    """Only make one page over all cards in this folder."""
    beside: str = ""
    """With --report: built-in cells, such as gru,lru, that are shown beside the cards of the
    folder: in the block, and some of them also bare."""
    compare: tuple[str, str] | None = None
    """Only compare two cards, folders such as cards/mine or names of built-in cells: for each
    question the difference, its interval and p, as a sentence for a paper."""
    format: styles.Format = "svg"
    """A format of figures for a paper: pdf or png are written beside each SVG."""
    figure_width: command_line.FigureWidth = None
    tables: tuple[text_tables.Kind, ...] = ()
    """With --report: write tables for a paper into its folder tables: csv, latex or both."""

    def __post_init__(self) -> None:
        """Raise ConfigError for options that exclude each other or are out of range."""
        check_spec(self.cluster)
        styles.check_width(self.figure_width, self.format)
        self._check_combinations()
        check_seeds(self.seeds)
        for field in ("state_bytes", "layers", "parameters"):
            count = getattr(self, field)
            if count is not None and count < 1:
                raise ConfigError(field, count, "is not a count", "use 1 or more")
        if self.name and not any(self.name):
            check_name("")
        for flag, given in (("cell-args", self.cell_args), ("name", self.name)):
            if len(given) not in (0, len(self.cell_names)):
                raise ConfigError(
                    f"{len(given)} --{flag} for {len(self.cell_names)} cells: give one for each "
                    'cell, in their order, "" where there is none'
                )

    def _check_combinations(self) -> None:
        given = [
            field.name.rstrip("_").replace("_", "-")
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        alone: dict[str, set[str]] = {
            "cells": set(),
            "compare": set(),
            "report": {"beside", "tables", "format", "figure-width", "protocol"},
            "export-tasks": {"seeds", "state-bytes", "protocol"},
            "import": {"name", "state-bytes", "layers", "parameters", "out", "format", "protocol"},
        }
        for flag, beside in alone.items():
            others = [name for name in given if name not in {flag, "compilation-cache", *beside}]
            if flag in given and others:
                raise ConfigError(f"--{flag} trains nothing: use it without --{others[0]}")
        for flag in ("beside", "tables", "figure-width"):
            if flag in given and not self.report:
                raise ConfigError(f"--{flag} needs the folder of the cards: add --report FOLDER")
        for flag in ("layers", "parameters"):
            if flag in given and not self.import_:
                raise ConfigError(f"--{flag} describes imported rows: add --import FILE")

    @property
    def cell_names(self) -> tuple[str, ...]:
        """The names of the cells."""
        return self.cell or ("lstm",)


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(CardCommand)
    if command.cells:
        print(list_of_cells())
    elif command.compare:
        from echo_jax.memory.pages.comparison import compare

        print("\n\n".join(map(printable, compare(command.compare))))
    elif command.report:
        make_report(command, command.report)
    elif command.export_tasks:
        export_tasks(command, command.export_tasks)
    elif command.import_:
        import_card(command, command.import_)
    else:
        make_cards(command)


def list_of_cells() -> str:
    """A line for each built-in cell, with its paper, and for the forms of a name of any cell."""
    known = [(name, cell.title, cell.paper) for name, cell in CELLS.items()]
    others = [
        (f"{BLOCK_PREFIX}CELL", "a small network around any cell", "-"),
        ("module:NAME, FILE.py", "a cell of your own", "docs/your-own-cell.md"),
    ]
    return text_tables.table([("--cell", "cell", "paper"), *known, *others], left=(0, 1, 2))


def make_report(command: CardCommand, folder: Path) -> None:
    """Write the page of all cards in a folder, and what was asked for beside it."""
    with styles.drawing():
        from echo_jax.memory.pages import all_cards

        beside = [name for name in map(str.strip, command.beside.split(",")) if name]
        protocol = read_protocol(command.protocol) if command.protocol else None
        paper = (command.format, command.tables, command.figure_width)
        paths = all_cards.write_report(folder, beside, *paper, protocol)
    for path in paths:
        print(printable(f"Written: {path}"))


def export_tasks(command: CardCommand, folder: Path) -> None:
    """Write the tasks of some seeds."""
    from echo_jax.memory import other_frameworks

    protocol = read_protocol(command.protocol)
    seeds = range(command.seeds or protocol.default_seeds)
    most = protocol.most_pairs(command.state_bytes or 0)
    path = other_frameworks.export_tasks(protocol, folder, seeds, most)
    print(printable(f"Written: {path}"))


def import_card(command: CardCommand, path: Path) -> None:
    """Make the card of rows from elsewhere, print it and draw it."""
    from echo_jax.memory import other_frameworks

    protocol = read_protocol(command.protocol)
    name = command.name[0] if command.name else protocol.card_name(path.stem)
    check_name(name)
    place = command.out / name
    sizes = (command.state_bytes or 0, command.layers, command.parameters or 0)
    card = other_frameworks.import_rows(protocol, path, place, *sizes)
    with command_line.stoppable(command_line.this_command("card")) as stop:
        conclude(command, place, card, stop)


def make_cards(command: CardCommand) -> None:
    """Build and check every cell, then make one card after the other."""
    from echo_jax.memory.card_run import runs_at_once

    environment.use_cpu_devices(1, THREADS)  # each thread trains a run, on the same device
    compilation_cache.use_compilation_cache(command.compilation_cache)
    requests = requests_of(command)
    lacking = [run for request in requests for run in request.missing]
    own = {request.named.name for request in requests}
    with (
        command_line.stoppable(command_line.this_command("card")) as stop,
        executor_of(command.cluster, Here(runs_at_once()), lacking, stop, own, THREADS) as executor,
    ):
        if len(requests) > 1:
            stop.say(f"{len(requests)} cards: {len(lacking)} runs to make")
        made = [complete_card(command, request, executor, stop) for request in requests]
    if len(made) > 1:
        print(f"\n{table.side_by_side(made)}")


def requests_of(command: CardCommand) -> "list[Request]":
    """The cards to be made. ConfigError before anything is."""
    from echo_jax.memory import make_card
    from echo_jax.memory.named_cell import named_cell

    protocol = read_protocol(command.protocol)
    plan = make_card.plan_of(protocol, command.full, command.seeds, command.only, command.updates)
    requests = dict[str, make_card.Request]()
    given = command.cell_names, command.cell_args, command.name  # as many of each, or none
    for cell, arguments, asked in itertools.zip_longest(*given, fillvalue=""):
        named = named_cell(cell, arguments, command.state_bytes, protocol)
        name = asked or protocol.card_name(named.card_name)
        if name in requests:
            alike = f"{requests[name].named.name} and {cell}"
            raise ConfigError(f"{alike} would both be called {name}: give each a --name")
        requests[name] = make_card.requested(command.out, name, named, plan)
    return list(requests.values())


def complete_card(
    command: CardCommand, request: "Request", executor: Executor, stop: Interrupts
) -> Card:
    """Make the runs that a card lacks, and `conclude` it; also where it is stopped."""
    from echo_jax.host.progress import GridProgress
    from echo_jax.memory import make_card

    folder = request.folder
    card = request.new
    runs = request.missing
    where = f"{at_once} at once" if (at_once := getattr(executor, "at_once", 0)) else "on workers"
    to_make = f"{card.name}: {request.named.name}, {counted(len(runs), 'run')} to make, {where}"
    stop.say(printable(to_make if runs else f"{folder} has all runs of this card, and stays"))
    bar = GridProgress({run.name: run.work for run in runs}, stop.say, card.name, "updates")
    try:
        with bar if runs else contextlib.nullcontext():
            for by_now in make_card.make(request, executor, bar, stop):
                card = by_now
    except (StoppedError, EchoError) as error:  # a signal, or runs that failed
        if not isinstance(error, FolderInUseError):  # the other process may be drawing
            conclude(command, folder, card, stop)
        raise
    conclude(command, folder, card, stop)
    return card


def conclude(command: CardCommand, folder: Path, card: Card, stop: Interrupts) -> None:
    """Print a card and the places of its files, and draw it last. StoppedError after a signal."""
    print(f"\n{table.side_by_side([card])}\n", flush=True)
    for remark in card.remarks:
        print(printable(remark))
    if not (folder / ROWS_FILE).exists():
        return  # stopped before the first row
    paths = [folder / CARD_FILE, folder / ROWS_FILE]
    try:
        with command_line.drawing_last(command_line.this_command("card")), styles.drawing():
            from echo_jax.memory.pages import card_pages

            paths += card_pages.draw(folder, card, command.format)
    finally:
        print(printable(f"Card: {', '.join(map(str, paths))}"), flush=True)
    stop.check()
