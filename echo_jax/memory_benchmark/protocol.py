"""The protocol of a memory card: everything that is fixed, so that only the cell differs.

Cards are comparable if the hashes of their protocols are equal. A test compares `docs/protocol.md`
with the fields here. A time limit is no field: it ends a card early and changes no number in it.
"""

import dataclasses
import json
import math
from typing import Any, Literal

from echo_jax import atomic_files

Task = Literal["stream", "hold", "copy"]
TASKS: tuple[Task, ...] = ("stream", "hold")
"""The tasks of the protocols `quick` and `full`."""

SYMBOLS, COPIED = 8, 10
"""Of the copy-memory task: the number of different symbols, and of those to be copied."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Everything that is fixed; the defaults are the protocol `full`."""

    name: str = "full"
    """Name of the protocol."""
    version: int = 1  # increased with every change of a number here or of a rule elsewhere
    """Version of the rules that are no field: tasks, optimizer, success, measures."""
    vocab_size: int = 2
    """V: tokens are drawn uniformly from 0 .. V-1."""
    batch_size: int = 16
    """B, sequences per update."""
    ladder: tuple[int, ...] = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)
    """Lags of both tasks in order: steps back (stream), distractors (hold). A task ends when no
    seed has learned every lag so far."""
    shortest_stream: int = 48
    """A stream of lag n is max(shortest_stream, lags_per_stream n) long."""
    lags_per_stream: int = 3
    """See `shortest_stream`."""
    shortest_hold: int = 16
    """A hold sequence of k distractors is max(shortest_hold, k + 2) long."""
    clip: float = 1.0
    """Largest global norm of the gradient; a larger gradient is scaled down to it."""
    rates: tuple[float, ...] = (0.001, 0.003, 0.01)
    """Learning rates that are tried for each task; the best one is used for all its lags."""
    tuning_seeds: tuple[int, ...] = (1_000_000, 1_000_001)
    """Seeds that are used to choose the rate and for nothing else."""
    tuning_lags: dict[str, tuple[int, ...]] = dataclasses.field(
        default_factory=lambda: {"stream": (12, 5, 2, 1), "hold": (30, 8, 2, 1)}
    )
    """Lags at which the rate of a task may be chosen, in order: the first at which the best rate
    ends at or above the lowest threshold."""
    tuning_updates: int = 300
    """Updates of each run that is used to choose the rate."""
    seeds: int = 8
    """Independent networks per lag."""
    budget: int = 3000
    """Maximum updates per lag and seed; unfinished runs are right-censored."""
    evaluate_every: int = 25
    """Updates between two evaluations."""
    evaluation: dict[str, int] = dataclasses.field(
        default_factory=lambda: {"stream": 64, "hold": 256}
    )
    """Fresh sequences per evaluation."""
    confirmation: int = 2
    """Sequences of a confirmation, as a multiple of those of an evaluation; all of them fresh."""
    thresholds: tuple[float, ...] = (0.99, 0.6)
    """Accuracies that count as success, if an evaluation and its confirmation reach them."""
    rows: tuple[str, ...] = ("stream", "hold", "capacity", "beyond", "cause", "price")
    """Names of what is measured."""
    capacity_lags: int = 60
    """Lags whose recalled bits are summed, from 1: the heads of one network."""
    capacity_length: int = 96
    """Steps of a sequence of that network."""
    capacity_every: int = 4
    """Steps from one at which its heads are trained to the next, from step `capacity_lags` on."""
    capacity_updates: int = 1500
    """Updates of that network, at the rate of the stream."""
    capacity_sequences: int = 2048
    """Fresh sequences to recalibrate its heads on, and as many others to count its bits on."""
    noise: float = 0.1
    """Deviation of the noise added to each number of a state, relative to that of the number."""
    linear_lags: int = 100
    """Lags of the linear memory capacity, from 1."""
    linear_steps: int = 6000
    """Steps of the stream that its readout is fitted to, and of the one that it is tested on."""
    washout: int = 200
    """Steps at the start of both streams that are left out."""
    beyond: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100)
    """Factors by which test streams are longer than training sequences."""
    gradient_sequences: int = 64
    """Sequences over which the gradient of an answer is averaged."""


FULL = Protocol()
QUICK = dataclasses.replace(
    FULL, name="quick", ladder=(1, 2, 3, 5, 8, 12), rows=("stream", "hold", "price")
)
"""A part of `full`; the numbers that both measure are equal bit for bit."""

COPY = dataclasses.replace(
    FULL,
    name="copy",
    vocab_size=10,
    batch_size=8,
    ladder=(100, 300, 1000),
    tuning_lags={"copy": (100,)},
    tuning_updates=200,
    budget=600,
    evaluate_every=100,
    evaluation={"copy": 64},
    rows=("copy",),
)
"""The copy-memory task as published, see `copy_task`; its ladder holds values of T."""

PROTOCOLS = {"quick": QUICK, "full": FULL, "copy": COPY}


def length(protocol: Protocol, task: Task, lag: int) -> int:
    """Steps of a training sequence; in hold at least a value, k distractors and the question."""
    if task == "copy":
        return lag + 2 * COPIED
    if task == "stream":
        return max(protocol.shortest_stream, protocol.lags_per_stream * lag)
    return max(protocol.shortest_hold, lag + 2)


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
    return {hash_of(protocol): name for name, protocol in PROTOCOLS.items()}
