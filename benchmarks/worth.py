"""Is a bit of a card worth anything elsewhere? Train every cell on tasks that no card asks.

    python benchmarks/worth.py                     # all that is missing, hours on two cores
    python benchmarks/worth.py digits --cells parameters
    python benchmarks/worth.py untrained delay_16 --cells vector    # of the second study

cards (docs/cards)  ─►  runs: seed 0 at three rates, seeds 1 and 2 at the best on validation data
run                 ─►  row of docs/worth/rows.jsonl, appended as it comes

In the arm `parameters` cell and block have 60,000 trained numbers, the rates are those of the first
arm and of the cards, and the two questions of the cards are asked too. The second study asks its
cells of `outcomes.py` and, before they are trained, a probe.
"""

import argparse
import functools
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import msgspec
import numpy as np
from initial_weights import controls, manipulated
from outcomes import OUTCOMES, text

import echo_jax
from echo_jax.cells.trained_numbers import trained_numbers
from echo_jax.engine import grid
from echo_jax.learner.random_tokens import Purpose, purpose_key
from echo_jax.learner.update import train_chunks
from echo_jax.memory.by_key.key_rows_and_bits import KeyRow
from echo_jax.memory.by_lag.lag_measurement import LagMeasurement, draw_streams
from echo_jax.memory.by_lag.lag_rows_and_bits import LagRow
from echo_jax.memory.by_task.checked_task import TaskObject, task_of
from echo_jax.memory.by_task.task_rows_and_bits import TaskScore
from echo_jax.memory.card import train_and_score
from echo_jax.memory.card.train_and_score import CardRun, InJax, NamedCell, named_cell
from echo_jax.memory.card_contents import CARD_FILE, Card, bits_of
from echo_jax.memory.measurement import MeasurementPrograms, RunInputs
from echo_jax.memory.protocol import STANDARD, Configuration, QuestionName
from echo_jax.memory.tasks.text import STEPS
from echo_jax.report.number_formats import plain

HERE = Path(__file__).resolve().parent
CARDS = HERE.parent / "docs" / "cards"
ROWS = HERE.parent / "docs" / "worth" / "rows.jsonl"

ARMS = "numbers", "parameters"
TASKS = "digits", "in_context", "noisy_recall", "text", "selective_copy"
QUESTIONS: dict[str, QuestionName] = {"by_lag": "by lag", "by_key": "by key"}
"""What the cards ask, as tasks of the second arm."""

UNTRAINED = "untrained"
"""Asks a probe of the network before training; the seed is that of the weights."""

RATES = STANDARD.rates[:3]
SEEDS = range(3)
AGAIN = "noisy_recall", range(3, 13)
"""A task whose three seeds hardly tell the matrix states apart, and ten more seeds of these."""

FAMILIES = (
    ("lstm", "lstm-chrono", "slstm", "gru"),
    ("simple", "identity-rnn", "exprnn"),
    ("lru", "s5", "rg-lru"),
    ("mingru", "minlstm"),
    ("lmu",),
    ("delta-net", "gated-delta-net", "FrozenDeltaNet", "rwkv7"),
    ("gla", "mlstm", "mamba2", "FrozenLinearAttention"),
)
"""Cells that share a kind of recurrence, and so are no independent cases."""

MATRIX = {*FAMILIES[-2], *FAMILIES[-1]}
"""The cells with a matrix state."""

GROUPS = *ARMS, "vector", "changed", "small", "matrix"
"""Cells that runs are made of, see `cells_of`; the last four are of the second study."""

CHECKS = 10
"""Scores of a run, evenly apart; those with the least validation loss are kept."""

HELD_LAGS = 16
HELD_STREAMS = 400

PROBED = 1
"""The seed whose network on the text is probed, and whose bits are not counted there."""


class WorthRow(msgspec.Struct, omit_defaults=True):
    """A run, with the scores of the check at which its validation loss was least.

    Before it is made it is a task of a grid. The scores are absent where the first check was not
    finite.

    cell     the name of its card
    work     its updates
    stopped  updates made at that check
    held     bits that a probe finds in the state about the token n steps before; on the text, of
             seed 1, beyond what the last character tells
    """

    work: ClassVar[float] = STANDARD.updates
    task: str
    arm: str
    cell: str
    seed: int
    rate: float
    stopped: int = 0
    validation: TaskScore | None = None
    final: TaskScore | None = None
    held: list[float] | None = None
    asked: LagRow | KeyRow | None = None

    @property
    def key(self) -> str:
        """The run of a task, an arm, a cell, a rate and a seed."""
        return f"{self.task}, {self.arm}, {self.cell}, rate {self.rate}, seed {self.seed}"

    name = key

    @property
    def program(self) -> Hashable:
        """The key of its compiled programs: task, arm and cell."""
        return self.task, self.arm, self.cell

    @property
    def bits(self) -> float:
        """Bits an answer on the final rows, or of the question; 0 of a run that diverged."""
        if self.asked:
            return bits_of([self.asked], STANDARD).mean
        if self.task == UNTRAINED and self.held:
            return sum(self.held)
        return self.final.bits if self.final else 0.0


@functools.cache
def task(name: str) -> TaskObject:
    """A task by its name."""
    written = OUTCOMES[name]() if name in OUTCOMES else name
    return task_of(text() if name == "text" else written, STANDARD)


def card_run(row: WorthRow) -> CardRun:
    """The run of a card that trains the same network on the same question."""
    named = networks(row.arm)[short_name(row.cell)]
    question = QUESTIONS.get(row.task, "task")
    of_task = task(row.task) if question == "task" else None
    asked = Configuration(question, STANDARD.updates, row.rate)
    return CardRun(named.measured, STANDARD, asked, row.seed, named.cell, of_task)


def compile_run(row: WorthRow) -> Any:
    """The programs of a run: those of a card, or a measurement and its two functions."""
    if row.task != UNTRAINED:
        return train_and_score.compile_run(card_run(row))
    of_lags = LagMeasurement(networks(row.arm)[short_name(row.cell)].cell, STANDARD)
    return of_lags, jax.jit(of_lags.init_params), jax.jit(of_lags.states)


def make_row(run: WorthRow, programs: Any, report: grid.Report) -> WorthRow:
    """The row of a run: answers of a card, of a probe before training, or scores on a task."""
    row = msgspec.structs.replace(run)
    if row.task in QUESTIONS:
        asked: Any = train_and_score.make_row(card_run(row), programs, report)
        asked.losses = asked.reading = msgspec.UNSET
        row.stopped = STANDARD.updates
        row.asked = asked
    elif row.task == UNTRAINED:
        row.held = before_training(programs, row.seed)
    else:
        train(row, programs, report)
    return row


def train(row: WorthRow, programs: MeasurementPrograms, report: grid.Report) -> None:
    """Train, and keep the scores of the check whose validation loss is least."""
    inputs = RunInputs(np.int32(row.seed), np.float32(row.rate), np.int32(STANDARD.updates))
    sets = programs.draw(np.int32(row.seed), np.zeros(8, np.uint32))
    least = np.inf
    for chunk in train_chunks(
        lambda progress, _: programs.block(inputs, progress),
        programs.init(inputs),
        range(STANDARD.updates),
        STANDARD.updates_at_once,
    ):
        report(chunk.done / STANDARD.updates)
        if chunk.done % (STANDARD.updates // CHECKS):
            continue
        scores = jax.device_get(programs.score(chunk.state.params, sets))
        if not np.isfinite([*scores.validation, *scores.final]).all():
            break
        if scores.validation[1] < least:
            least = scores.validation[1]
            row.stopped = chunk.done
            row.validation = TaskScore(*plain(scores.validation, ".4f"))
            row.final = TaskScore(*plain(scores.final, ".4f"))
            if (row.task, row.seed) == ("text", PROBED):
                row.held = held_of(programs.measurement, chunk.state.params)


def before_training(programs: Any, seed: int) -> list[float]:
    """The bits of a probe at each lag; all networks are asked about the same streams."""
    question, init, states_of = programs
    params = init(purpose_key(seed, Purpose.WEIGHTS))
    asked = list(STANDARD.asked)
    key = purpose_key(0, Purpose.EVALUATION)
    streams = np.asarray(draw_streams(STANDARD, key, 8 * STANDARD.streams))
    states = np.zeros((*streams.shape, question.numbers), np.float32)
    states[:, asked] = np.concatenate([states_of(params, x) for x in np.split(streams, 8)])
    return bits_found(states, streams, STANDARD.lags, at=asked, scored=STANDARD.streams)


def held_of(question: Any, params: Any) -> list[float]:
    """The bits of a probe on windows of the validation part."""
    codes = text().parts["validation"][: HELD_STREAMS * STEPS].reshape(HELD_STREAMS, STEPS)
    states = InJax().states(question.network.cell, question.task, params, codes)
    return bits_found(states, codes, HELD_LAGS)


def bits_found(*asked: Any, **options: Any) -> list[float]:
    """The bits of a probe at each lag, of the arguments of `echo_jax.probe`."""
    return plain(np.asarray(echo_jax.probe(*asked, **options).by_lag["bits"]), ".3f")


@functools.cache
def published() -> list[Card]:
    """The published cards in the block of 100 numbers."""
    paths = sorted(CARDS.glob(f"block-*-state-bytes-400/{CARD_FILE}"))
    return [msgspec.json.decode(path.read_bytes(), type=Card) for path in paths]


def short_name(card: str) -> str:
    """The cell of a card, as the tables name it."""
    return card.removeprefix("block-").removesuffix("-state-bytes-400")


def is_vector(name: str) -> bool:
    """True for the short name of a trained cell with a vector state; anchors are classes."""
    return name.islower() and name not in MATRIX


@functools.cache
def cells_of(group: str) -> dict[str, NamedCell]:
    """The cells of a group, by the names in their rows.

    numbers, parameters  those of the published cards, with 100 numbers of state or 60,000 trained
    vector, small        those with a vector state that are trained, of 100 numbers or of 25
    matrix               those with a matrix state
    changed              vector states that start from other weights
    """
    if group == "changed":
        return {named.card_name: named for named in (*manipulated(), *controls())}
    more = {"parameters": 60_000} if group == "parameters" else {}
    among = MATRIX.__contains__ if group == "matrix" else is_vector
    cards = [x for x in published() if group in ARMS or among(short_name(x.name))]
    if group == "small":
        return {x.name.replace("-400", "-100"): named_cell(x.cell.name, {}, 100) for x in cards}
    return {x.name: named_cell(x.cell.name, x.cell.args | more) for x in cards}


@functools.cache
def networks(arm: str) -> dict[str, NamedCell]:
    """The networks of an arm by their short names; the first arm has the groups of both studies."""
    groups = [arm] if arm == ARMS[1] else [x for x in GROUPS if x != ARMS[1]]
    return {short_name(card): x for group in groups for card, x in cells_of(group).items()}


@functools.cache
def parameters_of(name: str) -> int:
    """The trained numbers of a network of the first arm, by its short name."""
    return trained_numbers(networks(ARMS[0])[name].cell, 1)


def read() -> list[WorthRow]:
    """The rows that there are."""
    return msgspec.json.Decoder(WorthRow).decode_lines(ROWS.read_bytes())


def best_rates(rows: Sequence[WorthRow]) -> dict[tuple[str, str], float]:
    """The rate by task and cell: that of its card, or the one with the least validation loss.

    The losses are of seed 0, and of cells that have them at all rates.
    """
    found = defaultdict[tuple[str, str], dict[float, float]](dict)
    for row in rows:
        if row.seed == 0 and row.arm == ARMS[0]:
            found[row.task, row.cell][row.rate] = row.validation.nats if row.validation else np.inf
    best = {at: min(of, key=of.__getitem__) for at, of in found.items() if len(of) == len(RATES)}
    questions = [(card.name, of) for card in published() for of in card.configuration]
    return best | {(of.question.replace(" ", "_"), card): of.rate for card, of in questions}


def missing(name: str, group: str, rows: Sequence[WorthRow]) -> list[WorthRow]:
    """Runs that have no row: in the first arm those of seed 0 while one of a cell is missing."""
    arm = group if group in ARMS else ARMS[0]
    rates = best_rates(rows)
    runs = []
    for card in cells_of(group):
        rate = 0.0 if name == UNTRAINED else rates.get((name, card))
        again = (name, arm) == (AGAIN[0], ARMS[0]) and short_name(card) in MATRIX
        tried = [(0, x) for x in RATES if arm == ARMS[0]]
        if rate is not None:
            tried = [(seed, rate) for seed in (*SEEDS, *(AGAIN[1] if again else ()))]
        runs += [WorthRow(name, arm, card, seed, x) for seed, x in tried]
    return grid.missing(runs, rows)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [*TASKS, *QUESTIONS, UNTRAINED, *OUTCOMES]
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(names))
    parser.add_argument("--cells", choices=GROUPS, default=ARMS[0])
    args = parser.parse_args()
    running = grid.Execution()
    running.start_jax(1, 2)
    job = grid.Job(compile_run, make_row)

    def store(row: WorthRow) -> str:
        """Append a row."""
        with ROWS.open("ab") as file:
            file.write(msgspec.json.encode(row) + b"\n")
        return f"{row.bits:.3g} bits"

    for name in args.tasks or (TASKS if args.cells == ARMS[0] else [*TASKS, *QUESTIONS]):
        for _ in range(2):
            runs = missing(name, args.cells, read())
            with running.bar(runs, name, "updates") as bar:
                grid.complete(job, runs, grid.Here(2), store, bar, running.interrupts)


if __name__ == "__main__":
    main()
