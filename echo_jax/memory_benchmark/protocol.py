"""The protocol of the memory card: everything that is fixed, so that only the cell differs.

Cards are comparable where the hashes of their protocols agree. `docs/protocol.md` says in words
what the fields say here, and is held to them by a test. Seconds stop a card early and are in no
field: what was not reached is then not measured, and what was is what it would have been.
"""

import dataclasses
import json
import math
from typing import Any, Literal

from echo_jax import atomic_files

VERSION = 1
"""Raised with every change of what a card measures, of a number here or of a rule elsewhere."""

Task = Literal["stream", "hold"]
TASKS: tuple[Task, ...] = ("stream", "hold")
"""The tasks that have a ladder of lags."""

SYMBOLS, COPIED = 8, 10
"""Of the copy-memory task: different symbols, and how many of them are to be copied."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What is fixed; the defaults are the protocol `full`."""

    name: str = "full"
    """Of the protocol."""
    version: int = VERSION
    """Of the rules that no field states: tasks, optimizer, success, measures."""
    vocab_size: int = 2
    """V: tokens are drawn uniformly from 0 .. V-1."""
    batch_size: int = 16
    """B, sequences of an update."""
    ladder: tuple[int, ...] = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)
    """Lags of both tasks, in order: steps back of the stream, distractors of hold. A task ends
    where no seed has an unbroken prefix."""
    shortest_stream: int = 48
    """A stream of lag n is max(shortest_stream, lags_per_stream n) long."""
    lags_per_stream: int = 3
    """See `shortest_stream`."""
    shortest_hold: int = 16
    """A hold sequence of k distractors is max(shortest_hold, k + 2) long."""
    clip: float = 1.0
    """Largest norm of the gradient; a larger one is scaled down to it."""
    rates: tuple[float, ...] = (0.001, 0.003, 0.01)
    """Learning rates of Adam that are tried for each task; the best is used for all its lags."""
    tuning_seeds: tuple[int, ...] = (1_000_000, 1_000_001)
    """Seeds that the rate is chosen on, and nothing else."""
    tuning_lags: dict[str, tuple[int, ...]] = dataclasses.field(
        default_factory=lambda: {"stream": (12, 5, 2, 1), "hold": (30, 8, 2, 1)}
    )
    """The lag that the rate of a task is chosen at: the first at which the best rate ends at the
    lower threshold or above."""
    tuning_updates: int = 300
    """Updates of each run that the rate is chosen by."""
    seeds: int = 8
    """Independent networks a lag."""
    budget: int = 3000
    """Updates per lag and seed: who has not succeeded by then is censored there."""
    evaluate_every: int = 25
    """Updates between two evaluations."""
    evaluation: dict[str, int] = dataclasses.field(
        default_factory=lambda: {"stream": 64, "hold": 256}
    )
    """Fresh sequences of an evaluation."""
    confirmation: int = 2
    """A confirmation takes so many times as many other fresh sequences."""
    thresholds: tuple[float, ...] = (0.99, 0.6)
    """Accuracies that count as success, at an evaluation and at its confirmation."""
    rows: tuple[str, ...] = ("stream", "hold", "capacity", "beyond", "cause", "price")
    """What is measured."""
    capacity_lags: int = 60
    """Heads of the one network whose recalled bits are added up, for lags 1 to this."""
    capacity_length: int = 96
    """Steps of its sequences."""
    capacity_every: int = 4
    """Its heads are trained at every so many steps, from `capacity_lags` on."""
    capacity_updates: int = 1500
    """Updates of its training, at the rate of the stream."""
    capacity_sequences: int = 2048
    """Fresh sequences that its heads are recalibrated on, and as many again for the bits."""
    noise: float = 0.1
    """Deviation of the noise added to a state, as a share of the deviation of each number of it."""
    linear_lags: int = 100
    """Lags of the linear memory capacity, from 1."""
    linear_steps: int = 6000
    """Steps of the stream that its readout is fitted to, and of the one that it is tried on."""
    washout: int = 200
    """First steps of both that are left out."""
    beyond: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100)
    """Streams so many times as long as those of training."""
    gradient_sequences: int = 64
    """Sequences over which the gradient of an answer is averaged."""


FULL = Protocol()
QUICK = dataclasses.replace(
    FULL, name="quick", ladder=(1, 2, 3, 5, 8, 12), rows=("stream", "hold", "price")
)
"""The first rungs and rows of `full`: the same numbers, to the bit, where both have them."""

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
"""The copy-memory task as published, see `copy_memory`; its ladder is of T, its budget per T."""

PROTOCOLS = {"quick": QUICK, "full": FULL, "copy": COPY}


def length(protocol: Protocol, task: Task, lag: int) -> int:
    """Steps of a training sequence of this lag.

    stream  max(48, 3 n)      hold  max(16, k + 2): the value, k distractors, the question
    """
    if task == "stream":
        return max(protocol.shortest_stream, protocol.lags_per_stream * lag)
    return max(protocol.shortest_hold, lag + 2)


def memoryless_loss(blanks: int) -> float:
    """Of copy memory with T = `blanks` and no memory: `10 ln 8 / (T + 20)` nats a step."""
    return COPIED * math.log(SYMBOLS) / (blanks + 2 * COPIED)


def to_dict(protocol: Protocol) -> dict[str, Any]:
    """The fields as plain values, as they stand in a card."""
    return json.loads(json.dumps(dataclasses.asdict(protocol)))


def hash_of(protocol: Protocol | dict[str, Any]) -> str:
    """The digest of the fields: SHA-256 of them as JSON with sorted names, in hexadecimal."""
    return atomic_files.digest_of(protocol if isinstance(protocol, dict) else to_dict(protocol))


def shown(value: Any) -> str:
    """A field as the written protocol has it: a list with commas, a number a task by its name."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {shown(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
