"""Peers train the same job in turn, A B C A B C ..., each in a process of its own on one core.

A ratio is the median of the ratios within each round; none is given where the times of the two
overlap. A quick peer is trained from the start in every round; a slow one is trained once, a share
of it in every round.
"""

import contextlib
import dataclasses
import statistics
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from echo_jax.exceptions import ConfigError
from echo_jax.speed_benchmark import limit_program
from echo_jax.speed_benchmark.learner import JOB, SMALL_JOB
from echo_jax.speed_benchmark.peers import MANY_SEEDS, PEERS, SEEDS
from echo_jax.speed_benchmark.worker import Worker, WorkerError

REFERENCE = "echo_jax"  # the peer that the others are compared with

START_LIMIT, REPLY_LIMIT = 300, 900  # seconds, for a worker's first message and its replies


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, the smallest and the largest of one number or more."""
    return statistics.median(values), min(values), max(values)


def ratio(times: Sequence[float], reference: Sequence[float]) -> tuple[float, float, float] | None:
    """The spread of the ratio of times of a round; None where times and reference overlap.

    times 30 31 29, reference 10 10 9   -> 3.1 (3.0 .. 3.2)
    times 10 12 11, reference 11 10 12  -> None: the spread is larger than the difference
    """
    if min(times) <= max(reference) and min(reference) <= max(times):
        return None
    return spread([a / b for a, b in zip(times, reference, strict=True)])


@dataclasses.dataclass
class Contestant:
    """A peer that is warm."""

    name: str
    worker: Worker
    versions: dict[str, str]
    whole: bool  # trained from the start in every round
    sequences: int  # trained in a round
    seconds: list[float] = dataclasses.field(default_factory=list)  # of each round


class Race:
    """The peers that are still in it, why others are not, and what was measured."""

    def __init__(self, fast: bool) -> None:
        """Nothing is started."""
        self.fast, self.job = fast, SMALL_JOB if fast else JOB
        self.contestants: dict[str, Contestant] = {}
        self.absent: dict[str, str] = {}
        self.limit: list[float] = []  # microseconds per update of it in each round
        self.results: dict[str, dict[str, Any]] = {}  # every time and score of each peer

    def run(self, names: Sequence[str], rounds: int, core: int, limit: str | None) -> None:
        """Start all workers, run the rounds, score everyone, end the workers."""
        with contextlib.ExitStack() as workers:
            for name in names:
                say(f"starting {name}")
                on = None if name == SEEDS else core
                worker = Worker(on, PEERS[name].environment, serve, name, self.fast)
                workers.enter_context(worker)
                with self.failing(name):
                    self.contestants[name] = self.warm(name, worker, rounds)
            for number in range(rounds):
                say(f"round {number + 1} of {rounds}")
                for name in list(self.contestants):
                    contestant = self.contestants[name]
                    with self.failing(name):
                        if contestant.whole:
                            contestant.worker.ask(REPLY_LIMIT, "start")
                        asked = ("seconds", contestant.sequences)
                        contestant.seconds.append(contestant.worker.ask(REPLY_LIMIT, *asked))
                if limit:
                    self.limit.append(limit_program.run(limit, core))
            for name in list(self.contestants):
                with self.failing(name):
                    self.results[name] = self.result(self.contestants[name])

    @contextlib.contextmanager
    def failing(self, name: str) -> Iterator[None]:
        """Within it a worker that fails leaves the race; without the reference there is none."""
        try:
            yield
        except WorkerError as error:
            if name == REFERENCE:
                raise ConfigError(f"{name} fell out of its own benchmark: {error}") from error
            self.contestants.pop(name, None)
            self.absent[name] = str(error)

    def warm(self, name: str, worker: Worker, rounds: int) -> Contestant:
        """A contestant whose worker has compiled everything, and what it trains in a round."""
        pace, total = worker.reply(START_LIMIT), self.job.training.sequences
        whole = pace["seconds_per_sequence"] * total <= 3  # quick: from the start in every round
        share = total if whole else -(-total // rounds)
        share = min(share, 100) if name == SEEDS else share
        sequences = -(-share // pace["chunk"]) * pace["chunk"]
        return Contestant(name, worker, pace["versions"], whole, sequences)

    def result(self, contestant: Contestant) -> dict[str, Any]:
        """Every time of a contestant, what follows from them, and its scores."""
        name, seconds, worker = contestant.name, contestant.seconds, contestant.worker
        reference = self.results.get(REFERENCE, {}).get("microseconds_per_update")
        seeds = MANY_SEEDS if name == SEEDS else 1
        updates = contestant.sequences * self.job.task.updates_per_sequence * seeds
        times = [1e6 * each / updates for each in seconds]
        against = ratio(times, reference) if reference else None
        row = {
            "label": PEERS[name].label,
            "sequences_in_round": contestant.sequences,
            "seconds": seconds,
            "microseconds_per_update": times,
            "median": statistics.median(times),
            "ratio": against and dict(zip(("median", "low", "high"), against, strict=True)),
            "versions": contestant.versions,
        }
        if name == SEEDS:
            return row
        whole, total = contestant.whole, self.job.training.sequences
        scaled = sum(seconds) * total / (contestant.sequences * len(seconds))
        return row | {
            "training_seconds": statistics.median(seconds) if whole else scaled,
            "accuracy": worker.ask(REPLY_LIMIT, "accuracy"),
            "carries_state": carries_state(worker.ask(REPLY_LIMIT, "losses_at_rest")),
        }


def carries_state(losses: Sequence[float]) -> bool:
    """True if equal batches, with nothing learned between them, have losses that differ."""
    return max(losses) - min(losses) > 1e-6


def serve(pipe: Connection, name: str, fast: bool) -> None:
    """The process of a peer: warm up, say how fast it is, then call the methods asked for."""
    learner = PEERS[name].learner(SMALL_JOB if fast else JOB)
    pace = {"chunk": learner.chunk, "seconds_per_sequence": learner.warm_up()}
    pipe.send(pace | {"versions": PEERS[name].versions()})
    while True:
        method, *arguments = pipe.recv()
        pipe.send(getattr(learner, method)(*arguments))


def say(line: str) -> None:
    """Print progress to standard error; standard output has the results alone."""
    print(line, file=sys.stderr, flush=True)


def table(found: Race, names: Sequence[str]) -> str:
    """A row of Markdown for the external program and for each peer of `names`, raced or not."""
    reference = found.results[REFERENCE]["microseconds_per_update"]
    lines = [
        "| peer | us per update | min .. max | time / echo_jax | training s | accuracy | remarks |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]

    def add(label: str, times: Sequence[float], *others: str) -> None:
        """Append a line of the table."""
        median, low, high = spread(times)
        entries = (label, f"{median:,.1f}", f"{low:,.1f} .. {high:,.1f}", *others)
        lines.append(f"| {' | '.join(entries)} |")

    if found.limit:
        remark = f"echo_jax / limit: {ratio_text(reference, found.limit)}"
        add("the limit", found.limit, ratio_text(found.limit, reference), "", "", remark)
    for name in names:
        peer, result = PEERS[name], found.results.get(name)
        if result is None:
            why = found.absent.get(name, "not asked for")
            lines.append(f"| {peer.label} | | | | | | {why} |")
            continue
        times = result["microseconds_per_update"]
        ignores = "" if result["carries_state"] else "**ignores stateful**: every batch from zero"
        add(
            peer.label,
            times,
            "1" if name == REFERENCE else ratio_text(times, reference),
            f"{result['training_seconds']:,.2f}",
            f"{100 * result['accuracy']:.1f}%",
            "; ".join(filter(None, (ignores, peer.remark))),
        )
    return "\n".join(lines)


def ratio_text(times: Sequence[float], reference: Sequence[float]) -> str:
    """A ratio with its range, if there is a clear one."""
    found = ratio(times, reference)
    if found is None:
        return "no clear difference"
    median, low, high = found
    return f"{median:.2f} ({low:.2f} .. {high:.2f})"
