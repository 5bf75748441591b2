"""The time of training beside other libraries, on the same job: python benchmarks/race.py.

Peers train in turn, A B C A B C ..., each in a process of its own on one core. A ratio is the
median of the ratios within each round; none is given where the times of the two overlap. A quick
peer is trained from the start in every round; a slow one is trained once, a share of it in every
round.

pip install -e '.[benchmark]'                   # brings Keras, TensorFlow and PyTorch
python benchmarks/race.py                       # the peers that are installed
python benchmarks/race.py --limit ./limit.sh    # and an external program
python benchmarks/race.py --sizes               # one layer at several sizes instead
"""

import contextlib
import dataclasses
import functools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import surroundings
import whole_process
from learner import JOB, SMALL_JOB, Learner
from matplotlib.figure import Figure
from peers import PEERS
from sizes import compare_sizes
from surroundings import markdown_table, say
from worker import Worker, WorkerError, pinned

from echo_jax.config import to_dict
from echo_jax.exceptions import ConfigError
from echo_jax.report import styles

REFERENCE = "echo_jax"  # the peer that the others are compared with

MICROSECONDS = "microseconds_per_update"  # in each round

START_LIMIT, REPLY_LIMIT = 300, 900  # seconds, for a worker's first reply and later ones


def main(
    rounds: int = 7,
    peers: Sequence[str] = tuple(PEERS),
    limit: str | None = None,
    sizes: bool = False,
    fast: bool = False,
    out: Path | None = None,
) -> None:
    """Compare the training time of echo_jax with that of other libraries.

    Args:
      rounds: times that everything is measured, in turn; 2 or more.
      peers: compare echo_jax with these; those that are not installed are left out.
      limit: a command that does the same job as fast as can be. Its last printed line gives its
        time: `us_per_update NUMBER`, else the last number there, in microseconds per update.
      sizes: measure one recurrent layer of echo_jax, Flax and PyTorch at several sizes instead;
        `peers` and `limit` are then not used.
      fast: use very small sizes, to see that everything works; the times mean nothing.
      out: a new JSON file for every time that was measured; a figure of the race, an SVG, is
        written beside it.
    """
    if rounds < 2:
        raise ConfigError("rounds", rounds, "has no spread", "use 2 or more")
    if sizes:
        compare_sizes(rounds, fast, out)
        return
    if unknown := [name for name in peers if name not in PEERS]:
        raise ConfigError("peers", unknown[0], "is unknown", f"use some of {', '.join(PEERS)}")
    race = Race(rounds, limit, fast)
    asked = [name for name in PEERS if name in {REFERENCE, *peers}]
    with surroundings.measuring(out) as (measured, core):
        processes = whole_process.train_seconds(0 if fast else 3)
        race.run(asked, core)
        print(table(race, asked), end="\n\n")
        print(whole_process.train_lines(processes, race.results[REFERENCE]["training_seconds"]))
        measured |= {
            "rounds": rounds, "config": to_dict(race.job), "peers": race.results,
            "absent": race.absent, "limit": race.limit, "whole_process_seconds": processes,
        }  # fmt: skip
        if out:
            limit_times = {"the limit": race.limit} if race.limit else {}
            times = {PEERS[name].label: x[MICROSECONDS] for name, x in race.results.items()}
            out.with_suffix(".svg").write_text(draw(limit_times | times), "utf-8")


@dataclasses.dataclass
class Contestant:
    """A peer that is warm."""

    ask: Callable[..., Any]  # the result of a method, with its arguments
    whole: bool  # trained from the start in every round
    sequences: int  # trained in a round
    seconds: list[float] = dataclasses.field(default_factory=list)  # of each round


class Race:
    """The peers that are still in it, why others are not, and what was measured."""

    def __init__(self, rounds: int, limit: str | None, fast: bool) -> None:
        """Nothing is started."""
        self.rounds, self.limit_command, self.fast = rounds, limit, fast
        self.job = SMALL_JOB if fast else JOB
        self.contestants: dict[str, Contestant] = {}
        self.absent: dict[str, str] = {}
        self.limit: list[float] = []  # microseconds per update of it in each round
        self.results: dict[str, dict[str, Any]] = {}  # every time and score of each peer

    def run(self, names: Sequence[str], core: int) -> None:
        """Start all workers, run the rounds, score everyone, end the workers."""
        with contextlib.ExitStack() as workers:
            for name in names:
                self._start(name, workers, core)
            for number in range(self.rounds):
                say(f"round {number + 1} of {self.rounds}")
                self._round(core)
            for name, contestant in list(self.contestants.items()):
                with self.failing(name):
                    self.results[name] = self._result(contestant)

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

    def _start(self, name: str, workers: contextlib.ExitStack, core: int) -> None:
        """Start the worker of a peer, let it compile everything, and decide what a round is."""
        say(f"starting {name}")
        worker = workers.enter_context(Worker())
        with pinned(core, PEERS[name].environment), self.failing(name):
            seconds, chunk = worker.call(START_LIMIT, ask, name, self.fast, "warm_up")
            total = self.job.training.sequences
            whole = seconds * total <= 3
            share = total if whole else -(-total // self.rounds)
            asking = functools.partial(worker.call, REPLY_LIMIT, ask, name, self.fast)
            self.contestants[name] = Contestant(asking, whole, -(-share // chunk) * chunk)

    def _round(self, core: int) -> None:
        """Every peer trains once, in turn, and the external program last."""
        for name, contestant in list(self.contestants.items()):
            with self.failing(name):
                if contestant.whole:
                    contestant.ask("start")
                contestant.seconds.append(contestant.ask("seconds", contestant.sequences))
        if self.limit_command:
            self.limit.append(whole_process.limit_microseconds(self.limit_command, core))

    def _result(self, contestant: Contestant) -> dict[str, Any]:
        """Every time of a contestant, what follows from them, and its scores."""
        seconds, sequences = contestant.seconds, contestant.sequences
        updates = sequences * self.job.task.updates_per_sequence
        rounds = self.job.training.sequences / sequences  # that train the whole job
        typical = statistics.median(seconds) if contestant.whole else statistics.mean(seconds)
        return {
            "sequences_in_round": sequences,
            "seconds": seconds,
            MICROSECONDS: [1e6 * time / updates for time in seconds],
            "training_seconds": typical * rounds,
            "accuracy": contestant.ask("accuracy"),
            "carries_state": carries_state(contestant.ask("losses_at_rest")),
        }


@functools.cache
def learner_of(name: str, fast: bool) -> Learner:
    """The one learner of the process of a peer."""
    return PEERS[name].learner(SMALL_JOB if fast else JOB)


def ask(name: str, fast: bool, method: str, *arguments: Any) -> Any:
    """Call a method of the learner, in the process of its peer."""
    return getattr(learner_of(name, fast), method)(*arguments)


def carries_state(losses: Sequence[float]) -> bool:
    """True if equal batches, with nothing learned between them, have losses that differ."""
    return max(losses) - min(losses) > 1e-6


def ratio(times: Sequence[float], reference: Sequence[float]) -> tuple[float, float, float] | None:
    """The spread of the ratio of times of a round; None where times and reference overlap.

    times 30 31 29, reference 10 10 9   -> 3.1 (3.0 .. 3.2)
    times 10 12 11, reference 11 10 12  -> None: the spread is larger than the difference
    """
    if min(times) <= max(reference) and min(reference) <= max(times):
        return None
    ratios = [a / b for a, b in zip(times, reference, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def ratio_text(times: Sequence[float], reference: Sequence[float]) -> str:
    """A ratio with its range, if there is a clear one."""
    interval = ratio(times, reference)
    return "{:.2f} ({:.2f} .. {:.2f})".format(*interval) if interval else "no clear difference"


def table(race: Race, names: Sequence[str]) -> str:
    """A row of Markdown for the external program and for each peer of `names`, raced or not."""
    reference = race.results[REFERENCE][MICROSECONDS]
    headings = ["peer", "us per update", "min .. max", "time / echo_jax", "training s", "accuracy"]
    rows = []
    if race.limit:
        remark = f"echo_jax / limit: {ratio_text(reference, race.limit)}"
        against = ratio_text(race.limit, reference)
        rows.append(["the limit", *times_text(race.limit), against, "", "", remark])
    for name in names:
        result = race.results.get(name)
        absent = [PEERS[name].label, *[""] * 5, race.absent.get(name, "")]
        rows.append(entries(name, result, reference) if result else absent)
    return markdown_table([*headings, "remarks"], rows, left=(0, len(headings)))


def draw(times: Mapping[str, Sequence[float]]) -> str:
    """An SVG: the median time of an update of each peer, with a line over its rounds; log."""
    with styles.drawing():
        figure = Figure((styles.WIDTH, 0.8 + 0.32 * len(times)), layout="constrained")
        axes = figure.subplots()
        styles.style_axes(axes)
        for row, (name, each) in enumerate(times.items()):
            colour = styles.ORANGE if name == PEERS[REFERENCE].label else styles.BLUE
            axes.plot([min(each), max(each)], [row, row], color=colour, linewidth=6, alpha=0.35)
            middle = statistics.median(each)
            axes.plot(middle, row, "o", color=colour)
            styles.annotate(axes, f"{middle:,.0f}", (middle, row), (8, 0), va="center")
        axes.set(xscale="log", yticks=range(len(times)), ylim=(len(times) - 0.5, -0.5))
        axes.set_yticklabels(list(times))
        axes.set_xlabel("microseconds per update of part 4, one core", color=styles.INK)
        axes.margins(x=0.12)
        return styles.image(figure, "svg").decode()


def entries(name: str, result: Mapping[str, Any], reference: Sequence[float]) -> list[str]:
    """The row of a peer that raced."""
    times, remark = result[MICROSECONDS], PEERS[name].remark
    if not result["carries_state"]:
        remark = f"**ignores stateful**: every batch from zero; {remark}"
    against = "1" if name == REFERENCE else ratio_text(times, reference)
    seconds, accuracy = f"{result['training_seconds']:,.2f}", f"{result['accuracy']:.1%}"
    return [PEERS[name].label, *times_text(times), against, seconds, accuracy, remark]


def times_text(times: Sequence[float]) -> list[str]:
    """The median, and the range."""
    return [f"{statistics.median(times):,.1f}", f"{min(times):,.1f} .. {max(times):,.1f}"]


if __name__ == "__main__":
    surroundings.run(main)
