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
import functools
import shlex
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import surroundings
from learner import JOB, SMALL_JOB, Learner
from matplotlib.figure import Figure
from peers import PEERS
from sizes import compare_sizes
from surroundings import Worker, WorkerError, markdown_table, pinned, say

from echo_jax.config import to_dict
from echo_jax.exceptions import ConfigError
from echo_jax.report import styles

REFERENCE = "echo_jax"  # the peer that the others are compared with
MICROSECONDS = "microseconds_per_update"  # in each round


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
      limit: a command that does the same job as fast as can be, and prints the microseconds of an
        update as `us_per_update NUMBER`.
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
        race.run(asked, core)
        print(table(race, asked))
        measured |= {"rounds": rounds, "config": to_dict(race.job), "peers": race.results}
        measured |= {"absent": race.absent, "limit": race.limit}
        if out:
            limit_times = {"the limit": race.limit} if race.limit else {}
            times = {PEERS[name].label: x[MICROSECONDS] for name, x in race.results.items()}
            out.with_suffix(".svg").write_text(draw(limit_times | times), "utf-8")


class Race:
    """The peers that are still in it, why others are not, and what was measured."""

    def __init__(self, rounds: int, limit: str | None, fast: bool) -> None:
        """Nothing is started."""
        self.rounds, self.limit_command, self.fast = rounds, limit, fast
        self.job = SMALL_JOB if fast else JOB
        self.asking: dict[str, Callable[..., Any]] = {}  # the results of methods of each peer
        self.absent: dict[str, str] = {}
        self.limit: list[float] = []  # microseconds per update of it in each round
        self.results: dict[str, dict[str, Any]] = {}  # every time and score of each peer

    def run(self, names: Sequence[str], core: int) -> None:
        """Start all workers, run the rounds, the external program last, and score everyone."""
        with contextlib.ExitStack() as workers:
            for name in names:
                self.attempt(name, self._start, workers, core)
            for number in range(self.rounds):
                say(f"round {number + 1} of {self.rounds}")
                for name in list(self.asking):
                    self.attempt(name, self._train)
                if self.limit_command:
                    self.limit.append(limit_microseconds(self.limit_command, core))
            for name in list(self.asking):
                self.attempt(name, self._score)

    def attempt(self, name: str, stage: Callable[..., None], *arguments: Any) -> None:
        """A stage of a peer, which leaves the race if it fails; the reference must not."""
        try:
            stage(name, *arguments)
        except WorkerError as error:
            if name == REFERENCE:
                raise ConfigError(f"{name} fell out of its own benchmark: {error}") from error
            self.absent[name] = str(error)
            self.asking.pop(name, None)
            self.results.pop(name, None)

    def _start(self, name: str, workers: contextlib.ExitStack, core: int) -> None:
        """Start the worker of a peer, let it compile everything, and decide what a round is."""
        say(f"starting {name}")
        worker = workers.enter_context(Worker())
        with pinned(core, PEERS[name].environment):
            seconds, chunk = worker.call(ask, name, self.fast, "warm_up")
        total = self.job.training.sequences
        whole = seconds * total <= 3
        share = total if whole else -(-total // self.rounds)
        sequences = -(-share // chunk) * chunk
        self.results[name] = {"whole": whole, "sequences_in_round": sequences, "seconds": []}
        self.asking[name] = functools.partial(worker.call, ask, name, self.fast)

    def _train(self, name: str) -> None:
        result, asking = self.results[name], self.asking[name]
        if result["whole"]:  # from the start in every round
            asking("start")
        result["seconds"].append(asking("seconds", result["sequences_in_round"]))

    def _score(self, name: str) -> None:
        """The times of a peer by update and in training, and its accuracy."""
        result, seconds = self.results[name], self.results[name]["seconds"]
        sequences, per_sequence = result["sequences_in_round"], self.job.task.updates_per_sequence
        typical = statistics.median(seconds) if result["whole"] else statistics.mean(seconds)
        result[MICROSECONDS] = [1e6 * time / (sequences * per_sequence) for time in seconds]
        result["training_seconds"] = typical * self.job.training.sequences / sequences
        result["accuracy"] = self.asking[name]("accuracy")


@functools.cache
def learner_of(name: str, fast: bool) -> Learner:
    """The one learner of the process of a peer."""
    return PEERS[name].learner(SMALL_JOB if fast else JOB)


def ask(name: str, fast: bool, method: str, *arguments: Any) -> Any:
    """Call a method of the learner, in the process of its peer."""
    return getattr(learner_of(name, fast), method)(*arguments)


def limit_microseconds(command: str, core: int) -> float:
    """Run an external program on one core; the microseconds of an update that it prints."""
    try:
        with pinned(core):
            printed = subprocess.check_output(shlex.split(command), text=True, timeout=300)
        return float(printed.rpartition("us_per_update")[2].split()[0])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        fix = "give a command that prints us_per_update NUMBER"
        raise ConfigError("limit", command, f"failed ({error})", fix) from error


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
        peer, result = PEERS[name], race.results.get(name)
        if result is None:
            rows.append([peer.label, *[""] * 5, race.absent[name]])
            continue
        against = "1" if name == REFERENCE else ratio_text(result[MICROSECONDS], reference)
        scores = [f"{result['training_seconds']:,.2f}", f"{result['accuracy']:.1%}"]
        rows.append([peer.label, *times_text(result[MICROSECONDS]), against, *scores, peer.remark])
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
            look: dict[str, Any] = {"textcoords": "offset points", "color": styles.INK}
            axes.annotate(f"{middle:,.0f}", (middle, row), (8, 0), va="center", **look)
        axes.set(xscale="log", yticks=range(len(times)), ylim=(len(times) - 0.5, -0.5))
        axes.set_yticklabels(list(times))
        axes.set_xlabel("microseconds per update of part 4, one core", color=styles.INK)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.margins(x=0.12)
        return styles.image(figure, "svg").decode()


def times_text(times: Sequence[float]) -> list[str]:
    """The median, and the range."""
    return [f"{statistics.median(times):,.1f}", f"{min(times):,.1f} .. {max(times):,.1f}"]


if __name__ == "__main__":
    surroundings.run(main)
