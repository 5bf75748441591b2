"""The memory card of a recurrent cell: how long it remembers, how fast it learns, what it costs.

echo-jax probe                                             # a quick card for the LSTM
echo-jax probe --cell block:mamba2 --state-bytes 400       # in the block, with so much state
echo-jax probe --cell mypackage.cells:MyCell --cell lstm   # side by side
echo-jax probe --report cards/                             # one page over all cards there
echo-jax probe --cells                                     # the cells that are built in
"""

import contextlib
import dataclasses
import functools
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from echo_jax import atomic_files, machine
from echo_jax.cell_table import CELLS
from echo_jax.cluster import check_spec
from echo_jax.commands import card_making, command_line
from echo_jax.commands.card_making import STOPPED
from echo_jax.config import BLOCK
from echo_jax.exceptions import CellRefusedError, ConfigError, printable
from echo_jax.host import process_start
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.protocol import Protocol
from echo_jax.memory_cards import beside_built_in, card_file, card_text, compare_two
from echo_jax.report import paper_tables, styles, text_tables

if TYPE_CHECKING:
    from echo_jax.memory_benchmark.card_parts import CardPart
    from echo_jax.memory_benchmark.chosen_cell import ChosenCell
    from echo_jax.memory_benchmark.journal import Journal

CARDS = Path("cards")


@dataclasses.dataclass(frozen=True)
class ProbeCommand:
    """Make the memory card of one recurrent cell, or of several side by side.

    Everything except the cell is fixed by a protocol, described in docs/protocol.md, so that all
    cards of one protocol can be compared.
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
    """Name of the card and of its files. For several cells give --name for each one. Default: the
    cell, its arguments and the protocol."""
    state_bytes: int | None = None
    """Find the options that give the cell a state of about so many bytes, summed over the layers of
    a block; 400 in the published table."""
    protocol: Literal["quick", "full", "keys", "copy"] = "quick"
    """quick ends after about 90 seconds. full takes 3 to 30 minutes on two cores; cite this one.
    keys is the key task alone, for a block with a large state; it ends after about 15 minutes.
    copy is the published copy-memory task."""
    seed: int = 0
    """First seed."""
    seconds: float | None = None
    """Time limit for each card, checked between evaluations. Default: 90 for quick and 900 for
    keys, and none with --cluster. The card states what was not measured."""
    cluster: str | None = None
    """Measure parts of cards on a Dask cluster: local:N (N workers here), tcp://HOST:PORT or
    tls://HOST:PORT (a scheduler), or a YAML file of dask-jobqueue (SLURM and others); see
    docs/cluster.md."""
    compilation_cache: bool = True
    """Keep compiled programs in your cache folder, so that the next run of the same shapes starts
    sooner."""
    out: Path = CARDS
    """Folder for NAME.json, NAME.md and NAME.svg of each card. Existing cards are not
    overwritten."""
    cells: bool = False
    """Only list the built-in cells, with their papers."""
    published: bool = False
    """Make the cards of the published table that are not in --out yet, one after the other."""
    report: Path | None = None
    """Only make one page over all cards in this folder."""
    readme: Path | None = None
    """With --report: also write the short table of that page into this Markdown file, between the
    lines `<!-- cards -->` and `<!-- end of cards -->`."""
    validate: Path | None = None
    """Only check that the card in this file is valid."""
    draw: Path | None = None
    """Only make the page and the figure of the card in this file again, beside it."""
    format: styles.Format = "svg"
    """A format of figures for a paper: pdf or png are written beside each SVG."""
    tables: tuple[paper_tables.Kind, ...] = ()
    """With --report: write tables for a paper into its folder tables: csv, latex or both."""

    def __post_init__(self) -> None:
        """Raise ConfigError for options that exclude each other or are out of range."""
        check_spec(self.cluster)
        self._check_combinations()
        card_making.check_limits(self.seed, self.seconds)
        for flag, given in (("cell-args", self.cell_args), ("name", self.name)):
            if len(given) not in (0, len(self.cell_names)):
                raise ConfigError(
                    f"{len(given)} --{flag} for {len(self.cell_names)} cells: give one for each "
                    'cell, in their order, "" where there is none'
                )

    def _check_combinations(self) -> None:
        for flag, beside in (
            ("cells", set()),
            ("validate", set()),
            ("draw", {"format"}),
            ("report", {"readme", "format", "tables"}),
            ("published", {"out", "cluster", "format"}),
        ):
            if other := command_line.excluded(self, flag, beside):
                makes = "decides all of each card" if flag == "published" else "makes no card"
                raise ConfigError(f"--{flag} {makes}: use it without --{other}")
        if self.cluster and self.seconds:
            raise ConfigError("--seconds stops a card in this process: use it without --cluster")
        if self.readme and not self.report:
            raise ConfigError("--readme needs the folder of the cards: add --report FOLDER")
        if self.tables and not self.report:
            raise ConfigError("--tables needs the folder of the cards: add --report FOLDER")
        for name in self.cell_names:
            protocol.named(self.protocol, name)

    @property
    def cell_names(self) -> tuple[str, ...]:
        """The names of the cells."""
        return self.cell or ("lstm",)

    def chosen(self, cell_name: str) -> Protocol:
        """The protocol of the card of a cell."""
        return protocol.named(self.protocol, cell_name)


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(ProbeCommand)
    with command_line.refusals():
        if command.cells:
            print(list_of_cells())
        elif command.validate:
            card = card_file.read(command.validate)
            print(printable(card_file.comparable(card, set(protocol.hashes()))))
        elif command.draw:
            card = card_file.read(command.draw)
            paths = card_file.draw(card, command.draw.parent, command.format)
            print(printable(f"Drawn: {', '.join(map(str, paths))}"))
        elif command.report:
            make_report(command)
        elif command.published:
            make_published(command)
        else:
            make_cards(command)


def list_of_cells() -> str:
    """A line for each built-in cell: the name after --cell, its name and paper in the literature.

    Below them stand the two forms of a name that take any cell.
    """
    known = [(name, cell.title, cell.paper) for name, cell in CELLS.items()]
    others = [
        (f"{BLOCK}CELL", "a small network around any cell", "-"),
        ("module:NAME, FILE.py", "a cell of your own", "docs/your-own-cell.md"),
    ]
    return text_tables.table([("--cell", "cell", "paper"), *known, *others], left=(0, 1, 2))


def make_report(command: ProbeCommand) -> None:
    """Write the page of all cards in a folder, and what was asked for beside it."""
    folder, readme = command.report or CARDS, command.readme
    with styles.drawing():
        from echo_jax.memory_cards import all_cards_page

        if readme:
            atomic_files.between(readme, CARDS.name)
        cards = all_cards_page.read_folder(folder)
        page = all_cards_page.write_page(folder, cards)
        written = all_cards_page.write_for_paper(folder, cards, command.format, command.tables)
        if readme:
            table = all_cards_page.summary_table(cards)
            atomic_files.put_between(readme, CARDS.name, table)
    command_line.say_for_paper(written)
    print(printable(f"Page: {page}"))


def make_cards(command: ProbeCommand) -> None:
    """Build and check every cell, then measure one after the other."""
    from echo_jax.host import compilation_cache

    machine.use_cpu_devices(None)
    compilation_cache.use_compilation_cache(command.compilation_cache)
    cells, remarks = built_cells(command)
    own = [cell.card_name(command.chosen(cell.name), command.seed) for cell in cells]
    given = command.name or own
    names = [first or second for first, second in zip(given, own, strict=True)]
    check_names(names, cells)
    named = dict(zip(names, cells, strict=True))
    finished = finished_cards(command, named)
    waiting = [name for name in named if name not in finished]
    card_file.check_place(command.out, waiting, command.format)
    checked = {name: cell.check(command.chosen(cell.name)) for name, cell in named.items()}
    for name, of_check in checked.items():
        remarks += [f"cell {named[name].name!r} {remark}" for remark in of_check]
    for remark in remarks:
        print(printable(remark))
    card_file.make_folder(command.out)
    if command.cluster:
        missing = {name: cell for name, cell in named.items() if name not in finished}
        finished |= cards_of_workers(command, missing, checked)
    made = [
        finished.get(name) or make_card(command, name, cell, checked[name])
        for name, cell in named.items()
    ]
    if len(made) > 1:
        print(f"\n{compare_two.side_by_side(made)}")


def built_cells(command: ProbeCommand) -> "tuple[list[ChosenCell], list[str]]":
    """The cells, and remarks on states that are not of the size that was asked for."""
    from echo_jax.memory_benchmark.chosen_cell import choose_sized

    arguments = command.cell_args or ("",) * len(command.cell_names)
    cells, remarks = [], []
    for name, own_arguments in zip(command.cell_names, arguments, strict=True):
        rules = command.chosen(name)
        cell, remark = choose_sized(name, own_arguments, command.state_bytes, rules)
        cells.append(cell)
        remarks += [f"cell {name!r}: {remark}"] * bool(remark)
    return cells, remarks


def make_published(command: ProbeCommand) -> None:
    """Make the cards of the published table that are not there yet, in its order.

    A card that was cut short is kept under another name, and goes on.
    """
    from echo_jax.memory_benchmark.chosen_cell import choose_sized
    from echo_jax.memory_benchmark.published_cards import PUBLISHED_CARDS

    for entry in PUBLISHED_CARDS:
        one = dataclasses.replace(
            command,
            published=False,
            cell=(entry.cell,),
            cell_args=(entry.arguments,),
            state_bytes=entry.state_bytes,
            protocol=entry.protocol,
        )
        chosen = one.chosen(entry.cell)
        cell, _ = choose_sized(entry.cell, entry.arguments, entry.state_bytes, chosen)
        name = cell.card_name(chosen, command.seed)
        path = one.out / f"{name}.json"
        known = card_making.card_there(one.out, identity_of(one, name, cell))
        if known and is_cut_short(known):
            print(f"{path} was cut short, and is now {card_file.set_aside(path)}")
        elif path.exists() and not journal_folder(one, name).exists():
            print(f"{path} is there already, and stays")
            continue
        make_cards(one)


def check_names(names: list[str], cells: "Sequence[ChosenCell]") -> None:
    """Raise ConfigError for cards that could not be written, before anything is measured."""
    for name, cell in zip(names, cells, strict=True):
        alike = [other.name for each, other in zip(names, cells, strict=True) if each == name]
        if len(alike) > 1:
            raise ConfigError(
                f"{' and '.join(alike)} would both be called {name}: give each a --name"
            )
        card_making.check_name(name, cell)


def identity_of(command: ProbeCommand, name: str, cell: "ChosenCell") -> dict[str, Any]:
    """The fields of a card that its raw rows are a function of, and its name."""
    return card_making.identity_of(name, cell, command.chosen(cell.name), command.seed)


def finished_cards(
    command: ProbeCommand, named: "Mapping[str, ChosenCell]"
) -> dict[str, card_file.Card]:
    """The whole cards that an earlier, killed command left, by name; what they lack is drawn.

    Empty if nothing is left to do: that is refused, as nothing is overwritten.
    """
    there = {
        name: card_making.card_there(command.out, identity_of(command, name, cell))
        for name, cell in named.items()
    }
    found = {name: card for name, card in there.items() if card and not is_cut_short(card)}
    left = [name for name in named if journal_folder(command, name).exists()]
    if not left and len(found) == len(named):
        return {}
    for name, card in found.items():
        print(f"{name}: {command.out / name}.json is there already, and stays")
        if name in left:
            card_file.draw(card, command.out, command.format)
            shutil.rmtree(journal_folder(command, name))
    return found


def is_cut_short(card: card_file.Card) -> bool:
    """True if a signal or a time limit of the user ended the measurement."""
    return bool({*STOPPED.values()} & {*card["not_measured"].values()})


def journal_folder(command: ProbeCommand, name: str) -> Path:
    """The folder of the trainings of a card, until the card is finished."""
    return command.out / f".{name}.measuring"


def make_card(
    command: ProbeCommand, name: str, cell: "ChosenCell", remarks: Sequence[str]
) -> card_file.Card:
    """Measure a cell, print its card and write it, with the remarks of the check."""
    from echo_jax.memory_benchmark.journal import Journal, claimed

    chosen, folder = command.chosen(cell.name), journal_folder(command, name)
    seconds = card_making.time_limit_of(chosen, command.seconds)
    print(f"{name}: {cell.title}, {chosen.seeds} seeds, protocol {chosen.name}")
    with (
        claimed(folder, about_of(command, name, cell)),
        Interrupts(seconds, "Stopping; what is measured by now will be kept.") as stop,
    ):
        if len(journal := Journal(folder)):
            print(f"Going on after {card_text.counted(len(journal), 'training')}, kept in {folder}")
        card = card_making.with_remarks(measure(command, name, cell, stop, journal), remarks)
    show_and_write(command, card)
    if stopped := next((x for x in STOPPED.values() if x in card["not_measured"].values()), None):
        print(
            f"The card is incomplete because {stopped}. Give {command.out / name}.json another "
            f"name, and the same command{' without --seconds' if command.seconds else ''} makes "
            f"the whole card, from what is in {folder}.",
            flush=True,
        )
    else:
        shutil.rmtree(folder)
    if stop.signal:
        sys.exit(stop.exit_status)
    return card


def cards_of_workers(
    command: ProbeCommand,
    named: "Mapping[str, ChosenCell]",
    checked: Mapping[str, Sequence[str]],
) -> dict[str, card_file.Card]:
    """The cards of some cells by name, their parts measured on the workers of a cluster.

    `checked` are the remarks of the check by card. A finished part is kept until its card is whole,
    so that the same command goes on. ConfigError if parts failed, once all others are there.
    """
    from echo_jax.memory_benchmark import card_parts
    from echo_jax.memory_benchmark.journal import claimed

    start, made = time.perf_counter(), {}
    whole = [
        card_parts.CardPart(name, cell.name, cell.given, command.chosen(cell.name), command.seed)
        for name, cell in named.items()
    ]
    with contextlib.ExitStack() as stack:
        for name, cell in named.items():
            folder = journal_folder(command, name)
            stack.enter_context(claimed(folder, about_of(command, name, cell)))
        failures = measure_parts(command, [p for card in whole for p in card_parts.parts_of(card)])
        for card in whole:
            folder = journal_folder(command, card.card)
            if found := card_parts.joined(card, folder):
                identity = identity_of(command, card.card, named[card.card])
                joined = card_file.make(identity, found[0], card_making.made_with(found[1], start))
                try:
                    card_making.check(joined)
                except CellRefusedError as error:
                    failures.append(str(error))
                else:
                    made[card.card] = card_making.with_remarks(joined, checked[card.card])
                    show_and_write(command, made[card.card])
                shutil.rmtree(folder)
    if failures:
        raise ConfigError(f"{len(failures)} parts of cards failed: {'; '.join(failures)}")
    return made


def measure_parts(command: ProbeCommand, parts: "Sequence[CardPart]") -> list[str]:
    """Measure the parts that are not kept yet; returns a sentence for each that failed."""
    from echo_jax.cluster import Here, workers_of
    from echo_jax.host.progress import GridProgress
    from echo_jax.memory_benchmark import card_parts

    folder_of = functools.partial(journal_folder, command)
    missing = [p for p in parts if not card_parts.path_of(folder_of(p.card), p).exists()]
    with (
        command_line.stoppable(command_line.this_command("probe")) as stop,
        workers_of(command.cluster, missing, stop, command.cell_names) as workers,
        GridProgress({part.name: 1.0 for part in missing}) as bar,
    ):
        executor = workers or Here(lambda *_: stop.check())
        return card_parts.measure_all(missing, folder_of, executor, bar.finished)


def about_of(command: ProbeCommand, name: str, cell: "ChosenCell") -> dict[str, Any]:
    """All that the raw rows of a card are a function of."""
    made = {**machine.software(), "device": machine.device_kind()}
    return {**identity_of(command, name, cell), "made": made}


def show_and_write(command: ProbeCommand, card: card_file.Card) -> None:
    """Print a card, write it, and draw it last."""
    lines = [list(line) for line in card_text.glance(card)]
    print(f"\n{text_tables.table(lines, left=(0, 1, 2))}\n", flush=True)  # the disk may be full
    for sentence in beside_built_in.sentences(card):
        print(printable(sentence))
    paths = [card_file.write(card, command.out)]
    again = f"{command_line.program('probe')} --draw {command_line.quoted(paths[0])}"
    again += f" --format {command.format}" * (command.format != "svg")
    with command_line.drawing_last(again):
        paths += card_file.draw(card, command.out, command.format)
    print(printable(f"Card: {', '.join(map(str, paths))}"), flush=True)


def measure(
    command: ProbeCommand, name: str, cell: "ChosenCell", stop: Interrupts, journal: "Journal"
) -> card_file.Card:
    """Measure a cell; progress goes to standard error.

    Without a measurement it ends the program: such a card would only be in the way.
    """
    start = time.perf_counter()

    def tell(words: str) -> None:
        """Say what is measured after how many seconds, and how many are left of a limit."""
        gone = time.perf_counter() - start
        left = "" if stop.seconds is None else f"  ({max(0, stop.seconds - gone):.0f} s left)"
        print(f"{gone:6.0f} s  {words}{left}", file=sys.stderr, flush=True)

    identity, chosen = identity_of(command, name, cell), command.chosen(cell.name)
    try:
        card = card_making.measured(identity, cell, chosen, stop, tell, journal)
    except CellRefusedError:
        shutil.rmtree(journal.folder)  # of use to no other cell
        raise
    if card:
        return card
    if not len(journal):
        shutil.rmtree(journal.folder)
    if stop.signal:
        print("\nStopped.", file=sys.stderr)
        process_start.leave(stop.exit_status)
    raise card_making.nothing_measured()
