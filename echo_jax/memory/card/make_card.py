"""Make cards: rows that exist stay, and the runs without a row are made.

    plan ─► pilot ─► configurations ─► runs that lack a row ─► rows.jsonl, row by row ─► card.json

The same command completes a card that was stopped.
"""

import contextlib
import datetime
import itertools
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import msgspec
from msgspec import UNSET

from echo_jax import machine
from echo_jax.cell_names import RATES_BY_KEY
from echo_jax.cells import user_cell
from echo_jax.cells.adapt import BlockOf
from echo_jax.cells.cell_object import in_block, is_in_block
from echo_jax.cells.state_numbers import state_numbers
from echo_jax.cells.trained_numbers import trained_numbers
from echo_jax.config import is_built_in
from echo_jax.engine.cluster import executor_of
from echo_jax.engine.grid import Execution, Executor, Here, complete, missing
from echo_jax.engine.process import StoppedError
from echo_jax.exceptions import ConfigError, EchoError, StorageError
from echo_jax.jax_settings import GENERATOR
from echo_jax.learner import network
from echo_jax.memory import card_contents as cards
from echo_jax.memory.all_questions import OF_MEMORY, Row, order
from echo_jax.memory.by_key.key_rows_and_bits import BY_KEY
from echo_jax.memory.by_task.checked_task import task_of
from echo_jax.memory.by_task.task_rows_and_bits import BY_TASK
from echo_jax.memory.card import kept_weights
from echo_jax.memory.card.train_and_score import (
    JOB,
    KEEPING,
    CardRun,
    NamedCell,
    TrainedCell,
    input_sizes,
    made_by,
    measurable,
    measurement_of,
    named_cell,
    runs_at_once,
)
from echo_jax.memory.card_contents import Card, row_kind
from echo_jax.memory.protocol import (
    PILOT_SEED,
    CardPart,
    Configuration,
    Protocol,
    check_seeds,
)
from echo_jax.memory.question import Question
from echo_jax.report.number_formats import counted
from echo_jax.storage import atomic_files, tensor_files

BESIDE = (
    "echo_jax.cells.known_memory:PresentInput",
    "echo_jax.cells.known_memory:OrthogonalReservoir",
    "lstm",
)
"""The cells to compare with on a task: no memory, an untrained memory, and the usual cell."""

MIXED = "its rows were made with more than one version of the software"

UNTRIED = (
    "its learning rate by key is a default that no runs of this cell have chosen, so its bits by "
    "key may be too low: echo-jax card --full tries all rates"
)

THREADS = 2
"""The number of XLA's threads in this process and in each worker, on any number of cores.

The number of threads decides the last bits of results, and the published cards were made with two.
"""


class Made(NamedTuple):
    """A card that was made, its rows, and the folder that has its files."""

    folder: Path
    card: Card
    rows: list[Row]


class Plan(NamedTuple):
    """The protocol of a card, and the runs of its cell.

    lengths  pairs of a question and a number of updates, for which runs are made
    seeds    the seeds of all runs except the pilot's
    full     whether the pilot by key tries all configurations, see `choices`
    task     the only task that is measured, checked by `make_cards`; None for the memory
    keep     whether the weights of each run are written
    """

    protocol: Protocol
    lengths: Sequence[tuple[Question, int]]
    seeds: Sequence[int]
    full: bool = False
    task: Any = None
    keep: bool = False

    def choices(self, named: NamedCell, question: Question, updates: int) -> list[Configuration]:
        """Return the configurations from which one is chosen, for runs of `updates` by `question`.

        By key, unless the card is full, there is only one configuration, and no pilot. It has the
        rate published for the cell `named`, or the middle rate for other cells.
        """
        every = question.pilot(self.protocol, updates)
        if self.full or not question.long_pilot:
            return every
        # A pilot by key makes 45,000 updates, more than the rest of a default card with 28,500.
        return [self.published(named) or every[len(every) // 2]]

    def published(self, named: NamedCell) -> Configuration | None:
        """Return the configuration by key that is published for the cell `named`.

        The result is None if no rate is published for the cell, or under a user's own protocol.
        """
        rate = None if self.protocol.own else RATES_BY_KEY.get(named.measured.bare)
        return next((x for x in BY_KEY.pilot(self.protocol) if x.rate == rate), None)

    def pilot(self, named: NamedCell) -> list[CardRun]:
        """Return the pilot's runs of the cell `named`; none for a question without a choice."""
        each = dict.fromkeys(tuple(self.choices(named, *length)) for length in self.lengths)
        configurations = [x for choices in each if len(choices) > 1 for x in choices]
        seeds = range(PILOT_SEED, PILOT_SEED + self.protocol.pilot_seeds)
        return self.runs_of(named, itertools.product(seeds, configurations))

    def configurations(self, named: NamedCell, rows: Sequence[Row]) -> list[Configuration]:
        """Return the configuration of the cell `named` for each of `lengths`.

        The pilot in `rows` chooses the configuration. Without rows of a pilot, the first of
        `choices` is taken.
        """
        pilot = cards.pilot_of(rows, self.protocol)
        found = []
        for question, updates in self.lengths:
            first, *_ = self.choices(named, question, updates)
            chosen = cards.chosen_by(pilot, question.pilot(self.protocol, updates)) or first
            found.append(msgspec.structs.replace(chosen, updates=updates))
        return found

    def is_untried(self, named: NamedCell, rows: Sequence[Row]) -> bool:
        """Return True if the rate by key was neither published for the cell nor chosen by a pilot.

        `named` is the cell, and `rows` has the pilot's rows. A protocol with a single rate gives
        False.
        """
        several = len(self.protocol.rates_by_key) > 1
        pilot = cards.pilot_of(rows, self.protocol)
        tried = cards.chosen_by(pilot, BY_KEY.pilot(self.protocol))
        return several and not (tried or self.published(named))

    def runs(self, named: NamedCell, rows: Sequence[Row]) -> list[CardRun]:
        """Return all runs of the cell `named` except the pilot's.

        The pilot in `rows` chooses their configurations. Runs with the usual number of updates come
        first.
        """
        each = itertools.product(self.seeds, self.configurations(named, rows))
        usual = self.protocol.updates
        return self.runs_of(named, sorted(each, key=lambda run: run[1].updates != usual))

    def lacking(self, named: NamedCell, rows: Sequence[Row]) -> list[CardRun]:
        """Return the runs of the cell `named` without a row in `rows`.

        Until the pilot of a question is complete, all runs of the question are returned, as their
        rate is not known.
        """
        pilot = missing(self.pilot(named), rows)
        undecided = {run.configuration.question for run in pilot}
        runs = self.runs(named, rows)
        later = [run for run in runs if run.configuration.question in undecided]
        return [*pilot, *later, *missing([run for run in runs if run not in later], rows)]

    def runs_of(self, named: NamedCell, runs: Iterable[tuple[int, Configuration]]) -> list[CardRun]:
        """Return the runs of the cell `named` for `runs`, pairs of a seed and a configuration."""
        cell = named.measured
        return [CardRun(cell, self.protocol, of, seed, named.cell, self.task) for seed, of in runs]


def plan_of(
    protocol: Protocol,
    full: bool,
    seeds: int | None,
    only: CardPart | None = None,
    updates: int | None = None,
    task: Any = None,
) -> Plan:
    """Return the plan of a card, or of a part of a card.

    Args:
      protocol: the numbers of the measure.
      full: whether the card has more seeds, other numbers of updates and a pilot by key.
      seeds: the number of seeds; None for the usual number.
      only: "by-lag" or "by-key", to ask only this question; None for both.
      updates: make only runs of this length, a further budget of the card; None for the usual
        lengths.
      task: the task that is measured instead of the memory; None for the memory.

    Raises:
      ConfigError: a number is out of range, the memory is too small, or `only` is given with
        `task`.
    """
    if task is not None and only is not None:
        raise ConfigError("only", only, "does not apply to a task", "leave it or {task} out")
    if updates is not None:
        protocol.check_updates(updates)
    check_seeds(seeds)
    usual = protocol.full_seeds if full else protocol.default_seeds
    once = updates or protocol.updates
    more = protocol.budgets if full and not updates else ()
    parts = [x for x in OF_MEMORY if only in (None, x.name.replace(" ", "-"))]
    questions = parts if task is None else [BY_TASK]
    check_sizes(protocol, questions)
    lengths = [
        (question, updates)
        for question in questions
        for updates in sorted([once, *(more if question.has_budgets else ())])
    ]
    return Plan(protocol, lengths, range(seeds or usual), full, task)


def check_sizes(protocol: Protocol, questions: Iterable[Question]) -> None:
    """Raise ConfigError if `questions` under `protocol` need more memory than this machine has."""
    size = max(question.least_bytes(protocol) for question in questions)
    machine.check_memory(size, "use a protocol with fewer rows, streams, recalls or lags")


def new_card(name: str, named: NamedCell, state_bytes: int, plan: Plan) -> Card:
    """Return the card of the cell `named` before it has any row or configuration.

    `name` is the name of the card, `state_bytes` is the size of the cell's state in bytes, and
    `plan` states the protocol, the seeds and the task.
    """
    cell = named.cell
    protocol = plan.protocol
    keys, values = cell.key_value_sizes or (None, None)
    task = plan.task
    tokens, classes = (task.tokens, task.answers) if task else (protocol.tokens, protocol.values)
    net = network.around(cell, tokens, classes)
    shapes = jax.eval_shape(partial(network.init_params, net), jax.random.key(0, impl=GENERATOR))
    if plan.keep:
        tensor_files.named(shapes)  # refuses what could not be written
    readout = sum(leaf.size for leaf in jax.tree.leaves(shapes["readout"]))
    sizes = [state_numbers(cell, x) for x in input_sizes(protocol, task).values()]
    return Card(
        protocol=protocol,
        name=name,
        cell=named.measured,
        state_bytes=state_bytes,
        state_numbers=max(sizes, key=lambda of: sum(of.values())),
        conv_bytes=cell.bytes_apart(protocol.tokens),
        keys=keys,
        values=values,
        parameters=trained_numbers(cell, tokens) + readout,
        seeds=list(plan.seeds),
        configuration=[],
        date=datetime.datetime.now(datetime.UTC).date(),
        versions=machine.versions(cell.framework),
        remarks=list(named.remarks),
        task=task.measured if task else UNSET,
    )


def there(folder: Path, new: Card) -> tuple[Card, list[Row]]:
    """Return the card in `folder` with its rows, or the card `new` and no rows if there is none.

    Raises StorageError if the card is of another cell, protocol or task than `new`, if there are
    rows without a card, or if a page was edited, which would be overwritten.
    """
    atomic_files.check_no_link(folder)
    for page in ("picture.svg", "card.md", "card.svg"):
        atomic_files.check_generated(folder / page)
    if not os.path.exists(folder / "card.json"):  # no error for a name that is too long
        if os.path.lexists(folder / cards.ROWS_FILE):
            rule = "has rows.jsonl but not card.json, which says which cell the rows are of"
            raise StorageError(None, folder, rule, "restore card.json, or move rows.jsonl away")
        return new, []
    old, done = cards.read(folder)
    other = None
    if old.numbers != new.numbers:
        other = f"a card of protocol {old.numbers.name}, not of {new.numbers.name}"
    elif old.task != new.task:
        other = "a card of another task, or of this task with other text or data"
    elif (old.cell, old.parameters) != (new.cell, new.parameters):
        cell = f"{old.cell.name} {old.cell.args or ''}".strip()
        other = f"the card of another cell, {cell}, or of another version of its file"
    if other:
        fix = "give the new card another {name}, or move the existing card"
        raise StorageError(None, folder, f"is {other}", fix)
    old.seeds = sorted({*new.seeds, *(row.seed for row in done if row.seed < PILOT_SEED)})
    return old, done


@contextlib.contextmanager
def claimed(folder: Path, new: Card) -> Iterator[tuple[Card, list[Row]]]:
    """Lock `folder` in a context, and yield the card and rows that `there` returns.

    The card is `new` if the folder has none. A card without rows is written at once.
    """
    with atomic_files.claimed(folder):
        card, rows = there(folder, new)
        # Before the first row: rows without a card are refused, as no file names their cell.
        if not rows:
            cards.write(card, rows, folder)
        yield card, rows


class Request(NamedTuple):
    """A card to be made.

    folder   the folder of the card
    named    the cell of the card
    new      the card before any row
    plan     the protocol and the runs
    missing  the runs that lack a row
    """

    folder: Path
    named: NamedCell
    new: Card
    plan: Plan
    missing: Sequence[CardRun]


def requested(out: Path, name: str, named: NamedCell, plan: Plan) -> Request:
    """Return the request for the card `name` in the folder `out`, of the cell `named`.

    Raises ConfigError if the card cannot be made by the `plan`, and StorageError if its folder has
    another card.
    """
    cards.check_name(name)
    sizes = measurable(named.name, named.cell, plan.protocol, plan.task)
    new = new_card(name, named, max(sizes.values()), plan)
    # Without the lock, to refuse before anything is made; `claimed` looks again with it.
    _, done = there(out / name, new)
    lacking = plan.lacking(named, done)
    if lacking and not is_built_in(named.name):  # the built-in cells can be measured, by test
        for each in sizes:
            measurement_of(each, named.cell, plan.protocol, plan.task).check(named.name)
    return Request(out / name, named, new, plan, lacking)


class CardRequest(NamedTuple):
    """A cell whose card is to be made.

    cell         a name or an object, as in `echo_jax.card`
    args         the options of the cell; None if no options were given
    name         the name of the card; None for the default name
    state_bytes  the bytes of state for which options are found; None to find no options
    beside       whether the cell was added to compare with; such a cell is left out if it is wanted
                 anyway
    """

    cell: Any
    args: Mapping[str, Any] | None
    name: str | None
    state_bytes: int | None
    beside: bool = False

    def built(self, protocol: Protocol) -> NamedCell:
        """Return the cell; if `state_bytes` is set, the cell's state by key has about this size.

        `protocol` states the tokens by key. Raises ConfigError if the cell cannot be built.
        """
        try:
            return named_cell(self.cell, self.args, self.state_bytes, protocol)
        except ConfigError as error:
            if not self.beside:
                raise
            raise error.then("or leave it out by {beside=False}") from error


def beside(wanted: Sequence[CardRequest]) -> list[CardRequest]:
    """Return the requests for the cells to compare with on a task.

    For each cell in `wanted`, these cells get its `state_bytes`. If the wanted cell is in a block,
    they are in a block of equal width and layers.
    """
    found = dict[str, CardRequest]()
    for each in wanted:
        blocked, given = is_in_block(each.cell), each.args or {}
        args = {x: given[x] for x in BlockOf.own if x in given} if blocked else {}
        for cell in map(in_block, BESIDE) if blocked else BESIDE:
            found.setdefault(cell, CardRequest(cell, args, None, each.state_bytes, beside=True))
    return list(found.values())


def make_cards(
    wanted: Sequence[CardRequest],
    plan: Plan,
    out: Path,
    running: Execution,
    others: bool,
) -> Generator[Made]:
    """Build and check the cells, make a card of each on one executor, and yield each card made.

    If a signal or failed runs end the making of a card, the card is yielded before the error is
    raised. The folder of a card is locked until the next card is asked for.

    Args:
      wanted: the cells, with the names of their cards.
      plan: the protocol and the runs of each card.
      out: the folder of the cards' folders.
      running: where runs are made, and how progress is shown.
      others: with a task, whether cells to compare with are added.

    Raises:
      ConfigError: a card cannot be made; then no card is begun.
      StorageError: the folder of a card has another card, or cannot be written.
      TasksFailedError: some runs failed; the others have rows.
    """
    running.start_jax(1, THREADS)  # each thread trains a run, on the same device
    if plan.task is not None:
        if running.cluster is not None:
            rule = "cannot train on a task"
            raise ConfigError("cluster", running.cluster, rule, "leave {cluster} or {task} out")
        plan = plan._replace(task=task_of(plan.task, plan.protocol))
        wanted = [*wanted, *(beside(wanted) if others else ())]
    elif not others:
        rule = "applies only to a task, as no other cells are measured without one"
        raise ConfigError("beside", others, rule, "leave it out, or give a {task}")
    requests = requests_of(wanted, plan, out)
    lacking = [run for request in requests for run in request.missing]
    files = partial(user_cell.files_of, {request.named.name for request in requests})
    running.interrupts.check()
    here = Here(runs_at_once())
    with contextlib.ExitStack() as within:
        for request in requests:
            within.enter_context(made_by(request.named.cell).settings(running.cluster))
        executor = within.enter_context(executor_of(running, here, lacking, files, THREADS))
        if len(requests) > 1:
            running.tell(f"{len(requests)} cards: {counted(len(lacking), 'run')} to make")
        for request in requests:
            yield from completed(request, executor, running)


def requests_of(wanted: Sequence[CardRequest], plan: Plan, out: Path) -> list[Request]:
    """Return the requests for the cards of `wanted` in the folder `out`, with different names.

    Raises ConfigError, before any card is made, if a cell or a name breaks a rule of the `plan`.
    """
    requests = dict[str, Request]()
    for each in wanted:
        named = each.built(plan.protocol)
        if each.beside and named.name in [request.named.name for request in requests.values()]:
            continue
        name = plan.protocol.card_name(named.card_name) if each.name is None else each.name
        if plan.task:
            name = f"{name}-{plan.task.measured.name}"
        if name in requests:
            alike = f"{requests[name].named.name} and {named.name}"
            raise ConfigError(f"{alike} would both be called {name}: give each a {{name}}")
        requests[name] = requested(out, name, named, plan)
    return list(requests.values())


def completed(request: Request, executor: Executor, running: Execution) -> Generator[Made]:
    """Make the runs that the card of `request` lacks, and yield the card with its rows.

    `executor` makes the runs, and `running` shows progress. If a signal or failed runs end the
    making, the card is yielded too, and then the error is raised.
    """
    folder = request.folder
    left = counted(len(request.missing), "run")
    running.tell(f"{request.new.name}: {request.named.name}, {left} to make")
    with claimed(folder, request.new) as (card, rows):
        lost = sum(not kept_weights.path_of(folder, row.key).exists() for row in rows)
        if request.plan.keep and lost:
            fix = "to make a run again, remove its line from rows.jsonl"
            without = f"{counted(lost, 'run')} with a row but without weights"
            running.tell(f"{request.new.name}: {without}; {fix}")
        try:
            make(request, card, rows, executor, running)
        except (StoppedError, EchoError):  # a signal, or runs that failed
            yield Made(folder, cards.with_rows(card, rows), rows)
            raise
        yield Made(folder, cards.with_rows(card, rows), rows)


def bits_in_words(row: Row, protocol: Protocol) -> str:
    """Return the bits of `row` under `protocol` in words, or that the run was not finite."""
    return cards.bits_of([row], protocol).in_words if row.final else "not finite"


def make(
    request: Request, card: Card, rows: list[Row], executor: Executor, running: Execution
) -> None:
    """Make the runs that the card of `request` lacks; add to `rows` and to `card` what they show.

    `executor` makes the runs, `running` shows progress, and each row is stored as it comes. Raises
    TasksFailedError at the end if runs failed.
    """
    folder, named, new, plan, _ = request
    protocol = plan.protocol
    if plan.lacking(named, rows) and card.versions != new.versions and MIXED not in card.remarks:
        card.remarks.append(MIXED)

    def store(row: Row) -> str:
        """Store `row` in the folder and in the card; return its bits in words."""
        # The row first: a card is made anew from its rows when it is read, so a kill loses no run.
        row_kind(protocol).append(folder / cards.ROWS_FILE, [row])
        rows.append(row)
        cards.write(card, rows, folder)
        return bits_in_words(row, protocol)

    def keep(trained: TrainedCell) -> str:
        """Write the weights of a `trained` run, then store its row; return its bits in words."""
        kept_weights.write(folder, card, trained)  # first: a run with a row is not made again
        return store(trained.row)

    job, arrived = (KEEPING, keep) if plan.keep else (JOB, store)
    card.remarks = [x for x in card.remarks if x != UNTRIED]  # added below where it still holds
    with running.bar(request.missing, new.name, "updates") as bar:

        def run(runs: Sequence[CardRun]) -> None:
            left = missing(runs, rows)
            complete(job, left, executor, arrived, bar, running.interrupts)

        run(plan.pilot(named))
        planned = plan.configurations(named, rows)
        chosen = {(of.question, of.updates): of for of in [*card.configuration, *planned]}
        card.configuration = [chosen[kind] for kind in sorted(chosen, key=lambda of: order(*of))]
        by_key = BY_KEY.name in {question for question, _ in chosen}
        if by_key and plan.is_untried(named, rows):
            card.remarks.append(UNTRIED)
        run(plan.runs(named, rows))
