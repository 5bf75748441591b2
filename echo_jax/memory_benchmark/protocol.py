"""The protocol of a memory card: everything that is fixed, so that only the cell differs.

    track   `cell`, a bare cell, or `block`, the fixed small network around it
    ladder  one way to ask for an echo, at rising rungs: a task and its vocabulary

Cards are comparable if the hashes of their protocols are equal, and within a track if they have the
same ladders. A time limit is no field: it ends a card early and changes no number in it.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, Literal

from echo_jax import atomic_files
from echo_jax.config import BLOCK
from echo_jax.exceptions import ConfigError, shown

Task = Literal["lag", "hold", "marked", "key", "copy"]
Track = Literal["cell", "block"]

TASKS: tuple[Task, ...] = ("lag", "hold", "marked", "key", "copy")

MARKED_AMONG = {4: 40, 8: 64, 16: 128}
"""Tokens among which m are marked, by m."""

PART = 256
"""Most sequences that are evaluated at a time."""

SYMBOLS, COPIED = 8, 10
"""Of the copy-memory task: the number of different symbols, and of those to be copied."""


@dataclasses.dataclass(frozen=True)
class Ladder:
    """One way to ask for an echo, at rising rungs."""

    name: str
    """Name of the ladder, in rows and cards: the task and V."""
    task: Task
    """See `tasks`."""
    vocab_size: int
    """V, the number of different tokens."""
    rungs: tuple[int, ...]
    """In order: steps back (lag), distractors (hold), marked tokens (marked), keys (key)."""
    coarse: tuple[int, ...]
    """Rungs that are tried first; those below one are skipped if all seeds pass it at once."""
    threshold: float
    """Accuracy that passes a rung, if an evaluation and its confirmation reach it."""


LAGS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200)
COARSE_LAGS = (1, 2, 4, 8, 16, 32, 64, 128, 200)
CELL_LADDERS = (
    Ladder("lag-2", "lag", 2, LAGS, COARSE_LAGS, 0.99),
    Ladder("lag-16", "lag", 16, LAGS, COARSE_LAGS, 0.99),
    Ladder("hold-2", "hold", 2, LAGS, COARSE_LAGS, 0.99),
)
BLOCK_LADDERS = (
    Ladder("lag-16", "lag", 16, (8, 12, 16, 24, 32, 48, 64), (8, 16, 32, 64), 0.99),
    Ladder("marked-16", "marked", 16, (4, 8, 16), (4, 8, 16), 0.9),
    Ladder("key-16", "key", 16, (2, 4, 6), (2, 4, 6), 0.9),
    Ladder("key-64", "key", 64, (2, 4, 8, 16), (2, 4, 8, 16), 0.9),
)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Everything that is fixed; the defaults are the protocol `full` of bare cells."""

    name: str = "full"
    """Name of the protocol."""
    track: Track = "cell"
    """Bare cells, or cells in the block."""
    version: int = 2  # increased with every change of a number here or of a rule elsewhere
    """Version of the rules that are no field: tasks, optimizer, passing, measures."""
    ladders: tuple[Ladder, ...] = CELL_LADDERS
    """The ladders, in the order in which they are climbed."""
    exact_lags: tuple[int, ...] = (250, 320, 400, 500, 640, 800, 1000)
    """Further rungs of lag and hold for a cell without parameters; the last one is coarse."""
    batch_size: int = 16
    """B, sequences per update."""
    shortest_lag: int = 48
    """A stream of lag n is max(shortest_lag, steps_per_lag n) long."""
    steps_per_lag: int = 3
    """See `shortest_lag`."""
    shortest_hold: int = 16
    """A hold sequence of k distractors is max(shortest_hold, k + 2) long."""
    marked_among: dict[str, int] = dataclasses.field(
        default_factory=lambda: {str(marked): among for marked, among in MARKED_AMONG.items()}
    )
    """Tokens among which m are marked, by m."""
    clip: float = 1.0
    """Largest global norm of the gradient; a larger gradient is scaled down to it."""
    rates: tuple[float, ...] = (0.01, 0.003, 0.001)
    """Learning rates. A seed passes a rung if it passes at any of them."""
    seeds: int = 8
    """Independent networks per rung."""
    budget: int = 3000
    """Maximum updates per rung, seed and rate."""
    evaluate_every: int = 50
    """Updates between two evaluations."""
    answers: int = 2048
    """Least number of answers of an evaluation, all on fresh sequences."""
    confirmation: int = 2
    """Answers of a confirmation, as a multiple of those of an evaluation; all of them fresh."""
    rows: tuple[str, ...] = ("price", "ladders", "beyond", "cause", "capacity")
    """Names of what is measured."""
    refine: bool = True
    """True if the rungs between the last that all seeds passed and the first that all missed are
    tried too, by bisection."""
    capacity_vocabs: tuple[int, ...] = (2, 16)
    """V of the capacity networks."""
    capacity_lags: int = 60
    """Lags whose recalled bits are summed, from 1: the heads of one network. Doubled, up to
    `capacity_most`, until the last quarter adds less than `capacity_tail` bits."""
    capacity_most: int = 480
    """See `capacity_lags`."""
    capacity_tail: float = 0.5
    """See `capacity_lags`; the median over the seeds."""
    capacity_more: int = 36
    """Steps of a sequence of that network beyond its lags."""
    capacity_every: int = 4
    """Steps from one at which its heads are trained to the next, from the longest lag on."""
    capacity_updates: int = 1500
    """Updates of that network, at the last rate that passed a rung of the ladder of its V."""
    capacity_sequences: int = 2048
    """Fresh sequences to recalibrate its heads on, and as many others to count its bits on."""
    noise: float = 0.1
    """Deviation of the noise added to each number of a state, relative to that of the number."""
    linear_lags: int = 100
    """Lags of the linear memory capacity, from 1; of the network of the first V."""
    linear_steps: int = 6000
    """Steps of the stream that its readout is fitted to, and of the one that it is tested on."""
    washout: int = 200
    """Steps at the start of both streams that are left out."""
    beyond: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100)
    """Factors by which test streams are longer than training sequences."""
    gradient_sequences: int = 64
    """Sequences over which the gradient of an answer is averaged."""


PRICED: dict[Track, Ladder] = {"cell": CELL_LADDERS[0], "block": BLOCK_LADDERS[0]}
"""The ladder on whose network a card counts parameters and times steps, by track."""


def _until(ladder: Ladder, last: int) -> Ladder:
    """The rungs of a ladder up to one."""
    rungs, coarse = (tuple(x for x in xs if x <= last) for xs in (ladder.rungs, ladder.coarse))
    return dataclasses.replace(ladder, rungs=rungs, coarse=coarse)


CELL_FULL = Protocol()
CELL_QUICK = dataclasses.replace(
    CELL_FULL,
    name="quick",
    seeds=4,
    ladders=(_until(CELL_LADDERS[2], 16), _until(CELL_LADDERS[1], 12)),
    exact_lags=(),
    rows=("price", "ladders"),
    refine=False,
)
"""A part of `full`, so that a cell of 400 bytes is done in 90 seconds on two cores; an LSTM takes
half of them for a rung that it misses. Rows that both measure are equal bit for bit."""
BLOCK_FULL = dataclasses.replace(
    CELL_FULL,
    track="block",
    ladders=BLOCK_LADDERS,
    rates=(0.01, 0.003),
    rows=("price", "ladders"),
    refine=False,
)
BLOCK_QUICK = dataclasses.replace(
    BLOCK_FULL,
    name="quick",
    seeds=4,
    ladders=tuple(map(_until, (BLOCK_LADDERS[0], BLOCK_LADDERS[2]), (8, 4))),
)
"""A part of `full` of the block; the rows that both measure are equal bit for bit."""
KEYS = dataclasses.replace(BLOCK_FULL, name="keys", seeds=4, ladders=BLOCK_LADDERS[2:])
"""The key task alone, for states of 4,000 bytes."""

COPY = dataclasses.replace(
    CELL_FULL,
    name="copy",
    ladders=(Ladder("copy-10", "copy", 10, (100, 300, 1000), (), 0.99),),
    batch_size=8,
    seeds=4,
    budget=10_000,
    evaluate_every=500,
    answers=640,
    rows=("copy",),
    refine=False,
)
"""The copy-memory task as published, see `copy_task`; its rungs are values of T."""

PROTOCOLS: dict[tuple[str, Track], Protocol] = {
    (each.name, each.track): each
    for each in (CELL_QUICK, CELL_FULL, BLOCK_QUICK, BLOCK_FULL, KEYS, COPY)
}
"""The protocols by name and track."""


def named(name: str, cell: str) -> Protocol:
    """The protocol of a name for a cell: that of the block for `block:CELL`, see `Protocol.track`.

    ConfigError for a protocol that does not exist, or not for such a cell.
    """
    track: Track = "block" if cell.startswith(BLOCK) else "cell"
    known = list(dict.fromkeys(each for each, _ in PROTOCOLS))
    if name not in known:
        raise ConfigError(f"protocol {shown(name)} is unknown: use one of {', '.join(known)}")
    if (name, track) in PROTOCOLS:
        return PROTOCOLS[name, track]
    if track == "cell":
        raise ConfigError(
            f"protocol {name} is for cells in the block, and {cell!r} is a bare one: use "
            f"{{cell={BLOCK}{cell}}}"
        )
    raise ConfigError(
        f"protocol {name} is for bare cells, and {cell!r} is a block: use "
        f"{{cell={cell.removeprefix(BLOCK)}}}"
    )


def length(protocol: Mapping[str, Any], task: Task, rung: int) -> int:
    """Steps of a training sequence by a protocol's fields, see `tasks`."""
    if task == "lag":
        return max(protocol["shortest_lag"], protocol["steps_per_lag"] * rung)
    if task == "hold":
        return max(protocol["shortest_hold"], rung + 2)
    if task == "marked":
        return protocol["marked_among"][str(rung)] + rung
    return 3 * rung if task == "key" else rung + 2 * COPIED


def sequences(protocol: Mapping[str, Any], task: Task, rung: int, steps: int) -> tuple[int, int]:
    """The parts of an evaluation of a protocol's fields, and the sequences of each part.

    Enough for `answers` answers at the largest rung of sequences of so many steps.
    """
    least = steps - steps // protocol["steps_per_lag"]  # at the largest lag of this length
    scored = {"hold": 1, "lag": least, "copy": COPIED}.get(task, rung)
    needed = -(-protocol["answers"] // scored)
    parts = -(-needed // PART)
    return parts, -(-needed // parts)


def answers(protocol: Mapping[str, Any], task: Task, rung: int) -> int:
    """Answers of a whole evaluation at a rung."""
    steps = length(protocol, task, rung)
    parts, rows = sequences(protocol, task, rung, steps)
    return parts * rows * {"hold": 1, "lag": steps - rung, "copy": COPIED}.get(task, rung)


def floor_of(task: Task, vocab_size: int, rung: int) -> float:
    """The accuracy without memory; in the key task, of who knows which values occurred."""
    return 1 / rung if task == "key" else 1 / (SYMBOLS if task == "copy" else vocab_size)


def memoryless_loss(blanks: int) -> float:
    """The best loss on copy memory without memory: `10 ln 8 / (T + 20)` nats per step."""
    return COPIED * math.log(SYMBOLS) / (blanks + 2 * COPIED)


def to_dict(protocol: Protocol) -> dict[str, Any]:
    """The fields as JSON values, as in a card."""
    return json.loads(json.dumps(dataclasses.asdict(protocol)))


def hash_of(protocol: Protocol | dict[str, Any]) -> str:
    """SHA-256 of the fields as JSON with sorted names, in hexadecimal."""
    return atomic_files.digest_of(protocol if isinstance(protocol, dict) else to_dict(protocol))


def hashes() -> dict[str, str]:
    """The names of all protocols by their hashes."""
    return {hash_of(protocol): name for (name, _), protocol in PROTOCOLS.items()}
