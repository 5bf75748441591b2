"""How fast is echo_jax? Against its peers on the same job, and as its sizes grow.

python scripts/benchmark.py                        # the peers that are installed, and echo_jax
python scripts/benchmark.py --limit ./limit.sh     # and an external program
python scripts/benchmark.py --scaling              # every size on its own, with a figure

All are measured in one go, alternating A B C A B C ..., each in a process of its own on one core.
A ratio is the median of the ratios within each round; none is printed where the times of the two
overlap. A peer that is quick is trained from the start in every round; a slow one is trained
once, a share of it in every round.
"""

import contextlib
import dataclasses
import datetime
import json
import math
import os
import platform
import re
import select
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from echo_jax import atomic_files
from echo_jax.commands import command_line
from echo_jax.config import RunConfig, to_dict
from echo_jax.exceptions import ConfigError
from echo_jax.runs import run_folder
from echo_jax.speed_benchmark import peers, scaling
from echo_jax.speed_benchmark.peers import JOB, MANY_SEEDS, ONE_THREAD, PEERS, SMALL_JOB, pinned

REFERENCE, SEEDS = "echo_jax", "seeds"
"""What the others are compared with, and the worker that trains many seeds at once."""

SEEDS_SHARE = 100
"""Sequences that each of many seeds trains on in a round."""

WHOLE = 3.0
"""Seconds that a training may take to be done from the start in every round."""

START_LIMIT, REPLY_LIMIT, LIMIT_LIMIT, TRAIN_LIMIT = 300, 900, 300, 120
"""Seconds that are waited for: a worker's hello, its replies, the program of --limit, train.py."""


@dataclasses.dataclass(frozen=True)
class BenchmarkCommand:
    """Compare the time of echo_jax with its peers', or with --scaling with its own at every size.

    Peers that are not installed are left out: `pip install .[benchmark]` brings them all.
    """

    rounds: int = 7
    """Times that everything is measured, alternating; 2 or more, since one has no spread."""
    limit: str | None = None
    """A command that does the same job as fast as can be. Its last printed line gives its time:
    `us_per_update NUMBER`, else the last number there, in microseconds per update."""
    scaling: bool = False
    """Measure instead how echo_jax grows with each of its sizes; rounds, limit and peers do not
    matter to it."""
    fast: bool = False
    """All of it very small, to see that it works; the times mean nothing."""
    peers: tuple[str, ...] | None = None
    """Who is compared with echo_jax; by default all there are (with --fast NumPy alone)."""
    out: Path | None = None
    """Folder for the results, which must not exist yet; by default a new one under runs/."""


class Spread(NamedTuple):
    """The median of some numbers, the smallest and the largest."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Of one number or more."""
    return Spread(statistics.median(values), min(values), max(values))


def ratio(times: Sequence[float], reference: Sequence[float]) -> Spread | None:
    """How many times the reference the times are, round by round; None where the two overlap.

        times 30 31 29, reference 10 10 9   3.1 (3.0 .. 3.2)
        times 10 12 11, reference 11 10 12  None: the spread is larger than the difference

    Args:
      times: one a round.
      reference: one a round, of the same rounds.
    """
    if min(times) <= max(reference) and min(reference) <= max(times):
        return None
    return spread([a / b for a, b in zip(times, reference, strict=True)])


def parse_limit(printed: str) -> float:
    """Microseconds per update from the last line that a program printed.

        us_per_update 22.60 min 22.45      22.60
        done in 3 s, 22.4 us               22.4

    Raises:
      ConfigError: where there is no number.
    """
    number = r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?"
    last = (printed.strip().splitlines() or [""])[-1]
    found = re.findall(rf"us_per_update\s+({number})", last) or re.findall(number, last)[-1:]
    if not found:
        raise ConfigError(
            f"the limit's last line {last!r} has no number: print microseconds per update there"
        )
    return float(found[0])


def run_limit(command: str, core: int) -> float:
    """Microseconds per update that the external program says, run on one core."""
    try:
        with pinned(core):
            done = subprocess.run(
                shlex.split(command),
                check=True,
                capture_output=True,
                text=True,
                timeout=LIMIT_LIMIT,
            )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"the limit {command!r} failed ({error}): give a command that runs by itself"
        ) from error
    return parse_limit(done.stdout)


class WorkerError(RuntimeError):
    """A worker that died or did not answer in time; the message says which."""


class Worker:
    """A process of `peers.py` and the conversation with it."""

    def __init__(self, name: str, core: int | None, fast: bool) -> None:
        """Start it on one core, or on all where `core` is None; it is not awaited."""
        environment = {**os.environ, **(ONE_THREAD if core is not None else {})}
        arguments = [sys.executable, "-m", peers.__name__, name, *["--fast"] * fast]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        with pinned(core):
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                env={**environment, **peers.find(name).environment},
            )

    def __enter__(self) -> "Worker":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def ask(self, command: str) -> dict[str, Any]:
        """The reply to a command; WorkerError where there is none."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        return self.reply(REPLY_LIMIT)

    def reply(self, limit: float) -> dict[str, Any]:
        """The next line it prints, within so many seconds."""
        stdout = self._process.stdout
        assert stdout is not None
        if not select.select([stdout], [], [], limit)[0]:
            raise WorkerError(f"no answer in {limit:g} s")
        line = stdout.readline()
        if not line:
            self._log.seek(0)
            raise WorkerError((self._log.read().strip().splitlines() or ["it ended"])[-1])
        return json.loads(line)


class Contestant:
    """A peer in the race: its worker, its pace, and what was measured of it."""

    def __init__(self, name: str, worker: Worker, config: RunConfig, rounds: int) -> None:
        """Wait for the worker's hello and settle how much it trains in a round."""
        hello = worker.reply(START_LIMIT)
        total, chunk = config.training.sequences, hello["chunk"]
        self.name, self.versions = name, hello["versions"]
        self.whole = hello["seconds_per_sequence"] * total <= WHOLE
        share = total if self.whole else -(-total // rounds)
        share = min(share, SEEDS_SHARE) if name == SEEDS else share
        self.sequences = -(-share // chunk) * chunk
        self.seconds: list[float] = []
        self.accuracy, self.carries_state = math.nan, False
        self._worker, self._config = worker, config

    def run_round(self) -> None:
        """Train its share, or all of it from the start; note the seconds."""
        if self.whole:
            self._worker.ask("start")
        self.seconds.append(self._worker.ask(f"train {self.sequences}")["seconds"])

    def score(self) -> None:
        """After the last round: what it has learned, and whether it carried its state."""
        self.accuracy = self._worker.ask("score")["accuracy"]
        self.carries_state = carries_state(self._worker.ask("rest")["losses"])

    @property
    def microseconds(self) -> list[float]:
        """Per update, one a round."""
        updates = self.sequences * self._config.task.updates_per_sequence
        return [1e6 * seconds / updates for seconds in self.seconds]

    @property
    def training_seconds(self) -> float:
        """Of all sequences: the median of whole trainings, or the sum of the shares of one."""
        if self.whole:
            return statistics.median(self.seconds)
        trained = self.sequences * len(self.seconds)
        return sum(self.seconds) * self._config.training.sequences / trained


def carries_state(losses: Sequence[float]) -> bool:
    """Whether equal batches, with nothing learned between them, gave losses that differ."""
    return max(losses) - min(losses) > 1e-6


class Race(NamedTuple):
    """All that the rounds gave; who fell out is in `failures`, with the reason."""

    contestants: dict[str, Contestant]
    failures: dict[str, str]
    limit: list[float]


def race(command: BenchmarkCommand, config: RunConfig, core: int) -> Race:
    """Start all workers, run the rounds, score everyone, end the workers."""
    found = Race({}, {}, [])
    with contextlib.ExitStack() as workers:
        for name in [*entrants(command), SEEDS]:
            say(f"starting {name}")
            worker = Worker(name, None if name == SEEDS else core, command.fast)
            workers.enter_context(worker)
            with failing(found, name):
                found.contestants[name] = Contestant(name, worker, config, command.rounds)
        for number in range(command.rounds):
            say(f"round {number + 1} of {command.rounds}")
            in_turn(found, [*found.contestants], Contestant.run_round)
            if command.limit:
                found.limit.append(run_limit(command.limit, core))
        in_turn(found, entrants(command), Contestant.score)
    return found


def in_turn(found: Race, names: Sequence[str], act: Callable[[Contestant], None]) -> None:
    """One after the other, whoever is still in the race."""
    for name in names:
        with failing(found, name):
            if name in found.contestants:
                act(found.contestants[name])


def entrants(command: BenchmarkCommand) -> list[str]:
    """Who is asked for and installed, in the order of the table."""
    return [name for name in PEERS if name in asked(command) and not PEERS[name].missing]


def asked(command: BenchmarkCommand) -> set[str]:
    """Who should be in the race, installed or not."""
    default = ("numpy",) if command.fast else tuple(PEERS)
    return {REFERENCE, *(default if command.peers is None else command.peers)}


@contextlib.contextmanager
def failing(found: Race, name: str) -> Iterator[None]:
    """Within it a worker that fails takes itself out of the race, and no one else."""
    try:
        yield
    except WorkerError as error:
        if name == REFERENCE:
            raise ConfigError(f"{name} fell out of its own benchmark: {error}") from error
        found.contestants.pop(name, None)
        found.failures[name] = str(error)


def say(line: str) -> None:
    """Progress goes to standard error, the results alone to standard output."""
    print(line, file=sys.stderr, flush=True)


def cold_starts(fast: bool) -> dict[str, list[float]]:
    """Seconds of whole processes of `train.py`, from cold and with its cache filled."""
    say("whole processes")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if fast:
            return {"cold": [whole_process(folder, "--sequences", "20")]}
        cold = [whole_process(folder) for _ in range(3)]
        whole_process(folder, "--compilation-cache")
        return {
            "cold": cold,
            "cached": [whole_process(folder, "--compilation-cache") for _ in range(3)],
        }


def whole_process(folder: Path, *arguments: str) -> float:
    """Seconds of a whole `train.py --lag 1 --window 5`, from its start to its end."""
    out = Path(tempfile.mkdtemp(dir=folder)) / "run"
    part_4 = ("--lag", "1", "--window", "5", "--out", str(out))
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "echo_jax", "train", *part_4, *arguments],
        check=True,
        capture_output=True,
        timeout=TRAIN_LIMIT,
        env={**os.environ, "XDG_CACHE_HOME": str(folder)},
    )
    return time.perf_counter() - begin


def peer_table(found: Race, command: BenchmarkCommand) -> str:
    """Everyone's line, in Markdown, the reference first."""
    reference = found.contestants[REFERENCE].microseconds
    lines = [
        "| peer | us per update | min .. max | time / echo_jax | training s | accuracy | remarks |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    if found.limit:
        lines.append(limit_row(found.limit, reference))
    for name, peer in PEERS.items():
        if name in found.contestants:
            lines.append(peer_row(found.contestants[name], reference))
        elif name in asked(command):
            lines.append(f"| {peer.label} | | | | | | {absence(name, found)} |")
    return "\n".join(lines)


def absence(name: str, found: Race) -> str:
    """Why a peer has no times."""
    if missing := PEERS[name].missing:
        return f"not installed: {', '.join(missing)}"
    return found.failures.get(name, "not asked for")


def peer_row(contestant: Contestant, reference: Sequence[float]) -> str:
    """A line of the table."""
    name, times = contestant.name, spread(contestant.microseconds)
    against = "1" if name == REFERENCE else ratio_cell(contestant.microseconds, reference)
    ignores = "" if contestant.carries_state else "**ignores stateful**: every batch from zero"
    remarks = "; ".join(filter(None, (ignores, PEERS[name].remark)))
    return (
        f"| {PEERS[name].label} | {times.median:,.1f} | {times.low:,.1f} .. {times.high:,.1f} | "
        f"{against} | {contestant.training_seconds:,.2f} | {100 * contestant.accuracy:.1f}% | "
        f"{remarks} |"
    )


def limit_row(limit: Sequence[float], reference: Sequence[float]) -> str:
    """The line of the external program."""
    times = spread(limit)
    return (
        f"| the limit | {times.median:,.1f} | {times.low:,.1f} .. {times.high:,.1f} | "
        f"{ratio_cell(limit, reference)} | | | echo_jax / limit: {ratio_cell(reference, limit)} |"
    )


def ratio_cell(times: Sequence[float], reference: Sequence[float]) -> str:
    """A ratio with its range, or the refusal to give one."""
    found = ratio(times, reference)
    if found is None:
        return "no clear difference"
    return f"{found.median:.2f} ({found.low:.2f} .. {found.high:.2f})"


def seeds_lines(found: Race) -> str:
    """Many seeds on all cores against one seed on one, in updates of a seed each second."""
    one = found.contestants[REFERENCE].microseconds
    if SEEDS not in found.contestants:
        return f"{MANY_SEEDS} seeds: {found.failures[SEEDS]}"
    many = [us / MANY_SEEDS for us in found.contestants[SEEDS].microseconds]
    cores = len(os.sched_getaffinity(0))
    return (
        f"{MANY_SEEDS} seeds on all cores ({cores}): "
        f"{1e6 / statistics.median(many):,.0f} updates a second, "
        f"one seed on one core: {1e6 / statistics.median(one):,.0f}; "
        f"ratio {ratio_cell(one, many)}"
    )


def cold_lines(cold: Mapping[str, Sequence[float]], training: float) -> str:
    """What a user waits for, and without the seconds that training takes in the table."""
    how = {"cold": "from cold", "cached": "with --compilation-cache, filled"}
    return "\n".join(
        f"train.py --lag 1 --window 5, whole process {how[name]}: "
        f"{spread(seconds).median:.2f} s ({min(seconds):.2f} .. {max(seconds):.2f}), "
        f"outside training {spread(seconds).median - training:.2f} s"
        for name, seconds in cold.items()
    )


def as_json(found: Race) -> dict[str, Any]:
    """Every raw time, with what was made of it."""
    reference = found.contestants[REFERENCE].microseconds
    rows = {name: row_json(c, reference) for name, c in found.contestants.items()}
    absent = {name: absence(name, found) for name in PEERS if name not in rows}
    limit = {"microseconds_per_update": found.limit} if found.limit else None
    return {SEEDS: rows.pop(SEEDS, None), "peers": rows, "absent": absent, "limit": limit}


def row_json(contestant: Contestant, reference: Sequence[float]) -> dict[str, Any]:
    """Of one contestant; what many seeds took is divided by their number."""
    name = contestant.name
    times = [us / (MANY_SEEDS if name == SEEDS else 1) for us in contestant.microseconds]
    against = None if name == REFERENCE else ratio(times, reference)
    row = {
        "label": peers.find(name).label,
        "sequences_in_round": contestant.sequences,
        "seconds": contestant.seconds,
        "microseconds_per_update": times,
        "median": statistics.median(times),
        "ratio": against and against._asdict(),
        "versions": contestant.versions,
    }
    if name == SEEDS:
        return row
    return row | {
        "training_seconds": contestant.training_seconds,
        "accuracy": contestant.accuracy,
        "carries_state": contestant.carries_state,
    }


def machine() -> dict[str, Any]:
    """The processor, its cores, and how busy it is: processes waiting in 1, 5 and 15 minutes."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    return {
        "processor": (names or [platform.processor()])[0],
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def compare(command: BenchmarkCommand, folder: Path, core: int) -> None:
    """Race, print the tables, write `benchmark.json`."""
    config = SMALL_JOB if command.fast else JOB
    before = machine()
    if command.limit:
        say("trying the limit")
        run_limit(command.limit, core)
    cold = cold_starts(command.fast)
    found = race(command, config, core)
    after = machine()
    print(f"{before['processor']}, cores: {before['cores']}, one of them for each peer in its turn")
    print(f"{command.rounds} rounds; load average {load(before)} before, {load(after)} after\n")
    print(peer_table(found, command))
    print(footnote(config) + "\n")
    print(seeds_lines(found))
    print(cold_lines(cold, found.contestants[REFERENCE].training_seconds))
    results = as_json(found) | {"whole_process_seconds": cold, "rounds": command.rounds}
    setting = {"config": to_dict(config), "command": sys.argv[1:], "before": before, "after": after}
    atomic_files.write_json(folder / "benchmark.json", setting | results)


def load(machine: Mapping[str, Any]) -> str:
    """The load of the last minute."""
    return f"{machine['load'][0]:.2f}"


def footnote(config: RunConfig) -> str:
    """What the columns of the table mean."""
    return (
        f"\nTraining: {config.training.sequences:,} sequences of one seed. Accuracy: on "
        f"{config.evaluation_sequences} fresh sequences, one seed, so no interval; chance is "
        f"{100 / config.task.vocab_size:g}%."
    )


def scale(command: BenchmarkCommand, folder: Path, core: int) -> None:
    """Measure every size, print the table, write `scaling.json` and `scaling.png`."""
    before = machine()
    rows = scaling.measure_all(core, command.fast)
    after = machine()
    print(f"{before['processor']}; load average {load(before)} before, {load(after)} after\n")
    print(scaling.table(rows))
    values = {"command": sys.argv[1:], "before": before, "after": after, "points": rows}
    atomic_files.write_json(folder / "scaling.json", values)
    scaling.draw(folder / "scaling.png", rows)


def parse(arguments: Sequence[str] | None = None) -> BenchmarkCommand:
    """The command line as a command; a bad one ends in one sentence and exit 2."""
    command = command_line.parse(BenchmarkCommand, arguments)
    for name in command.peers or ():
        if name not in PEERS:
            command_line.fail(f"peer {name} is unknown: use some of {', '.join(PEERS)}")
    if command.peers == ():
        command_line.fail(
            f"--peers names none: use some of {', '.join(PEERS)}, or leave it out for all"
        )
    if command.rounds < 2:
        command_line.fail(f"rounds {command.rounds} is below 2: use 2 or more, one has no spread")
    return command


def main() -> None:
    """Run the command of the command line, on the last of the cores this process may use."""
    command = parse()
    if not hasattr(os, "sched_setaffinity"):
        command_line.fail(
            "this system cannot give a process a core of its own: run the benchmark on Linux"
        )
    core = max(os.sched_getaffinity(0))
    with command_line.refusals(), run_folder.claimed_folder(command.out) as folder:
        (scale if command.scaling else compare)(command, folder, core)
    print(f"Results: {folder}")
