"""The memory card of a recurrent cell: how long it remembers, how fast it learns to, at what price.

python scripts/probe.py                                             # a quick card for the LSTM
python scripts/probe.py --cell gru --protocol full
python scripts/probe.py --cell mypackage.cells:MyCell --cell lstm   # side by side
python scripts/probe.py --report cards/                             # one page over all cards there
python scripts/probe.py --validate card.json
"""

import contextlib
import dataclasses
import datetime
import hashlib
import inspect
import itertools
import json
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import tyro

from echo_jax import atomic_files, machine
from echo_jax.commands import command_line
from echo_jax.exceptions import ConfigError
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.protocol import FULL, PROTOCOLS, Protocol
from echo_jax.memory_cards import card_file, card_text, compare_two, schema
from echo_jax.report import text_tables

if TYPE_CHECKING:
    from flax import linen as nn

STOPS = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a card early, with what it has; the exit status is 128 and their number."""

CARDS = Path("cards")
"""The folder of cards where no other is named."""

ROWS_OF = {
    "stream": ("stream_span", "learning", "rates"),
    "hold": ("hold_span",),
    "capacity": ("capacity", "linear"),
    "beyond": ("beyond",),
    "cause": ("cause",),
    "price": ("price",),
    "copy": ("copy", "rates"),
}
"""The rows of a card, by what a protocol asks for."""

LARGEST_SEED = min(FULL.tuning_seeds) - 1_000
"""Seeds from a million on choose the learning rate."""


@dataclasses.dataclass(frozen=True)
class ProbeCommand:
    """Make the memory card of one recurrent cell, or of several side by side.

    Everything but the cell is fixed by a protocol, so that any two cards of one protocol can be
    compared; docs/protocol.md has it in words.
    """

    cell: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A cell: lstm, lstm-chrono, gru, simple, identity-rnn, mingru, lru, mlp, optimized-lstm, or
    package.module:Class of any linen RNNCellBase, found in the current folder too, such as
    echo_jax.controls:ShiftRegister; --cell again for another. Default lstm."""
    cell_args: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Keyword arguments of the cell, features=64,longest=100; of several cells one --cell-args
    each, in their order, an empty one too. A field `features` without a default is 50."""
    name: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """What the card is called, and its files; of several cells one --name each. By default the
    cell, its arguments and the protocol."""
    protocol: Literal["quick", "full"] = "quick"
    """quick takes about a minute; full, which is what to cite, 1 to 9 minutes on two cores."""
    task: Literal["memory", "copy"] = "memory"
    """memory is the card of that protocol; copy is the copy-memory task as published, which has a
    protocol and a card of its own."""
    seed: int = 0
    """The first of the seeds."""
    seconds: float | None = None
    """Stop a card after so long, when the updates at work (25 of every seed) are done and what they
    need is compiled; what was not reached by then is not measured."""
    out: Path = CARDS
    """Folder of the cards: NAME.json, NAME.md and NAME.svg of each; none is overwritten."""
    report: Path | None = None
    """Make one page over all the cards in this folder, and nothing else."""
    readme: Path | None = None
    """A Markdown file to put the short table of that page into, between its lines
    `<!-- cards -->` and `<!-- end of cards -->`."""
    validate: Path | None = None
    """Say whether the card in this file can be believed, and nothing else."""

    def __post_init__(self) -> None:
        """Raise ConfigError for options that do not go together, or out of their range."""
        self._check_alone()
        if self.readme and not self.report:
            raise ConfigError(
                "--readme is for a report: name the folder of its cards with --report"
            )
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ConfigError(
                f"seed {self.seed:,} is not one of a card: use 0 to {LARGEST_SEED:,}, as those "
                "from a million on choose the learning rate"
            )
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigError(f"seconds {self.seconds:g} is not above 0: use more, or leave it out")
        for flag, given in (("cell-args", self.cell_args), ("name", self.name)):
            if len(given) not in (0, len(self.cells)):
                raise ConfigError(
                    f"{len(given)} --{flag} for {len(self.cells)} cells: give one for each cell, "
                    'in their order, "" where there is none'
                )

    def _check_alone(self) -> None:
        """Raise ConfigError for what makes no card, and an option of one beside it."""
        given = [
            field.name
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        for flag, beside in (("validate", set()), ("report", {"readme"})):
            others = [name for name in given if name not in {flag, *beside}]
            if flag in given and others:
                raise ConfigError(
                    f"--{flag} makes no card: use it without --{others[0].replace('_', '-')}"
                )
        if self.task == "copy" and self.protocol != "quick":
            raise ConfigError("--task copy has a protocol of its own: leave --protocol out")

    @property
    def fixed(self) -> Protocol:
        """The protocol of the cards."""
        return PROTOCOLS["copy" if self.task == "copy" else self.protocol]

    @property
    def cells(self) -> tuple[str, ...]:
        """The names of the cells."""
        return self.cell or ("lstm",)


@dataclasses.dataclass(frozen=True)
class Probed:
    """A cell that is going to be probed."""

    name: str
    """Of its card."""
    cell: str
    """As it was named."""
    args: dict[str, Any]
    """All its keyword arguments."""
    module: "nn.RNNCellBase"


class Clock:
    """When a card is stopped: its seconds are over, or it was interrupted."""

    def __init__(self, seconds: float | None) -> None:
        """Start it."""
        self.end = None if seconds is None else time.perf_counter() + seconds
        self.interrupted = 0

    def over(self) -> bool:
        """Whether it is time to stop."""
        return bool(self.interrupted) or (self.end is not None and time.perf_counter() > self.end)

    @property
    def why(self) -> str:
        """Why it was stopped."""
        return "it was interrupted" if self.interrupted else "its seconds were over"

    def interrupt(self, number: int, _: object) -> None:
        """Stop after the block at work; a second signal ends at once."""
        print("\nStopping; what is measured by now will be kept.", file=sys.stderr)
        self.interrupted = number
        for each in STOPS:
            signal.signal(each, signal.SIG_DFL)


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(ProbeCommand)
    with command_line.refusals(), stopping():
        if command.validate:
            print(card_file.comparable(card_file.read(command.validate), set(hashes())))
        elif command.report:
            make_report(command.report, command.readme)
        else:
            probe_all(command)


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """Ctrl-C while nothing is measured ends at once, also what compiles in a thread."""
    try:
        yield
    except KeyboardInterrupt:
        stop(signal.SIGINT)


def stop(number: int) -> NoReturn:
    """End at once, for a signal, without a card."""
    print("\nStopped.", file=sys.stderr)
    command_line.leave(128 + number)


def hashes() -> dict[str, str]:
    """The known protocols, by their hashes."""
    return {protocol.hash_of(each): name for name, each in PROTOCOLS.items()}


def make_report(folder: Path, readme: Path | None) -> None:
    """One page over all cards of a folder, and its short table in another file."""
    from echo_jax.memory_cards import all_cards_page

    if readme:
        atomic_files.between(readme, CARDS.name)
    cards = all_cards_page.read_folder(folder)
    page = all_cards_page.write_page(folder, cards)
    if readme:
        atomic_files.put_between(readme, CARDS.name, all_cards_page.summary_table(cards))
    print(f"Page: {page}")


def probe_all(command: ProbeCommand) -> None:
    """Find, check and probe every cell, one after the other."""
    from echo_jax.cells import cell_check

    chosen = command.fixed
    machine.use_cpu_devices(None)
    try:
        found = [find(command, i) for i in range(len(command.cells))]
        check_names(found, command.out)
        for probed in found:
            if ":" in probed.cell or command.cell_args:
                cell_check.check(probed.module, probed.cell, *input_sizes(chosen))
        card_file.make_folder(command.out)
        made = [probe(command, chosen, probed) for probed in found]
    except cell_check.TooLongError as error:
        print(f"error: {error}", file=sys.stderr)
        command_line.leave(2)
    if len(made) > 1:
        print(side_by_side(made))


def input_sizes(chosen: Protocol) -> tuple[int, list[int]]:
    """The features that a cell is fed: tokens alone, and with those that a task adds."""
    from echo_jax.memory_benchmark import tasks

    asked = [task for task in protocol.TASKS if task in chosen.rows]
    own = {tasks.alphabet(task, chosen.vocab_size) for task in asked}
    return chosen.vocab_size, sorted(own - {chosen.vocab_size})


def find(command: ProbeCommand, at: int) -> Probed:
    """A cell of the command line, built; ConfigError where it cannot be."""
    from echo_jax.cells import user_cell

    name = command.cells[at]
    given = user_cell.parse_args(command.cell_args[at]) if command.cell_args else {}
    module = user_cell.build(name, given)
    args = given | ({"features": module.features} if hasattr(module, "features") else {})
    called = (command.name[at] if command.name else "") or card_name(name, given, command)
    return Probed(called, name, plain(args), module)


def plain(args: dict[str, Any]) -> dict[str, Any]:
    """Arguments as a card holds them: tuples are lists; ConfigError for what JSON has not."""
    try:
        return json.loads(json.dumps(args, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"cell args {args} cannot be kept in a card ({error}): use numbers, words, True, "
            "False, None, and lists of them"
        ) from error


def card_name(cell: str, given: dict[str, Any], command: ProbeCommand) -> str:
    """What the files of a card are called, such as MyCell-rate-0.9-quick."""
    words = [cell.split(":")[-1], *(f"{name}-{value}" for name, value in given.items())]
    words += [f"seed-{command.seed}"] * (command.seed != 0)
    words += [command.fixed.name]
    return re.sub(r"[^\w.-]+", "-", "-".join(words))


def check_names(found: Sequence[Probed], out: Path) -> None:
    """Refuse what could not be written, before anything is run."""
    for probed in found:
        alike = [other.cell for other in found if other.name == probed.name]
        if len(alike) > 1:
            raise ConfigError(
                f"{' and '.join(alike)} would both be called {probed.name}: give each a --name"
            )
        if fault := schema.fault(probed.name, schema.Name, "name"):
            raise ConfigError(f"{fault}: give the card another --name")
        if fault := schema.fault(probed.args, schema.Arguments, "cell args"):
            raise ConfigError(f"{fault}: use numbers, words and lists")
    card_file.check_place(out, [probed.name for probed in found])


def probe(command: ProbeCommand, chosen: Protocol, probed: Probed) -> card_file.Card:
    """Take a cell through the protocol, write its card and print it."""
    from echo_jax.memory_benchmark.copy_ladder import CopyProber
    from echo_jax.memory_benchmark.train_ladder import Prober

    clock, start = Clock(command.seconds), time.perf_counter()
    before = {each: signal.signal(each, clock.interrupt) for each in STOPS}

    def tell(words: str) -> None:
        print(f"{time.perf_counter() - start:6.0f} s  {words}", file=sys.stderr, flush=True)

    print(f"{probed.name}: {title(probed)}, {chosen.seeds} seeds, protocol {chosen.name}")
    kind = CopyProber if command.task == "copy" else Prober
    try:
        raw = list(kind(probed.module, chosen, command.seed, clock.over, tell).rows())
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    seconds = time.perf_counter() - start
    if all(row["kind"] == "tune" for row in raw):
        refuse_empty(clock)
    known = identity(command, chosen, probed)
    made = card_file.make(known, raw, reasons(command, clock), made_with(seconds))
    print(f"\n{glance(made)}\n", flush=True)  # before it is written: a disk may be full
    paths = card_file.write(made, command.out, drawn)
    print(f"Card: {', '.join(map(str, paths))}", flush=True)
    if clock.why in made["not_measured"].values():
        print(
            f"It is not whole, as {clock.why}: to measure it again, move it, or give the next a "
            "--name or an --out of its own.",
            flush=True,
        )
    if clock.interrupted:
        sys.exit(128 + clock.interrupted)
    return made


def refuse_empty(clock: Clock) -> NoReturn:
    """End without a card, which would be in the way of the next."""
    if clock.interrupted:
        stop(clock.interrupted)
    raise ConfigError(
        "nothing was measured before its seconds were over, so there is no card: give it more "
        "--seconds, or leave them out"
    )


def drawn(made: card_file.Card) -> str:
    """A card as SVG."""
    from echo_jax.memory_cards import card_figures
    from echo_jax.report import figures

    return figures.svg(card_figures.card_figure(made), "card")


def title(probed: Probed) -> str:
    """A cell with its arguments."""
    return ", ".join([probed.cell, *(f"{name} {value}" for name, value in probed.args.items())])


def identity(command: ProbeCommand, chosen: Protocol, probed: Probed) -> dict[str, Any]:
    """What a card is of."""
    return {
        "name": probed.name,
        "cell": {"cell": probed.cell, "args": probed.args, "source": source_of(probed)},
        "protocol": protocol.to_dict(chosen),
        "seeds": list(range(command.seed, command.seed + chosen.seeds)),
    }


def source_of(probed: Probed) -> str | None:
    """The digest of the file that a user's class stands in; None of a cell that is built in."""
    if ":" not in probed.cell:
        return None
    return hashlib.sha256(Path(inspect.getfile(type(probed.module))).read_bytes()).hexdigest()


def reasons(command: ProbeCommand, clock: Clock) -> dict[str, str]:
    """Why a row that is missing is missing."""
    why = dict.fromkeys(schema.SUMMARY, f"protocol {command.fixed.name} does not ask for it")
    if command.task == "memory":
        why["copy"] = "--task copy measures it"
    asked = {name for kind in command.fixed.rows for name in ROWS_OF[kind]}
    if clock.over():
        return why | dict.fromkeys(asked, clock.why)
    nothing = {
        "beyond": "there is no lag that half of the seeds passed",
        "cause": "there is no lag that fewer than half of the seeds passed",
    }
    return why | {name: reason for name, reason in nothing.items() if name in asked}


def made_with(seconds: float) -> dict[str, Any]:
    """Where, when and with what a card was made."""
    import jax

    backend, kind = jax.default_backend(), jax.devices()[0].device_kind
    return {
        "device": f"{backend}, {machine.model() if backend == 'cpu' else kind}, "
        f"{machine.cores()} cores",
        "versions": machine.versions(),
        "date": datetime.date.today().isoformat(),
        "seconds": {"all": round(seconds, 1)},
    }


def glance(made: card_file.Card) -> str:
    """A card in lines: row, value, note."""
    return text_tables.table([list(line) for line in card_text.glance(made)], left=(0, 1, 2))


def side_by_side(made: Sequence[card_file.Card]) -> str:
    """A row for each measure: its baseline, and the value and interval of each card."""
    known = [{line.label: line for line in card_text.lines(each)} for each in made]
    rows = [["", "baseline", *(each["name"] for each in made)]]
    for label in dict.fromkeys(itertools.chain(*known)):
        of_cards = [of.get(label, card_text.Line(label, card_text.NOT_MEASURED)) for of in known]
        baseline = next((line.baseline for line in of_cards if line.baseline), "")
        values = [", ".join(filter(None, (line.value, line.interval))) for line in of_cards]
        rows.append([label, baseline, *values])
    pairs = (compare_two.sentence(a, b) for a, b in itertools.combinations(made, 2))
    return "\n".join(["", text_tables.table(rows, left=tuple(range(len(rows[0])))), "", *pairs])
